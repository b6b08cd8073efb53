"""The tenants' documents in SQLite, and what scores their pieces, written by hand: lists, dicts and a little arithmetic."""

import json
import math
import re
import sqlite3
from collections import Counter, defaultdict

from service.llm import Llm
from service.patterns.chunking import chunk
from service.settings import Settings

SCHEMA = """
create table if not exists pieces(
    id text primary key, tenant text, document text, header text, text text, metadata text, vector text);
create index if not exists of_document on pieces(tenant, document);
create table if not exists documents(tenant text, id text, primary key (tenant, id));
"""


class Library:
    def __init__(self, settings: Settings, llm: Llm) -> None:
        self.llm = llm
        self.db = sqlite3.connect(settings.data_dir / "skylark.db", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.pieces: dict[str, dict[str, dict]] = defaultdict(dict)  # tenant -> id -> piece
        for row in self.db.execute("select id, tenant, document, header, text, metadata, vector from pieces"):
            self._shelve(*row)

    async def save(self, tenant: str, documents: list[dict]) -> None:
        documents, rows = list({document["id"]: document for document in documents}.values()), []
        for document in documents:
            metadata = {name: document[name] for name in ("region", "effective_from", "effective_to")}
            for part in chunk(document["text"]):
                ident = f"{document['id']}#{part.start}-{part.end}"
                header = part.header or document["title"]
                rows.append([ident, tenant, document["id"], header, part.text, json.dumps(metadata)])
        vectors = await self.llm.embed(tenant, [f"{header}\n{text}" for _, _, _, header, text, _ in rows])
        rows = [(*row, json.dumps(vector)) for row, vector in zip(rows, vectors, strict=True)]
        for document in documents:
            self.delete(tenant, document["id"])
            self.db.execute("insert into documents values (?, ?)", (tenant, document["id"]))
        for row in rows:
            full = (f"{tenant}/{row[0]}", *row[1:])
            self.db.execute("insert into pieces values (?, ?, ?, ?, ?, ?, ?)", full)
            self._shelve(*full)

    def delete(self, tenant: str, document: str) -> bool:
        shelf = self.pieces[tenant]
        for ident in [ident for ident, piece in shelf.items() if piece["document"] == document]:
            del shelf[ident]
        self.db.execute("delete from pieces where tenant = ? and document = ?", (tenant, document))
        gone = self.db.execute("delete from documents where tenant = ? and id = ?", (tenant, document))
        return gone.rowcount == 1

    def _shelve(self, ident: str, tenant: str, document: str, header: str, text: str, metadata: str, vector: str) -> None:
        whole = f"{header}\n{text}"
        self.pieces[tenant][ident] = {
            "id": ident.removeprefix(f"{tenant}/"), "tenant": tenant, "document": document, "header": header, "text": text,
            "whole": whole, "metadata": json.loads(metadata), "words": Counter(words(whole)),
            "vector": {at: x for at, x in enumerate(json.loads(vector)) if x},
        }


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def dense(pieces: list[dict], vector: list[float]) -> dict[str, float]:
    return {piece["id"]: sum(x * vector[at] for at, x in piece["vector"].items()) for piece in pieces}


def lexical(pieces: list[dict], question: str) -> dict[str, float]:
    """Okapi's BM25, over the pieces that may be looked at."""
    mean = sum(piece["words"].total() for piece in pieces) / max(1, len(pieces))
    scores = dict.fromkeys((piece["id"] for piece in pieces), 0.0)
    for word in set(words(question)):
        having = [piece for piece in pieces if word in piece["words"]]
        rare = math.log(1 + (len(pieces) - len(having) + 0.5) / (len(having) + 0.5))
        for piece in having:
            times = piece["words"][word]
            scores[piece["id"]] += rare * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * piece["words"].total() / mean))
    return scores
