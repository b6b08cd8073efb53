"""The tenants' documents, the summaries made of them, and the answers found in them. In one SQLite file for all replicas."""

import asyncio
import json
import os
import sqlite3
from pathlib import Path
from uuid import uuid4

from service.clients import Llm
from service.settings import Settings

SCHEMA = """
create table if not exists documents(tenant text, name text, text text, primary key (tenant, name));
create table if not exists paragraphs(tenant text, name text, number integer, text text, vector text);
create table if not exists summaries(id text primary key, tenant text, document text, summary text);
"""


class UnknownDocument(Exception):
    """The tenant has no such document."""


def split(text: str) -> list[str]:
    """The paragraphs of a text: they stand apart by an empty line."""
    return [part.strip() for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


class Library:
    def __init__(self, llm: Llm) -> None:
        self.llm = llm
        self.db = sqlite3.connect(Path(os.environ["DATA_DIR"]) / "skylark.db", isolation_level=None)
        self.db.executescript(SCHEMA)

    def text(self, tenant: str, name: str) -> str:
        row = self.db.execute("select text from documents where tenant = ? and name = ?", (tenant, name)).fetchone()
        if row is None:
            raise UnknownDocument(name)
        return row[0]

    async def put(self, tenant: str, name: str, text: str, settings: Settings) -> int:
        """Keep a document, and the vector of each of its paragraphs, by which questions find it."""
        parts = split(text)
        vectors = await asyncio.gather(*(self.llm.embed(tenant, settings.embed_model, part) for part in parts))
        self.db.execute("begin immediate")
        self.db.execute("insert or replace into documents values (?, ?, ?)", (tenant, name, text))
        self.db.execute("delete from paragraphs where tenant = ? and name = ?", (tenant, name))
        rows = [(tenant, name, at, part, json.dumps(vectors[at])) for at, part in enumerate(parts)]
        self.db.executemany("insert into paragraphs values (?, ?, ?, ?, ?)", rows)
        self.db.execute("commit")
        return len(parts)

    async def ask(self, tenant: str, question: str, settings: Settings) -> str:
        """The answer to a traveller's question, from the paragraphs that are nearest to it."""
        wanted = await self.llm.embed(tenant, settings.embed_model, question)
        rows = self.db.execute("select text, vector from paragraphs where tenant = ?", (tenant,)).fetchall()
        rows.sort(key=lambda row: -sum(a * b for a, b in zip(wanted, json.loads(row[1]), strict=True)))
        rules = "\n".join(text for text, _ in rows[: settings.rules])
        prompt = f"Answer from these rules only:\n{rules}\n{question}"
        return await self.llm.complete(tenant, settings.llm_model, prompt)

    async def summarise(self, tenant: str, document: str, settings: Settings) -> dict:
        """A summary, as ordered: it is kept, and is on the tenant's bill."""
        prompt = f"Summarise for a traveller:\n{self.text(tenant, document)}"
        summary = await self.llm.complete(tenant, settings.llm_model, prompt)
        made = {"id": str(uuid4()), "document": document, "summary": summary}
        self.db.execute("insert into summaries values (?, ?, ?, ?)", (made["id"], tenant, document, summary))
        return made

    def summaries(self, tenant: str) -> list[dict]:
        rows = self.db.execute("select id, document, summary from summaries where tenant = ?", (tenant,))
        return [{"id": ident, "document": document, "summary": summary} for ident, document, summary in rows]
