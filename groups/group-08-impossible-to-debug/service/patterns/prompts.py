"""Prompt versioning: a prompt is what it says, word by word; and what was asked with it can always be read again."""

import sqlite3
from collections.abc import Mapping


class UnknownPrompt(Exception):
    """Nobody has published it."""


class MissingVariable(Exception):
    """The prompt names a variable that it is not given."""


class Prompts:
    """Prompts by name, in all versions that there ever were, in the file. Make the tables that you need. `db` is a
    connection as store.py makes it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Prompts in service/patterns/prompts.py")

    def publish(self, name: str, text: str, current: bool = True) -> str:
        """Keep a text, and give its version: it comes from the text alone, so that the same text is the same version
        (in every process, whatever was published before), and any other text, be it by one blank, another one.
        `current`: from now on, it is the one in use."""
        raise NotImplementedError("Prompts.publish in service/patterns/prompts.py")

    def current(self, name: str) -> str:
        """The version in use. Raises UnknownPrompt."""
        raise NotImplementedError("Prompts.current in service/patterns/prompts.py")

    def text(self, name: str, version: str) -> str:
        """What was published, to the byte. Raises UnknownPrompt."""
        raise NotImplementedError("Prompts.text in service/patterns/prompts.py")

    def rollback(self, name: str, version: str) -> None:
        """From now on, it is this version. Raises UnknownPrompt, and changes nothing then."""
        raise NotImplementedError("Prompts.rollback in service/patterns/prompts.py")

    def render(self, name: str, version: str, variables: Mapping[str, str]) -> str:
        """The text with each {variable} filled in: letters, digits and _ in braces. All other braces are text, and so
        is what a variable brings along: {braces} in there are not filled in. Raises MissingVariable, and UnknownPrompt.
        """
        raise NotImplementedError("Prompts.render in service/patterns/prompts.py")
