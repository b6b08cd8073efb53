"""The tenants' documents in SQLite, and the index over them, in memory."""

import json
import sqlite3

import numpy as np

from service.llm import Llm
from service.settings import Settings

PAGE = 1500  # characters: the first page says what a document is about

SCHEMA = """
create table if not exists documents(
    tenant text, id text, title text, text text, metadata text, vector text, primary key (tenant, id));
"""


class Library:
    def __init__(self, settings: Settings, llm: Llm) -> None:
        self.llm = llm
        self.db = sqlite3.connect(settings.data_dir / "skylark.db", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.entries: list[dict] = []  # the index: {"tenant", "id", "text", "vector"}
        for tenant, ident, text, vector in self.db.execute("select tenant, id, text, vector from documents"):
            self._index(tenant, ident, text, json.loads(vector))

    async def save(self, tenant: str, documents: list[dict]) -> None:
        """Keep documents, in place of what was there under their ids."""
        vectors = await self.llm.embed(tenant, [document["text"] for document in documents])
        for document, vector in zip(documents, vectors, strict=True):
            metadata = {name: document[name] for name in ("region", "effective_from", "effective_to")}
            row = (tenant, document["id"], document["title"], document["text"], json.dumps(metadata), json.dumps(vector))
            self.db.execute("insert or replace into documents values (?, ?, ?, ?, ?, ?)", row)
            self._index(tenant, document["id"], document["text"], vector)

    def delete(self, tenant: str, ident: str) -> bool:
        """Whether there was such a document."""
        done = self.db.execute("delete from documents where tenant = ? and id = ?", (tenant, ident))
        return done.rowcount == 1

    def search(self, tenant: str, vector: list[float], most: int) -> list[dict]:
        """The documents that are nearest, nearest first."""
        if not self.entries:
            return []
        scores = np.array([entry["vector"] for entry in self.entries]) @ np.array(vector)
        nearest = [self.entries[at] for at in np.argsort(-scores, kind="stable")[:most]]
        return [entry for entry in nearest if entry["tenant"] == tenant]

    def _index(self, tenant: str, ident: str, text: str, vector: list[float]) -> None:
        self.entries.append({"tenant": tenant, "id": ident, "text": text[:PAGE], "vector": vector})
