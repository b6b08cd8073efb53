"""Entity decomposition: what changes apart is kept apart."""

import sqlite3


class Documents:
    """What is small about a document and changes often: its title and its label. Its text is in versions.py.

    Two who change different things of one document at one moment both succeed, and neither undoes the other.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Documents in service/patterns/entities.py")

    def add(self, title: str) -> str:
        """The id of a new document, with an empty label."""
        raise NotImplementedError("Documents.add in service/patterns/entities.py")

    def get(self, document: str) -> dict | None:
        """{"id", "title", "label"}, or None."""
        raise NotImplementedError("Documents.get in service/patterns/entities.py")

    def change(self, document: str, *, title: str | None = None, label: str | None = None) -> bool:
        """Change what is given, and nothing else. False: there is no such document.

        What it writes is of the size of what is given, however long the document's text is.
        """
        raise NotImplementedError("Documents.change in service/patterns/entities.py")
