"""Shadow / dry run: a candidate sees the real questions, and nobody sees the candidate."""

from collections.abc import Awaitable, Callable

Candidate = Callable[[dict], Awaitable[str]]
"""What it would answer to a request. It may hang, and it may raise. That it has no effects is its maker's business."""


class Shadow:
    """`most`: requests that are under way at once; `seconds`: how long one may take."""

    def __init__(self, candidate: Candidate, most: int = 2, seconds: float = 10.0) -> None:
        raise NotImplementedError("Shadow in service/patterns/shadow.py")

    def submit(self, request: dict, live: str) -> None:
        """Ask the candidate, too. `live` is what was answered. It returns at once, and raises nothing. While `most` are
        under way, it is skipped, and counted. What the candidate does to its request, nobody else sees."""
        raise NotImplementedError("Shadow.submit in service/patterns/shadow.py")

    def report(self) -> dict:
        """{"compared", "differ", "failed", "skipped": how many; "diffs": [{"request", "live", "candidate"}]}. One that
        raised or took too long has failed. Of the diffs, the last 20 are kept, the latest at the end."""
        raise NotImplementedError("Shadow.report in service/patterns/shadow.py")

    async def close(self) -> None:
        """End what is under way."""
        raise NotImplementedError("Shadow.close in service/patterns/shadow.py")
