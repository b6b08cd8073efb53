"""Versioned data: every text that was ever in force can be read again, and nobody overwrites what he has not seen."""

import sqlite3


class Conflict(Exception):
    """The text has changed since."""


class Versions:
    """The texts of documents, numbered from 1. No version is ever changed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(
            "CREATE TABLE IF NOT EXISTS texts (document TEXT, version INTEGER, text TEXT, PRIMARY KEY (document, version))"
        )

    def put(self, document: str, text: str, if_match: int) -> int:
        """Store `text` as version `if_match` + 1, and return that. `if_match` is the newest version; 0: there is none yet.

        Raises Conflict if it is not. Of many who put on one version, exactly one succeeds.
        """
        stored = self.db.execute(
            """INSERT INTO texts SELECT :document, :if_match + 1, :text
               WHERE :if_match = (SELECT coalesce(max(version), 0) FROM texts WHERE document = :document)""",
            {"document": document, "if_match": if_match, "text": text},
        )
        if not stored.rowcount:
            raise Conflict(document)
        return if_match + 1

    def get(self, document: str, version: int | None = None) -> tuple[int, str] | None:
        """(version, text) of that version, or of the newest; None if there is no such."""
        row = self.db.execute(
            """SELECT version, text FROM texts WHERE document = :document AND coalesce(:version, version) = version
               ORDER BY version DESC LIMIT 1""",
            {"document": document, "version": version},
        ).fetchone()
        return (row["version"], row["text"]) if row else None
