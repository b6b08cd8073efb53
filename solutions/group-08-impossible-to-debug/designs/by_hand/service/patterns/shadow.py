"""Shadow / dry run: places that are taken or not, and a task for each that is."""

import asyncio
import json
from collections.abc import Awaitable, Callable

Candidate = Callable[[dict], Awaitable[str]]


class Shadow:
    def __init__(self, candidate: Candidate, most: int = 2, seconds: float = 10.0) -> None:
        self._candidate, self._seconds, self._free = candidate, seconds, most
        self._running: dict[asyncio.Task, None] = {}
        self._ends: list[str] = []
        self._diffs: list[dict] = []

    def submit(self, request: dict, live: str) -> None:
        if not self._free:
            self._ends.append("skipped")
            return
        self._free -= 1
        task = asyncio.ensure_future(self._one(json.dumps(request), live))
        self._running[task] = None
        task.add_done_callback(self._free_again)

    def report(self) -> dict:
        count = self._ends.count
        return {
            "compared": count("same") + count("differ"), "differ": count("differ"), "failed": count("failed"),
            "skipped": count("skipped"), "diffs": self._diffs[-20:],
        }  # fmt: skip

    async def close(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _free_again(self, task: asyncio.Task) -> None:
        self._running.pop(task, None)
        self._free += 1

    async def _one(self, request: str, live: str) -> None:
        try:
            said = await asyncio.wait_for(self._candidate(json.loads(request)), self._seconds)
        except Exception:
            self._ends.append("failed")
            return
        self._ends.append("same" if said == live else "differ")
        if said != live:
            self._diffs.append({"request": json.loads(request), "live": live, "candidate": said})
            del self._diffs[:-20]
