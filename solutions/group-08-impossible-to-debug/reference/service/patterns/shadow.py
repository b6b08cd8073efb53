"""Shadow / dry run: a candidate sees the real questions, and nobody sees the candidate."""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable

Candidate = Callable[[dict], Awaitable[str]]
"""What it would answer to a request. That it sends and books nothing is its maker's business."""


class Shadow:
    """`most`: requests that are under way at once; `seconds`: how long one may take."""

    def __init__(self, candidate: Candidate, most: int = 2, seconds: float = 10.0) -> None:
        self._candidate, self._most, self._seconds = candidate, most, seconds
        self._tasks: set[asyncio.Task] = set()
        self._counts = {"compared": 0, "differ": 0, "failed": 0, "skipped": 0}
        self._diffs: deque[dict] = deque(maxlen=20)

    def submit(self, request: dict, live: str) -> None:
        """Ask the candidate, too. Returns at once."""
        if len(self._tasks) >= self._most:
            self._counts["skipped"] += 1
            return
        task = asyncio.create_task(self._compare(copy.deepcopy(request), live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self) -> dict:
        return {**self._counts, "diffs": list(self._diffs)}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _compare(self, request: dict, live: str) -> None:
        kept = copy.deepcopy(request)
        try:
            async with asyncio.timeout(self._seconds):
                said = await self._candidate(request)
        except Exception:
            self._counts["failed"] += 1
            return
        self._counts["compared"] += 1
        if said != live:
            self._counts["differ"] += 1
            self._diffs.append({"request": kept, "live": live, "candidate": said})
