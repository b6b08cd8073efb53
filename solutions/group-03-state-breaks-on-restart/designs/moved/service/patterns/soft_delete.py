"""Soft delete: gone for everybody at once, and for good only later."""

import sqlite3
import time

from service.patterns.entities import Documents
from service.store import transaction

DAYS = 30


class Trash:
    """Documents that were deleted, and may come back for 30 days. Time is time.time()."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.documents = Documents(db)
        db.execute("CREATE TABLE IF NOT EXISTS trash (id TEXT PRIMARY KEY, title TEXT, label TEXT, deleted_at REAL)")

    def delete(self, document: str) -> bool:
        """From now on it is nowhere to be seen. False: it was not there."""
        with transaction(self.db):
            found = self.documents.take(document)
            if found is None:
                return False
            row = (document, found["title"], found["label"], time.time())
            self.db.execute("INSERT INTO trash VALUES (?, ?, ?, ?)", row)
            return True

    def restore(self, document: str) -> bool:
        """It is there again, as it was. False: it is not in the trash, or no more."""
        with transaction(self.db):
            taken = "DELETE FROM trash WHERE id = ? AND deleted_at > ? RETURNING id, title, label"
            row = self.db.execute(taken, (document, time.time() - DAYS * 86_400)).fetchone()
            if row is None:
                return False
            self.documents.put(*row)
            return True

    def purge(self) -> list[str]:
        """The ids of the documents that were deleted 30 days ago or longer, of which now nothing is left: no text in any
        version, no summary, no checkpoint, no question, no answer. That they existed, and when they went, stays in the
        audit log, which never held their content."""
        with transaction(self.db):
            limit = time.time() - DAYS * 86_400
            due = [document for (document,) in self.db.execute("SELECT id FROM trash WHERE deleted_at <= ?", (limit,))]
            for document in due:
                for table in ("saved", "ends", "loans"):
                    self.db.execute(f"DELETE FROM {table} WHERE job IN (SELECT id FROM jobs WHERE document = ?)", (document,))
                for table in ("jobs", "texts", "heads", "answers"):
                    self.db.execute(f"DELETE FROM {table} WHERE document = ?", (document,))
                self.db.execute("DELETE FROM trash WHERE id = ?", (document,))
            return due

    def forget(self) -> None:
        """Write the file anew, without what was deleted, and empty the write-ahead log. Outside of any transaction."""
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
