"""Flyweight: what is the same for all is there once. What differs is handed in, and not kept."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flyweights(Generic[T]):
    """Big things by name, each made by `load(name)` when somebody first asks for it, and then shared by all.

    At most `most` of them are kept: beyond that, the one goes that nobody has asked for the longest. Who still has
    that one keeps it, and who asks for it again has it made anew.
    """

    def __init__(self, load: Callable[[str], T], most: int) -> None:
        raise NotImplementedError("Flyweights in service/patterns/flyweight.py")

    def get(self, name: str) -> T:
        """The thing of this name: the same object for all who ask.

        It is called by many threads. Whoever asks for what is being made waits for that; who asks for another name
        does not. What `load` raises goes to those who waited, and is not kept: who asks next has it made anew.
        """
        raise NotImplementedError("Flyweights.get in service/patterns/flyweight.py")


class Template:
    """A text with places for what differs: "Summarise for {airline}: {section}". It is shared, so nobody can change
    it: to set an attribute of it raises an AttributeError, also by the name of one that it has."""

    def __init__(self, text: str) -> None:
        raise NotImplementedError("Template in service/patterns/flyweight.py")

    def render(self, **values: str) -> str:
        """The text with these values. Braces in a value are text like any other. Raises KeyError where a value is
        missing. No value is kept."""
        raise NotImplementedError("Template.render in service/patterns/flyweight.py")
