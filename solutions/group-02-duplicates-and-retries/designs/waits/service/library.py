"""The tenants' documents, the summaries made of them, and the answers found in them. In one SQLite file for all replicas."""

import json
import sqlite3
from uuid import uuid4

from service.clients import Llm, Refused
from service.database import transaction
from service.patterns.content_hashing import fingerprint, spelled
from service.patterns.idempotent_command import Outcome, Reply
from service.patterns.request_deduplication import coalesce
from service.patterns.singleton import lock_for
from service.settings import Settings

SCHEMA = """
create table if not exists documents(
    tenant text, name text, text text, version integer, primary key (tenant, name)
);
create table if not exists vectors(fingerprint text primary key, vector text);
create table if not exists summaries(id text primary key, tenant text, document text, summary text);
create table if not exists calls(
    tenant text, key text, document text, call text, model text, prompt text,
    primary key (tenant, key, document)
);
"""


class UnknownDocument(Exception):
    """The tenant has no such document."""


def split(text: str) -> list[str]:
    """The paragraphs of a text: they stand apart by an empty line."""
    return [part.strip() for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


class Library:
    def __init__(self, llm: Llm, db: sqlite3.Connection) -> None:
        self.llm = llm
        self.db = db
        self.db.executescript(SCHEMA)

    def text(self, tenant: str, name: str) -> tuple[str, int]:
        """A document, and its version."""
        query = "select text, version from documents where tenant = ? and name = ?"
        row = self.db.execute(query, (tenant, name)).fetchone()
        if row is None:
            raise UnknownDocument(name)
        return row

    async def put(self, tenant: str, name: str, text: str, settings: Settings) -> int:
        """Keep a document, and the vector of each of its paragraphs, by which questions find it."""
        parts = await self.embed(tenant, text, settings)
        self.db.execute(
            "insert into documents values (?, ?, ?, 1) on conflict do update set text = excluded.text, version = version + 1",
            (tenant, name, text),
        )
        return parts

    async def embed(self, tenant: str, text: str, settings: Settings) -> int:
        """Have the vectors of all paragraphs of a text. How many paragraphs it has."""
        parts = split(text)
        await self._vectors(tenant, parts, settings)
        return len(parts)

    async def _vectors(self, tenant: str, parts: list[str], settings: Settings) -> list[list[float]]:
        """Of all these paragraphs. Those that nobody has made yet are made in one call."""
        names = [fingerprint({"of": tenant, "model": settings.embed_model, "text": part}) for part in parts]
        async with lock_for(tenant):
            missing = {name: part for name, part in zip(names, parts, strict=True) if self._known(name) is None}
            if missing:
                key = fingerprint(sorted(missing))
                texts = [spelled(missing[name]) for name in sorted(missing)]
                made = await self.llm.embed_all(tenant, settings.embed_model, texts, key)
                rows = [(name, json.dumps(vector)) for name, vector in zip(sorted(missing), made, strict=True)]
                with transaction(self.db):
                    self.db.executemany("insert or ignore into vectors values (?, ?)", rows)
        return [self._known(name) or [] for name in names]

    def _known(self, name: str) -> list[float] | None:
        found = self.db.execute("select vector from vectors where fingerprint = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    async def ask(self, tenant: str, question: str, settings: Settings) -> str:
        """The answer to a traveller's question, from the paragraphs that are nearest to it."""

        async def embed() -> list[float]:
            return await self.llm.embed(tenant, settings.embed_model, question)

        async def complete() -> str:
            return await self.llm.complete(tenant, settings.llm_model, prompt)

        wanted = await coalesce(fingerprint(["embed", tenant, settings.embed_model, question]), embed)
        texts = self.db.execute("select text from documents where tenant = ?", (tenant,)).fetchall()
        parts = [part for (text,) in texts for part in split(text)]
        vectors = await self._vectors(tenant, parts, settings)
        near = [sum(a * b for a, b in zip(wanted, vector, strict=True)) for vector in vectors]
        best = sorted(range(len(parts)), key=lambda at: -near[at])[: settings.rules]
        rules = "\n".join(parts[at] for at in best)
        prompt = f"Answer from these rules only:\n{rules}\n{question}"
        return await coalesce(fingerprint(["complete", tenant, settings.llm_model, prompt]), complete)

    async def summarise(self, tenant: str, document: str, settings: Settings, key: str) -> Outcome:
        """A summary, as ordered: it is kept, and is on the tenant's bill. `key` is that of the order."""
        call, model, prompt = self._call(tenant, key, document, settings)

        def forget(db: sqlite3.Connection) -> None:
            db.execute("delete from calls where call = ?", (call,))

        try:
            summary = await self.llm.complete(tenant, model, prompt, key=call)
        except Refused as error:  # it would be refused again: that is an answer, too
            no = json.dumps({"detail": str(error)}).encode()
            return Outcome(Reply(502, no), forget)
        made = {"id": str(uuid4()), "document": document, "summary": summary}

        def write(db: sqlite3.Connection) -> None:
            db.execute("insert into summaries values (?, ?, ?, ?)", (made["id"], tenant, document, summary))
            forget(db)

        return Outcome(Reply(201, json.dumps(made).encode()), write)

    def _call(self, tenant: str, key: str, document: str, settings: Settings) -> tuple[str, str, str]:
        """Key, model and prompt of the one call that an order is billed for: each attempt repeats them."""
        text, _ = self.text(tenant, document)
        row = (tenant, key, document, str(uuid4()), settings.llm_model, f"Summarise for a traveller:\n{text}")
        self.db.execute("insert or ignore into calls values (?, ?, ?, ?, ?, ?)", row)
        query = "select call, model, prompt from calls where tenant = ? and key = ? and document = ?"
        return self.db.execute(query, row[:3]).fetchone()

    def summaries(self, tenant: str) -> list[dict]:
        rows = self.db.execute("select id, document, summary from summaries where tenant = ?", (tenant,))
        return [{"id": ident, "document": document, "summary": summary} for ident, document, summary in rows]
