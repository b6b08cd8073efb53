"""Flyweight: what is the same for all is there once. What differs is handed in, and not kept."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Flyweights(Generic[T]):
    """Big things by name, each made by `load(name)` when somebody first asks for it, and then shared by all.

    At most `most` of them are kept: beyond that, the one goes that nobody has asked for the longest. Who still has
    that one keeps it, and who asks for it again has it made anew.
    """

    def __init__(self, load: Callable[[str], T], most: int) -> None:
        self._load, self._most = load, most
        self._lock = threading.Lock()
        self._things: dict[str, Future[T]] = {}  # those that were asked for last are last

    def get(self, name: str) -> T:
        """The thing of this name: the same object for all who ask.

        It is called by many threads. Whoever asks for what is being made waits for that; who asks for another name
        does not. What `load` raises goes to those who waited, and is not kept: who asks next has it made anew.
        """
        with self._lock:
            known = self._things.pop(name, None)
            thing = self._things[name] = known or Future()
        if known is None:
            try:
                thing.set_result(self._load(name))
            except BaseException as error:
                with self._lock:
                    self._things.pop(name, None)
                thing.set_exception(error)
            self._let_go()
        return thing.result()

    def _let_go(self) -> None:
        with self._lock:
            made = [name for name, thing in self._things.items() if thing.done()]
            for name in made[: max(0, len(made) - self._most)]:
                del self._things[name]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places for what differs: "Summarise for {airline}: {section}". It is shared, so nobody can change
    it: to set an attribute of it raises an AttributeError, also by the name of one that it has."""

    text: str

    def render(self, **values: str) -> str:
        """The text with these values. Braces in a value are text like any other. Raises KeyError where a value is
        missing. No value is kept."""
        return self.text.format(**values)
