"""Entity decomposition: what changes apart is kept apart."""

import sqlite3
from uuid import uuid4

VISIBLE = "id, title, label FROM documents WHERE deleted_at IS NULL"
"""What everybody reads through: the one place that knows of the trash."""


class Documents:
    """What is small about a document and changes often: its title and its label. Its text is in versions.py.

    Two who change different things of one document at one moment both succeed, and neither undoes the other.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(
            "CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, title TEXT, label TEXT DEFAULT '', deleted_at REAL)"
        )
        db.execute("CREATE UNIQUE INDEX IF NOT EXISTS titles ON documents (title) WHERE deleted_at IS NULL")

    def add(self, title: str) -> str:
        """The id of a new document, with an empty label."""
        document = uuid4().hex
        self.db.execute("INSERT INTO documents (id, title) VALUES (?, ?)", (document, title))
        return document

    def get(self, document: str) -> dict | None:
        """{"id", "title", "label"}, or None."""
        row = self.db.execute(f"SELECT {VISIBLE} AND id = ?", (document,)).fetchone()
        return dict(row) if row else None

    def all(self) -> list[dict]:
        return [dict(row) for row in self.db.execute(f"SELECT {VISIBLE} ORDER BY rowid")]

    def change(self, document: str, *, title: str | None = None, label: str | None = None) -> bool:
        """Change what is given, and nothing else. False: there is no such document.

        What it writes is of the size of what is given, however long the document's text is.
        """
        changed = self.db.execute(
            """UPDATE documents SET title = coalesce(?, title), label = coalesce(?, label)
               WHERE id = ? AND deleted_at IS NULL""",
            (title, label, document),
        )
        return changed.rowcount == 1
