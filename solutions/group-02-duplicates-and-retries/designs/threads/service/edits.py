"""Edits of documents: accepted at once, kept as commands, and made by one thread, document by document."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid4

from service.clients import Refused, Unavailable
from service.database import reading, writing
from service.library import Library, split, text_of
from service.patterns.command import UnknownKind, from_json, register
from service.settings import get_settings

PAUSE = 1.0  # seconds between two looks at the queue


class UnknownEdit(Exception):
    """The tenant has no such edit."""


class BadArguments(Exception):
    """This kind of edit has others."""


class TooLate(Exception):
    """It cannot be undone: it was never done."""


def one(text: str) -> str:
    """The paragraph that it is. Raises ValueError if it is none, or several."""
    (paragraph,) = split(text)
    return paragraph


@register
@dataclass(frozen=True)
class Append:
    """A new paragraph at the end."""

    kind: ClassVar[str] = "append"
    paragraph: str

    def do(self, text: str) -> str:
        return "\n\n".join([*split(text), one(self.paragraph)])

    def undo(self, text: str) -> str:
        parts, paragraph = split(text), one(self.paragraph)
        if paragraph in parts:
            del parts[len(parts) - 1 - parts[::-1].index(paragraph)]
        return "\n\n".join(parts)


@register
@dataclass(frozen=True)
class Replace:
    """One paragraph by another."""

    kind: ClassVar[str] = "replace"
    paragraph: str
    by: str

    def do(self, text: str) -> str:
        parts = split(text)
        parts[parts.index(one(self.paragraph))] = one(self.by)
        return "\n\n".join(parts)

    def undo(self, text: str) -> str:
        return Replace(self.by, self.paragraph).do(text)


class Edits:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.over = threading.Event()

    def submit(self, tenant: str, document: str, command: str) -> tuple[dict, Callable[[sqlite3.Connection], None]]:
        """What an edit is told to be, and what queues it. Raises UnknownDocument, UnknownKind and BadArguments."""
        self.library.text(tenant, document)
        try:
            kind = from_json(command).kind
        except TypeError as error:
            raise BadArguments(str(error)) from None
        row = (str(uuid4()), tenant, document, kind, command)

        def write(db: sqlite3.Connection) -> None:
            db.execute("insert into edits values (null, ?, ?, ?, ?, ?, 'queued', null)", row)

        return {"id": row[0], "document": document, "kind": kind, "status": "queued"}, write

    def get(self, tenant: str, edit_id: str) -> dict:
        for edit in self._told("tenant = ? and id = ?", tenant, edit_id):
            return edit
        raise UnknownEdit(edit_id)

    def of(self, tenant: str, document: str) -> list[dict]:
        """All edits of a document, in the order in which they were accepted."""
        return self._told("tenant = ? and document = ?", tenant, document)

    def undo(self, tenant: str, edit_id: str) -> dict:
        """Take it back, soon: not at all if it was never done. Raises UnknownEdit and TooLate."""
        if self.get(tenant, edit_id)["status"] in ("failed", "undone"):
            raise TooLate(edit_id)
        with writing() as db:
            db.execute("update edits set status = 'undone' where id = ? and status = 'queued'", (edit_id,))
            db.execute("update edits set status = 'undoing' where id = ? and status = 'done'", (edit_id,))
        return self.get(tenant, edit_id)

    def work(self) -> None:
        """Make the edits, until it is over. Every replica does."""
        while not self.over.wait(PAUSE):
            while any([self._try(*document) for document in self._waiting()]):
                pass

    def _try(self, tenant: str, document: str) -> bool:
        try:
            return self._step(tenant, document)
        except (Unavailable, sqlite3.OperationalError):
            return False  # it passes: the edit waits, and those of other documents do not

    def _waiting(self) -> list[tuple[str, str]]:
        with reading() as db:
            return db.execute(
                "select distinct tenant, document from edits where status in ('queued', 'undoing')"
            ).fetchall()

    def _step(self, tenant: str, document: str) -> bool:
        """Do the next edit of a document. What it needs is made first; what then counts is what holds in the transaction."""
        settings = get_settings()
        with reading() as db:
            text, looked, reason = self._next(db, tenant, document)
        if text is None and not reason:
            return False
        if text is not None:
            try:
                self.library.embed(tenant, text, settings)
            except Refused as error:
                reason = str(error)
        with writing() as db:
            text, row, bad = self._next(db, tenant, document)
            if row is None:
                return False
            number, status = row
            if bad or (reason and row == looked):
                db.execute("update edits set status = 'failed', reason = ? where number = ?", (bad or reason, number))
            elif self.library.missing(db, tenant, text or "", settings):
                return True  # it is another text by now: once more
            else:
                after = "undone" if status == "undoing" else "done"
                db.execute("update edits set status = ? where number = ?", (after, number))
                db.execute("update documents set text = ? where tenant = ? and name = ?", (text, tenant, document))
        return True

    def _next(self, db: sqlite3.Connection, tenant: str, document: str) -> tuple[str | None, tuple | None, str]:
        """What the document says after its next edit, which one that is, and why it cannot be made."""
        row = db.execute(
            "select number, status, command from edits where tenant = ? and document = ?"
            " and status in ('queued', 'undoing') order by number limit 1",
            (tenant, document),
        ).fetchone()
        if row is None:
            return None, None, ""
        try:
            command = from_json(row[2])
        except (UnknownKind, TypeError):  # of a newer version than ours: it waits for a replica that knows it
            return None, None, ""
        text = text_of(db, tenant, document)
        try:
            return (command.undo(text) if row[1] == "undoing" else command.do(text)), row[:2], ""
        except Exception as error:
            return None, row[:2], f"{type(error).__name__}: {error}"

    def _told(self, where: str, *values: str) -> list[dict]:
        with reading() as db:
            told = "case status when 'undoing' then 'done' else status end"  # so far
            rows = db.execute(
                f"select id, document, kind, {told}, reason from edits where {where} order by number", values
            ).fetchall()
        return [dict(zip(("id", "document", "kind", "status", "reason"), row, strict=True)) for row in rows]
