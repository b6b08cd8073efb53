"""Stateless service: nothing that the next request needs is kept in a process. Not even a count."""

import sqlite3
import time


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
        self.db.execute("DELETE FROM taken WHERE at <= ?", (now - self.seconds,))
        count_and_take = "INSERT INTO taken SELECT ?, ? WHERE (SELECT COUNT(*) FROM taken WHERE name = ?) < ?"
        return self.db.execute(count_and_take, (name, now, name, self.most)).rowcount == 1
