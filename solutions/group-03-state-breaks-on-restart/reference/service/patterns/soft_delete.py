"""Soft delete: gone for everybody at once, and for good only later."""

import sqlite3
import time

from service.store import transaction

DAYS = 30


class Trash:
    """Documents that were deleted, and may come back for 30 days. Time is time.time()."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def delete(self, document: str) -> bool:
        """From now on it is nowhere to be seen. False: it was not there."""
        deleted = "UPDATE documents SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL"
        return self.db.execute(deleted, (time.time(), document)).rowcount == 1

    def restore(self, document: str) -> bool:
        """It is there again, as it was. False: it is not in the trash, or no more."""
        restored = "UPDATE documents SET deleted_at = NULL WHERE id = ? AND deleted_at > ?"
        return self.db.execute(restored, (document, self._limit())).rowcount == 1

    def purge(self) -> list[str]:
        """The ids of the documents that were deleted 30 days ago or longer, of which now nothing is left: no text in any
        version, no summary, no checkpoint, no question, no answer. That they existed, and when they went, stays in the
        audit log, which never held their content."""
        with transaction(self.db):
            due = self.db.execute("SELECT id FROM documents WHERE deleted_at <= ?", (self._limit(),)).fetchall()
            for (document,) in due:
                for table in ("texts", "jobs", "answers"):
                    self.db.execute(f"DELETE FROM {table} WHERE document = ?", (document,))
                self.db.execute("DELETE FROM documents WHERE id = ?", (document,))
            return [document for (document,) in due]

    def _limit(self) -> float:
        return time.time() - DAYS * 86_400
