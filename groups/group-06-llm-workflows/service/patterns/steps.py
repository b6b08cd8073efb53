"""Stepwise execution: a run goes on where it stood, and everybody can see where that is."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any


class StepLimit(Exception):
    """A run has more steps than it may have."""


class Runs:
    """Steps that are done, of all runs, in the file. A run that is taken up again asks for its steps once more, from
    the first, and gets what they came to. `most`: steps that one run may have. Make the tables that you need."""

    def __init__(self, db: sqlite3.Connection, most: int = 40) -> None:
        raise NotImplementedError("Runs in service/patterns/steps.py")

    async def step(self, run: str, name: str, work: Callable[[str], Awaitable[Any]]) -> Any:
        """What step `name` of a run comes to: what JSON can say.

        If it is done, it is what it was, and `work` is not called. Else `work(key)` is, and what it returns is kept
        before this returns. The key is the same whenever this step of this run is tried, in whatever process, and
        another for every other: whoever has an effect sends it along. What `work` raises passes on, and the step is
        not done. Raises StepLimit, and does not call it, when the run has `most` steps already.
        """
        raise NotImplementedError("Runs.step in service/patterns/steps.py")

    def expect(self, run: str, size: int) -> None:
        """How many steps the run will have, as far as one can tell now."""
        raise NotImplementedError("Runs.expect in service/patterns/steps.py")

    def progress(self, run: str) -> tuple[int, int]:
        """How many steps are done, and how many there will be: what was expected last, and never less than are done."""
        raise NotImplementedError("Runs.progress in service/patterns/steps.py")
