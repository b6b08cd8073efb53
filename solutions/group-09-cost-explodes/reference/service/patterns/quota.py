"""Quota enforcement: what one tenant may take of what all share."""

import sqlite3
import time

from service.store import transaction


class Quota:
    """Calls that were let in, in the file that all replicas share."""

    def __init__(self, db: sqlite3.Connection, window: float = 60.0) -> None:
        self._db, self._window = db, window
        db.execute("CREATE TABLE IF NOT EXISTS let_in (tenant TEXT, at REAL)")
        db.execute("CREATE INDEX IF NOT EXISTS let_in_when ON let_in (tenant, at)")

    def admit(self, tenant: str, limit: int) -> float:
        """0 if one more call of the tenant is let in, and it counts from now on; else the seconds after which one will
        be.

        In any `window` seconds, at most `limit` are let in. Who is turned away does not count.
        """
        now = time.time()
        with transaction(self._db):
            self._db.execute("DELETE FROM let_in WHERE tenant = ? AND at <= ?", (tenant, now - self._window))
            query = "SELECT at FROM let_in WHERE tenant = ? ORDER BY at DESC LIMIT 1 OFFSET ?"
            last = self._db.execute(query, (tenant, limit - 1)).fetchone()
            if last:
                return max(last["at"] + self._window - now, 0.001)
            self._db.execute("INSERT INTO let_in VALUES (?, ?)", (tenant, now))
            return 0.0

    def give_back(self, tenant: str) -> None:
        """Who was let in last has made no call."""
        self._db.execute("DELETE FROM let_in WHERE rowid = (SELECT max(rowid) FROM let_in WHERE tenant = ?)", (tenant,))
