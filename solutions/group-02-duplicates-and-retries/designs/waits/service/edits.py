"""Edits of documents: accepted at once, kept as commands, and made one after the other for each document."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid4

from service.clients import Unavailable
from service.database import transaction
from service.library import Library, split
from service.patterns.command import UnknownKind, from_json, register
from service.settings import Settings, get_settings

SCHEMA = """
create table if not exists edits(
    number integer primary key, id text unique, tenant text, document text, kind text, command text, status text,
    reason text
)
"""
CLAIMS = """
create table if not exists claims(
    tenant text, document text, worker text, until real, primary key (tenant, document)
)
"""
CLAIM = 20.0  # seconds for which a worker has a document to itself
PAUSE = 0.5  # seconds between two looks at the queue


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
        self.db = library.db
        self.db.execute(SCHEMA)
        self.db.execute(CLAIMS)
        self.name = str(uuid4())

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
        found = [edit for edit in self._told("tenant = ? and id = ?", tenant, edit_id)]
        if not found:
            raise UnknownEdit(edit_id)
        return found[0]

    def of(self, tenant: str, document: str) -> list[dict]:
        """All edits of a document, in the order in which they were accepted."""
        return self._told("tenant = ? and document = ?", tenant, document)

    def undo(self, tenant: str, edit_id: str) -> dict:
        """Take it back, soon. Raises UnknownEdit and TooLate."""
        self.get(tenant, edit_id)
        after = "case status when 'done' then 'undoing' when 'queued' then 'undone' else status end"
        self.db.execute(f"update edits set status = {after} where id = ?", (edit_id,))
        edit = self.get(tenant, edit_id)
        if edit["status"] == "failed":
            raise TooLate(edit_id)
        return edit

    async def work(self) -> None:
        """Make the edits, until cancelled. Every replica does."""
        while True:
            await asyncio.gather(*(self._try(*edit) for edit in self._heads() if self._claim(*edit[1:3])))
            await asyncio.sleep(PAUSE)

    async def _try(self, *edit) -> None:
        with contextlib.suppress(Unavailable):  # it passes: the edit waits, and those of other documents do not
            await self._take(*edit, await asyncio.to_thread(get_settings))

    def _heads(self) -> list[tuple]:
        """The first that is to be done, for each document."""
        first = "select min(number) from edits where status in ('queued', 'undoing') group by tenant, document"
        return self.db.execute(
            f"select number, tenant, document, command, status from edits where number in ({first})"
        ).fetchall()

    def _claim(self, tenant: str, document: str) -> bool:
        """Have this document to ourselves for a while. It saves work; what makes it safe is the version."""
        now = time.time()
        row = self.db.execute(
            "insert into claims values (?, ?, ?, ?) on conflict do update set worker = excluded.worker, until = excluded.until"
            " where until < ? or worker = excluded.worker returning worker",
            (tenant, document, self.name, now + CLAIM, now),
        ).fetchone()
        return row is not None

    async def _take(self, number: int, tenant: str, document: str, told: str, status: str, settings: Settings) -> None:
        """Do it, or undo it. The document changes in the transaction that says so, or not at all."""
        try:
            command = from_json(told)
        except (UnknownKind, TypeError):  # of a newer version than ours: it waits for a replica that knows it
            return
        try:
            text, version = self.library.text(tenant, document)
            text = command.undo(text) if status == "undoing" else command.do(text)
            await self.library.embed(tenant, text, settings)
        except Unavailable:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self.db.execute(
                "update edits set status = 'failed', reason = ? where number = ? and status = ?",
                (reason, number, status),
            )
            return
        after = "undone" if status == "undoing" else "done"
        with contextlib.suppress(sqlite3.IntegrityError), transaction(self.db):
            ours = self.db.execute(
                "update edits set status = ? where number = ? and status = ?", (after, number, status)
            )
            same = self.db.execute(
                "update documents set text = ?, version = version + 1 where tenant = ? and name = ? and version = ?",
                (text, tenant, document, version),
            )
            if not ours.rowcount or not same.rowcount:  # another replica was faster
                raise sqlite3.IntegrityError

    def _told(self, where: str, *values: str) -> list[dict]:
        told = "case status when 'undoing' then 'done' else status end"  # so far
        rows = self.db.execute(
            f"select id, document, kind, {told}, reason from edits where {where} order by number", values
        )
        return [dict(zip(("id", "document", "kind", "status", "reason"), row, strict=True)) for row in rows]
