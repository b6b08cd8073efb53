"""Prompt versioning: an append-only history. The last line of it is what is in use."""

import hashlib
import re
import sqlite3
from collections.abc import Mapping

SCHEMA = """
CREATE TABLE IF NOT EXISTS prompt_texts (digest TEXT PRIMARY KEY, text BLOB);
CREATE TABLE IF NOT EXISTS prompt_history (number INTEGER PRIMARY KEY, name TEXT, digest TEXT, in_use INTEGER);
"""


class UnknownPrompt(Exception):
    """Nobody has published it."""


class MissingVariable(Exception):
    """The prompt names a variable that it is not given."""


class Prompts:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def publish(self, name: str, text: str, current: bool = True) -> str:
        data = text.encode()
        version = "v-" + hashlib.blake2b(data, digest_size=10).hexdigest()
        self._db.execute("INSERT OR IGNORE INTO prompt_texts VALUES (?, ?)", (version, data))
        self._note(name, version, current)
        return version

    def current(self, name: str) -> str:
        asked = "SELECT digest FROM prompt_history WHERE name = ? AND in_use ORDER BY number DESC LIMIT 1"
        row = self._db.execute(asked, (name,)).fetchone()
        if row is None:
            raise UnknownPrompt(name)
        return row["digest"]

    def text(self, name: str, version: str) -> str:
        asked = "SELECT text FROM prompt_texts JOIN prompt_history USING (digest) WHERE name = ? AND digest = ? LIMIT 1"
        row = self._db.execute(asked, (name, version)).fetchone()
        if row is None:
            raise UnknownPrompt(f"{name}: {version}")
        return row["text"].decode()

    def rollback(self, name: str, version: str) -> None:
        self.text(name, version)
        self._note(name, version, True)

    def render(self, name: str, version: str, variables: Mapping[str, str]) -> str:
        pieces = re.split(r"\{(\w+)\}", self.text(name, version))
        for at in range(1, len(pieces), 2):
            if pieces[at] not in variables:
                raise MissingVariable(pieces[at])
            pieces[at] = str(variables[pieces[at]])
        return "".join(pieces)

    def _note(self, name: str, version: str, in_use: bool) -> None:
        row = (name, version, in_use)
        self._db.execute("INSERT INTO prompt_history (name, digest, in_use) VALUES (?, ?, ?)", row)
