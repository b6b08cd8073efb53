"""The tenants' documents in SQLite, in pieces that can be found, and an index, which is made anew after each change."""

import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np

from service.llm import Llm
from service.patterns.chunking import chunk
from service.settings import Settings

SCHEMA = """
create table if not exists documents(
    tenant text, id text, title text, text text, metadata text, primary key (tenant, id));
create table if not exists pieces(
    tenant text, document text, number integer, header text, text text, vector blob,
    primary key (tenant, document, number));
"""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Piece:
    id: str
    tenant: str
    document: str
    header: str
    text: str
    metadata: dict[str, Any]

    @property
    def whole(self) -> str:
        return f"{self.header}\n{self.text}"


class Shelf:
    """One tenant's pieces, and what scores them."""

    def __init__(self, pieces: list[Piece], vectors: list[bytes]) -> None:
        self.pieces = {piece.id: piece for piece in pieces}
        self.vectors = np.array([np.frombuffer(vector, dtype=np.float32) for vector in vectors])
        self.bm25 = bm25s.BM25()
        self.bm25.index([words(piece.whole) for piece in pieces], show_progress=False)

    def dense(self, vector: list[float]) -> dict[str, float]:
        return dict(zip(self.pieces, (self.vectors @ np.array(vector, dtype=np.float32)).tolist(), strict=True))

    def lexical(self, question: str) -> dict[str, float]:
        asked = words(question)  # none in “???”, and bm25s wants one
        scores = self.bm25.get_scores(asked).tolist() if asked else [0.0] * len(self.pieces)
        return dict(zip(self.pieces, scores, strict=True))


class Library:
    def __init__(self, settings: Settings, llm: Llm) -> None:
        self.llm = llm
        self.most = settings.piece
        self.db = sqlite3.connect(settings.data_dir / "skylark.db", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.shelves: dict[str, Shelf] = {}  # by tenant: only what has not changed since

    async def save(self, tenant: str, documents: list[dict]) -> None:
        """Keep documents, in place of what was there under their ids. Of those with one id, the last."""
        documents = list({document["id"]: document for document in documents}.values())
        pieces = [(document, piece) for document in documents for piece in chunk(document["text"], self.most)]
        headers = [piece.header or document["title"] for document, piece in pieces]
        texts = [f"{header}\n{piece.text}" for header, (_, piece) in zip(headers, pieces, strict=True)]
        vectors = [np.array(each, dtype=np.float32).tobytes() for each in await self.llm.embed(tenant, texts)]
        rows = list(zip(pieces, headers, vectors, strict=True))
        self.db.execute("begin immediate")
        for document in documents:
            self._remove(tenant, document["id"])
            metadata = {name: document[name] for name in ("region", "effective_from", "effective_to")}
            row = (tenant, document["id"], document["title"], document["text"], json.dumps(metadata))
            self.db.execute("insert or replace into documents values (?, ?, ?, ?, ?)", row)
        for number, ((document, piece), header, vector) in enumerate(rows):
            row = (tenant, document["id"], number, header, piece.text, vector)
            self.db.execute("insert or replace into pieces values (?, ?, ?, ?, ?, ?)", row)
        self.db.execute("commit")
        self.shelves.pop(tenant, None)

    def delete(self, tenant: str, ident: str) -> bool:
        """Whether there was such a document."""
        self.shelves.pop(tenant, None)
        return self._remove(tenant, ident)

    def shelf(self, tenant: str) -> Shelf | None:
        """All that the tenant has; None if that is nothing."""
        if tenant not in self.shelves:
            rows = self.db.execute(
                """select document, number, header, pieces.text, vector, metadata
                   from pieces join documents on documents.tenant = pieces.tenant and documents.id = document
                   where pieces.tenant = ? order by document, number""", (tenant,)
            ).fetchall()
            pieces = [Piece(f"{d}#{n}", tenant, d, header, text, json.loads(meta)) for d, n, header, text, _, meta in rows]
            if not pieces:
                return None
            self.shelves[tenant] = Shelf(pieces, [row[4] for row in rows])
        return self.shelves[tenant]

    def _remove(self, tenant: str, ident: str) -> bool:
        self.db.execute("delete from pieces where tenant = ? and document = ?", (tenant, ident))
        return self.db.execute("delete from documents where tenant = ? and id = ?", (tenant, ident)).rowcount == 1


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
