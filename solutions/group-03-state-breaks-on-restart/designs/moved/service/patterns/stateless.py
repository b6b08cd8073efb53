"""Stateless service: nothing that the next request needs is kept in a process. Not even a count."""

import sqlite3
import time

from service.store import transaction


class Quota:
    """For each name at most `most` in any `seconds`, over all processes and all their lives together.

    `db` is a connection as store.py makes it; each process has its own, to the same file. Each may make a Quota whenever
    it likes: the tables that it needs are made if they are not there. (So it is with every stub of this group.) The time
    is time.time().
    """

    def __init__(self, db: sqlite3.Connection, most: int = 6, seconds: float = 60.0) -> None:
        self.db, self.most, self.seconds = db, most, seconds
        db.execute("CREATE TABLE IF NOT EXISTS taken (name TEXT, at REAL)")

    def take(self, name: str) -> bool:
        """True, and it counts; or False, if that would be too many, and it does not count."""
        now = time.time()
        with transaction(self.db):  # nobody counts between our count and our row
            self.db.execute("DELETE FROM taken WHERE at <= ?", (now - self.seconds,))
            (taken,) = self.db.execute("SELECT COUNT(*) FROM taken WHERE name = ?", (name,)).fetchone()
            if taken >= self.most:
                return False
            self.db.execute("INSERT INTO taken VALUES (?, ?)", (name, now))
            return True
