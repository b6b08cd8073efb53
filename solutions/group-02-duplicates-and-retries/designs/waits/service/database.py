"""The SQLite file that all replicas share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def connect() -> sqlite3.Connection:
    return sqlite3.connect(Path(os.environ["DATA_DIR"]) / "skylark.db", isolation_level=None, timeout=10.0)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is done inside, or nothing. Await nothing in there."""
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
