"""Append-only / audit log: what happened, in order, and nobody can make it not have happened."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from service.store import transaction


class Audit:
    """Events in the table `audit`, numbered by `seq`: 1, 2, 3, … without a gap, in the order in which they were appended.

    The database itself refuses to UPDATE or DELETE a row of that table. And if somebody goes past that, `verify` finds it.
    An event of a transaction that is rolled back never was.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(
            "CREATE TABLE IF NOT EXISTS audit (seq INTEGER PRIMARY KEY, at REAL, kind TEXT, document TEXT, data TEXT, hash TEXT)"
        )
        db.execute("CREATE TABLE IF NOT EXISTS audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER, hash TEXT)")
        db.execute("INSERT INTO audit_head VALUES (1, 0, '') ON CONFLICT DO NOTHING")
        for verb in ("UPDATE", "DELETE"):
            refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            db.execute(f"CREATE TRIGGER IF NOT EXISTS no_{verb} BEFORE {verb} ON audit {refuse}")

    def append(self, kind: str, document: str, **data: Any) -> int:
        """One more event, and its seq. `data` is plain: what json.dumps takes."""
        with transaction(self.db):
            seq, last = self.db.execute("SELECT seq + 1, hash FROM audit_head").fetchone()
            row = (seq, time.time(), kind, document, json.dumps(data))
            link = _link(row, last)
            self.db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", (*row, link))
            self.db.execute("UPDATE audit_head SET seq = ?, hash = ?", (seq, link))
            return seq

    def events(self, document: str | None = None) -> list[dict]:
        """All events (of one document), by seq: {"seq", "at", "kind", "document", "data"}; `at` is time.time() then."""
        rows = self.db.execute(
            "SELECT seq, at, kind, document, data FROM audit WHERE ? IN (document, '') ORDER BY seq", (document or "",)
        )
        return [{**row, "data": json.loads(row["data"])} for row in rows]

    def verify(self) -> bool:
        """Is every event as it was appended, is none missing, in the middle or at the end, and none moved?

        Whoever falsifies has got rid of the triggers, and writes to the table `audit`, to any column, as he likes. What you
        keep elsewhere he does not know of.
        """
        expected, last = 1, ""
        for *row, link in self.db.execute("SELECT * FROM audit ORDER BY seq"):
            if row[0] != expected or link != _link(row, last):
                return False
            expected, last = expected + 1, link
        return tuple(self.db.execute("SELECT seq + 1, hash FROM audit_head").fetchone()) == (expected, last)


def _link(row: Sequence[Any], last: str) -> str:
    """The hash of an event and of all before it."""
    return hashlib.sha256(json.dumps([*row, last]).encode()).hexdigest()
