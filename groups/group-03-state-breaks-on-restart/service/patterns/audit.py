"""Append-only / audit log: what happened, in order, and nobody can make it not have happened."""

import sqlite3
from typing import Any


class Audit:
    """Events in the table `audit`, numbered by `seq`: 1, 2, 3, … without a gap, in the order in which they were appended.

    The database itself refuses to UPDATE or DELETE a row of that table. And if somebody goes past that, `verify` finds it.
    An event of a transaction that is rolled back never was.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Audit in service/patterns/audit.py")

    def append(self, kind: str, document: str, **data: Any) -> int:
        """One more event, and its seq. `data` is plain: what json.dumps takes."""
        raise NotImplementedError("Audit.append in service/patterns/audit.py")

    def events(self, document: str | None = None) -> list[dict]:
        """All events (of one document), by seq: {"seq", "at", "kind", "document", "data"}; `at` is time.time() then."""
        raise NotImplementedError("Audit.events in service/patterns/audit.py")

    def verify(self) -> bool:
        """Is every event as it was appended, is none missing, in the middle or at the end, and none moved?

        Whoever falsifies has got rid of the triggers, and writes to the table `audit`, to any column, as he likes. What you
        keep elsewhere he does not know of.
        """
        raise NotImplementedError("Audit.verify in service/patterns/audit.py")
