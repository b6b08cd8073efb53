"""The tenants' documents, the summaries made of them, and the answers found in them. In one SQLite file for all replicas."""

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from service.clients import Llm, Refused
from service.database import reading, writing
from service.patterns.content_hashing import canonical, fingerprint
from service.patterns.idempotent_command import Outcome, Reply
from service.patterns.request_deduplication import coalesce
from service.settings import Settings


class UnknownDocument(Exception):
    """The tenant has no such document."""


def split(text: str) -> list[str]:
    """The paragraphs of a text: they stand apart by an empty line."""
    return [part.strip() for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


def text_of(db: sqlite3.Connection, tenant: str, name: str) -> str:
    row = db.execute("select text from documents where tenant = ? and name = ?", (tenant, name)).fetchone()
    if row is None:
        raise UnknownDocument(name)
    return row[0]


def vector_of(db: sqlite3.Connection, name: str) -> list[float] | None:
    row = db.execute("select vector from vectors where fingerprint = ?", (name,)).fetchone()
    return json.loads(row[0]) if row else None


class Library:
    def __init__(self, llm: Llm) -> None:
        self.llm = llm
        self.pool = ThreadPoolExecutor(8)  # paragraphs embedded at once

    def text(self, tenant: str, name: str) -> str:
        with reading() as db:
            return text_of(db, tenant, name)

    def put(self, tenant: str, name: str, text: str, settings: Settings) -> int:
        """Keep a document, and the vector of each of its paragraphs, by which questions find it."""
        self.embed(tenant, text, settings)
        with writing() as db:
            db.execute("insert or replace into documents values (?, ?, ?)", (tenant, name, text))
        return len(split(text))

    def missing(self, db: sqlite3.Connection, tenant: str, text: str, settings: Settings) -> dict[str, str]:
        """The paragraphs that have no vector yet, by fingerprint."""
        names = {fingerprint([tenant, settings.embed_model, part]): part for part in split(text)}
        return {name: part for name, part in names.items() if vector_of(db, name) is None}

    def embed(self, tenant: str, text: str, settings: Settings) -> None:
        """Have the vectors of all paragraphs of a text."""
        with reading() as db:
            missing = self.missing(db, tenant, text, settings)

        def make(name: str) -> tuple[str, str]:
            vector = self.llm.embed(tenant, settings.embed_model, canonical(missing[name]), name)
            return name, json.dumps(vector)

        rows = list(self.pool.map(make, missing))
        if rows:
            with writing() as db:
                db.executemany("insert or ignore into vectors values (?, ?)", rows)

    async def ask(self, tenant: str, question: str, settings: Settings) -> str:
        """The answer to a traveller's question, from the paragraphs that are nearest to it."""
        model = settings.embed_model
        wanted = await coalesce(
            fingerprint({"embed": question, "tenant": tenant, "model": model}),
            lambda: asyncio.to_thread(self.llm.embed, tenant, model, question),
        )
        rules = "\n".join(await asyncio.to_thread(self._nearest, tenant, wanted, settings))
        prompt = f"Answer from these rules only:\n{rules}\n{question}"
        return await coalesce(
            fingerprint({"complete": prompt, "tenant": tenant, "model": settings.llm_model}),
            lambda: asyncio.to_thread(self.llm.complete, tenant, settings.llm_model, prompt),
        )

    def _nearest(self, tenant: str, wanted: list[float], settings: Settings) -> list[str]:
        with reading() as db:
            texts = [
                text for (text,) in db.execute("select text from documents where tenant = ?", (tenant,)).fetchall()
            ]
        for text in texts:
            self.embed(tenant, text, settings)
        with reading() as db:
            parts = [part for text in texts for part in split(text)]
            near = {part: vector_of(db, fingerprint([tenant, settings.embed_model, part])) or [] for part in parts}
        return sorted(parts, key=lambda part: -sum(a * b for a, b in zip(wanted, near[part], strict=False)))[
            : settings.rules
        ]

    def summarise(self, tenant: str, document: str, settings: Settings, key: str) -> Outcome:
        """A summary, as ordered: it is kept, and is on the tenant's bill. `key` is that of the order."""
        prompt = f"Summarise for a traveller:\n{self.text(tenant, document)}"
        with writing() as db:  # who comes again makes the very same call, whatever the document says by then
            noted = (tenant, key, document, str(uuid4()), settings.llm_model, prompt)
            db.execute("insert or ignore into calls values (?, ?, ?, ?, ?, ?)", noted)
            query = "select call, model, prompt from calls where tenant = ? and key = ? and document = ?"
            call, model, prompt = db.execute(query, noted[:3]).fetchone()

        def forget(db: sqlite3.Connection) -> None:
            db.execute("delete from calls where call = ?", (call,))

        try:
            summary = self.llm.complete(tenant, model, prompt, call)
        except Refused as error:  # it would be refused again: that is an answer, too
            no = json.dumps({"detail": str(error)}).encode()
            return Outcome(Reply(502, no), forget)
        made = {"id": str(uuid4()), "document": document, "summary": summary}
        row = (made["id"], tenant, document, summary)

        def write(db: sqlite3.Connection) -> None:
            db.execute("insert into summaries values (?, ?, ?, ?)", row)
            forget(db)

        return Outcome(Reply(201, json.dumps(made).encode()), write)

    def summaries(self, tenant: str) -> list[dict]:
        with reading() as db:
            rows = db.execute("select id, document, summary from summaries where tenant = ?", (tenant,)).fetchall()
        return [{"id": ident, "document": document, "summary": summary} for ident, document, summary in rows]
