"""Replayable execution: a list that is written, or one that is crossed off."""

import json
from collections.abc import Awaitable, Callable
from typing import Any


class Diverged(Exception):
    def __init__(self, step: str) -> None:
        super().__init__(f"from {step} on it is another run")
        self.step = step


class Failed(Exception):
    """What a step had raised."""


class Journal:
    def __init__(self, steps: list[dict] | None = None, clean: Callable[[Any], Any] | None = None) -> None:
        self._left = None if steps is None else list(steps)
        self._clean = clean
        self._done: list[dict] = []

    @property
    def steps(self) -> list[dict]:
        return self._done

    async def step(self, name: str, given: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        given = self._kept(given)
        if self._left is not None:
            return self._recall(name, given)
        try:
            value = await work()
        except Exception as error:
            self._done.append({"name": name, "input": given, "error": self._kept(str(error))})
            raise
        self._done.append({"name": name, "input": given, "output": self._kept(value)})
        return value

    def draw(self, name: str, make: Callable[[], Any]) -> Any:
        if self._left is not None:
            return self._recall(name, None)
        value = make()
        self._done.append({"name": name, "input": None, "output": self._kept(value)})
        return value

    def _recall(self, name: str, given: Any) -> Any:
        found = next((step for step in self._left if step["name"] == name and step["input"] == given), None)
        if found is None:
            raise Diverged(name)
        self._left.remove(found)
        self._done.append(found)
        if "error" in found:
            raise Failed(found["error"])
        return json.loads(json.dumps(found["output"]))

    def _kept(self, value: Any) -> Any:
        value = json.loads(json.dumps(value))
        return self._clean(value) if self._clean else value
