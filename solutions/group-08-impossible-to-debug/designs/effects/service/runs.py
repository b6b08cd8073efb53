"""Runs and traces in the file: what went in, what came out, and by which way. Nothing is written here uncleaned."""

import hashlib
import json
import sqlite3
from typing import Any

from service.patterns.recording import Redactor

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, trace_id TEXT, status TEXT DEFAULT 'running', user TEXT, booking TEXT,
    question TEXT, answer TEXT, reference TEXT, error TEXT, steps TEXT DEFAULT '[]'
);
CREATE TABLE IF NOT EXISTS texts (sha256 TEXT PRIMARY KEY, text TEXT);
CREATE TABLE IF NOT EXISTS traces (trace_id TEXT, spans TEXT);
CREATE INDEX IF NOT EXISTS traces_by_id ON traces (trace_id);
"""
LONG = 300  # characters: a text that is longer is kept once, by its hash
KEPT = "$text"


class Runs:
    def __init__(self, db: sqlite3.Connection, redactor: Redactor) -> None:
        self._db, self._redactor = db, redactor
        db.executescript(SCHEMA)

    def begin(self, run: str, trace_id: str, user: str, booking: str, question: str) -> None:
        clean = self._redactor.clean
        row = (run, trace_id, self._redactor.pseudonym(user), clean(booking), json.dumps(self._pack(clean(question))))
        self._db.execute("INSERT INTO runs (id, trace_id, user, booking, question) VALUES (?, ?, ?, ?, ?)", row)

    def end(self, run: str, status: str, steps: list[dict], answer: dict, error: str | None) -> None:
        """`steps` come from a journal, which has cleaned them."""
        told = [self._redactor.clean(each) for each in (answer.get("answer"), answer.get("reference"), error)]
        row = (status, *told, json.dumps(self._pack(steps)), run)
        self._db.execute("UPDATE runs SET status = ?, answer = ?, reference = ?, error = ?, steps = ? WHERE id = ?", row)

    def find(self, run: str) -> dict | None:
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None:
            return None
        told = {name: row[name] for name in row.keys() if name != "number"}  # a Row itself iterates over values
        return told | {name: self._unpack(json.loads(row[name])) for name in ("question", "steps")}

    def listed(self) -> list[dict]:
        names = "id, trace_id, status, user"
        return [dict(row) for row in self._db.execute(f"SELECT {names} FROM runs ORDER BY number")]

    def keep_trace(self, trace_id: str, spans: list[dict]) -> None:
        """Nothing in a span comes from outside: there is nothing to clean."""
        self._db.execute("INSERT INTO traces VALUES (?, ?)", (trace_id, json.dumps(spans)))

    def trace(self, trace_id: str) -> list[dict]:
        rows = self._db.execute("SELECT spans FROM traces WHERE trace_id = ?", (trace_id,))
        return [span for row in rows for span in json.loads(row["spans"])]

    def _pack(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._pack(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._pack(each) for each in value]
        if not isinstance(value, str) or len(value) <= LONG:
            return value
        digest = hashlib.sha256(value.encode()).hexdigest()
        self._db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, value))
        return {KEPT: digest}

    def _unpack(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._unpack(each) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {KEPT}:
            return self._db.execute("SELECT text FROM texts WHERE sha256 = ?", (value[KEPT],)).fetchone()["text"]
        return {name: self._unpack(each) for name, each in value.items()}
