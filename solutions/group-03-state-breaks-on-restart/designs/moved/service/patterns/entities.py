"""Entity decomposition: what changes apart is kept apart."""

import sqlite3
from uuid import uuid4

from service.store import transaction


class Documents:
    """What is small about a document and changes often: its title and its label. Its text is in versions.py.

    Two who change different things of one document at one moment both succeed, and neither undoes the other. Here, each of
    the two is a row of its own.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE IF NOT EXISTS documents (number INTEGER PRIMARY KEY, id TEXT UNIQUE)")
        db.execute("CREATE TABLE IF NOT EXISTS titles (document TEXT PRIMARY KEY, title TEXT UNIQUE)")
        db.execute("CREATE TABLE IF NOT EXISTS labels (document TEXT PRIMARY KEY, label TEXT)")

    def add(self, title: str) -> str:
        """The id of a new document, with an empty label."""
        document = uuid4().hex
        with transaction(self.db):
            self.put(document, title, "")
        return document

    def put(self, document: str, title: str, label: str) -> None:
        """Raises sqlite3.IntegrityError if the title is taken."""
        self.db.execute("INSERT INTO documents (id) VALUES (?)", (document,))
        self.db.execute("INSERT INTO titles VALUES (?, ?)", (document, title))
        self.db.execute("INSERT INTO labels VALUES (?, ?)", (document, label))

    def take(self, document: str) -> dict | None:
        """Remove it from here."""
        found = self.get(document)
        for table, name in (("documents", "id"), ("titles", "document"), ("labels", "document")):
            self.db.execute(f"DELETE FROM {table} WHERE {name} = ?", (document,))
        return found

    def get(self, document: str) -> dict | None:
        """{"id", "title", "label"}, or None."""
        row = self.db.execute(f"{SELECT} WHERE d.id = ?", (document,)).fetchone()
        return dict(row) if row else None

    def all(self) -> list[dict]:
        return [dict(row) for row in self.db.execute(f"{SELECT} ORDER BY number")]

    def change(self, document: str, *, title: str | None = None, label: str | None = None) -> bool:
        """Change what is given, and nothing else. False: there is no such document.

        What it writes is of the size of what is given, however long the document's text is.
        """
        with transaction(self.db):
            if title is not None:
                self.db.execute("UPDATE titles SET title = ? WHERE document = ?", (title, document))
            if label is not None:
                self.db.execute("UPDATE labels SET label = ? WHERE document = ?", (label, document))
            return self.get(document) is not None


SELECT = """SELECT d.id, t.title, l.label
            FROM documents d JOIN titles t ON t.document = d.id JOIN labels l ON l.document = d.id"""
