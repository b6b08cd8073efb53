"""Replayable execution: a run that is repeated gets what it got then, and asks nobody."""

import copy
import json
from collections import defaultdict, deque
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
    """What one run gets from outside. Without `steps`, it records; with those of another one, it replays."""

    def __init__(self, steps: list[dict] | None = None, clean: Callable[[Any], Any] | None = None) -> None:
        self.steps: list[dict] = []
        self._clean = clean or (lambda value: value)
        self._kept: dict[str, deque[dict]] | None = None
        if steps is not None:
            self._kept = defaultdict(deque)
            for step in steps:
                self._kept[_known_by(step["name"], step["input"])].append(step)

    async def step(self, name: str, given: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """What `await work()` gives; or what it gave then."""
        if self._kept is not None:
            return self._again(name, given)
        step = {"name": name, "input": self._plain(given)}
        self.steps.append(step)
        try:
            value = await work()
        except BaseException as error:
            step["error"] = self._clean(str(error))
            raise
        step["output"] = self._plain(value)
        return value

    def draw(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make()` gives; or what it gave then."""
        if self._kept is not None:
            return self._again(name, None)
        value = make()
        self.steps.append({"name": name, "input": None, "output": self._plain(value)})
        return value

    def _again(self, name: str, given: Any) -> Any:
        assert self._kept is not None
        kept = self._kept[_known_by(name, self._plain(given))]
        if not kept:
            raise Diverged(name)
        step = kept.popleft()
        self.steps.append(step)
        if "error" in step:
            raise Failed(step["error"])
        return copy.deepcopy(step.get("output"))

    def _plain(self, value: Any) -> Any:
        return self._clean(json.loads(json.dumps(value)))  # as it will be read again: tuples are lists


def _known_by(name: str, given: Any) -> str:
    """Not by when it comes: what runs at the same time begins in any order."""
    return json.dumps([name, given], sort_keys=True)
