"""Flyweight: what is the same for all is there once. What differs is handed in, and not kept."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flyweights(Generic[T]):
    """Big things by name, each made by `load(name)` when somebody first asks for it, and then shared by all.

    A lock for each name: who makes a thing holds it, and who wants the same waits for it.
    """

    def __init__(self, load: Callable[[str], T], most: int) -> None:
        self._load, self._most = load, most
        self._all = threading.Lock()
        self._makers: dict[str, list] = {}  # name -> [lock, how many hold or want it, error of the last maker]
        self._things: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str) -> T:
        """The thing of this name: the same object for all who ask."""
        with self._all:
            if name in self._things:
                self._things.move_to_end(name)
                return self._things[name]
            maker = self._makers.setdefault(name, [threading.Lock(), 0, None])
            maker[1] += 1
        try:
            with maker[0]:
                if maker[2] is not None:
                    raise maker[2]
                with self._all:
                    if name in self._things:
                        return self._things[name]
                try:
                    thing = self._load(name)
                except Exception as error:
                    maker[2] = error
                    with self._all:
                        if self._makers.get(name) is maker:
                            del self._makers[name]
                    raise
                with self._all:
                    self._things[name] = thing
                    while len(self._things) > self._most:
                        self._things.popitem(last=False)
                return thing
        finally:
            with self._all:
                maker[1] -= 1
                if not maker[1] and self._makers.get(name) is maker:
                    del self._makers[name]


class Template:
    """A text with places for what differs. It is a list of its parts, and has no other state."""

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_parts", tuple(re.split(r"\{(\w+)\}", text)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a template is shared: {name} cannot be set")

    def render(self, **values: str) -> str:
        """The text with these values. Raises KeyError where a value is missing."""
        return "".join(values[part] if at % 2 else part for at, part in enumerate(self._parts))
