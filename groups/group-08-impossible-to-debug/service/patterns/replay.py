"""Replayable execution: a run that is repeated gets what it got then, and asks nobody."""

from collections.abc import Awaitable, Callable
from typing import Any


class Diverged(Exception):
    """A replay is not what was recorded; `step` is the name of the first step that is not."""

    def __init__(self, step: str) -> None:
        super().__init__(f"the replay is not as it was from {step} on")
        self.step = step


class Failed(Exception):
    """What a step had raised, when it is replayed. Its text is that of the first time."""


class Journal:
    """What one run gets from outside: what services answer, and clock, chance and settings, too.

    Without `steps`, it records; with those of another one, it replays. `clean` goes over whatever is kept: see
    recording.py. What is replayed is what was kept.
    """

    def __init__(self, steps: list[dict] | None = None, clean: Callable[[Any], Any] | None = None) -> None:
        raise NotImplementedError("Journal in service/patterns/replay.py")

    @property
    def steps(self) -> list[dict]:
        """What JSON can say: {"name", "input", "output"}, or {"name", "input", "error"} (a text) for what has raised.
        Of a replay: the steps that were replayed."""
        raise NotImplementedError("Journal.steps in service/patterns/replay.py")

    async def step(self, name: str, given: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """What `await work()` gives, kept together with `given`, which is what goes into it. What it raises is kept,
        and passes on.

        Replaying: what was kept, and `work` is not called; what had been raised is raised as Failed. A step is known by
        its name and what goes into it, and not by when it comes, since several may run at the same time; of equal ones,
        the first is the first. Raises Diverged if there is none, or none is left.
        """
        raise NotImplementedError("Journal.step in service/patterns/replay.py")

    def draw(self, name: str, make: Callable[[], Any]) -> Any:
        """The same for what takes no time and has no input: a clock, uuid4, random, a setting."""
        raise NotImplementedError("Journal.draw in service/patterns/replay.py")
