"""Soft delete: gone for everybody at once, and for good only later."""

import sqlite3

DAYS = 30


class Trash:
    """Documents that were deleted, and may come back for 30 days. Time is time.time()."""

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Trash in service/patterns/soft_delete.py")

    def delete(self, document: str) -> bool:
        """From now on it is nowhere to be seen. False: it was not there."""
        raise NotImplementedError("Trash.delete in service/patterns/soft_delete.py")

    def restore(self, document: str) -> bool:
        """It is there again, as it was. False: it is not in the trash, or no more."""
        raise NotImplementedError("Trash.restore in service/patterns/soft_delete.py")

    def purge(self) -> list[str]:
        """The ids of the documents that were deleted 30 days ago or longer, of which now nothing is left: no text in any
        version, no summary, no checkpoint, no question, no answer. That they existed, and when they went, stays in the
        audit log, which never held their content."""
        raise NotImplementedError("Trash.purge in service/patterns/soft_delete.py")
