"""Prompt versioning: a prompt is what it says, word by word; and what was asked with it can always be read again."""

import hashlib
import re
import sqlite3
from collections.abc import Mapping

SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (name TEXT, version TEXT, text TEXT, PRIMARY KEY (name, version));
CREATE TABLE IF NOT EXISTS prompts_in_use (name TEXT PRIMARY KEY, version TEXT);
"""
_VARIABLE = re.compile(r"\{(\w+)\}")


class UnknownPrompt(Exception):
    """Nobody has published it."""


class MissingVariable(Exception):
    """The prompt names a variable that it is not given."""


class Prompts:
    """Prompts by name, in all versions that there ever were. A version is never changed, and never deleted."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def publish(self, name: str, text: str, current: bool = True) -> str:
        """Keep a text, and give its version."""
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._db.execute("INSERT OR IGNORE INTO prompts VALUES (?, ?, ?)", (name, version, text))
        if current:
            self.rollback(name, version)
        return version

    def current(self, name: str) -> str:
        """The version in use. Raises UnknownPrompt."""
        row = self._db.execute("SELECT version FROM prompts_in_use WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise UnknownPrompt(name)
        return row["version"]

    def text(self, name: str, version: str) -> str:
        """What was published, to the byte. Raises UnknownPrompt."""
        row = self._db.execute("SELECT text FROM prompts WHERE name = ? AND version = ?", (name, version)).fetchone()
        if row is None:
            raise UnknownPrompt(f"{name} {version}")
        return row["text"]

    def rollback(self, name: str, version: str) -> None:
        """From now on, it is this version. Raises UnknownPrompt."""
        self.text(name, version)
        self._db.execute("INSERT OR REPLACE INTO prompts_in_use VALUES (?, ?)", (name, version))

    def render(self, name: str, version: str, variables: Mapping[str, str]) -> str:
        """The text with each {variable} filled in, in one pass. Raises MissingVariable, and UnknownPrompt."""
        text = self.text(name, version)
        if missing := sorted(set(_VARIABLE.findall(text)) - set(variables)):
            raise MissingVariable(f"{name} {version} needs {', '.join(missing)}")
        return _VARIABLE.sub(lambda found: str(variables[found[1]]), text)
