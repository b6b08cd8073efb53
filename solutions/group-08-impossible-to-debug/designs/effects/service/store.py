"""The desk's file (SQLite, below DATA_DIR): documents, settings that change, votes, the golden set."""

import json
import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, text TEXT);
CREATE TABLE IF NOT EXISTS config (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS votes (number INTEGER PRIMARY KEY, up INTEGER);
"""
CONFIG = {"window": 4000, "max_tokens": 80, "share": 0}
"""Characters of documents that the model is given; tokens of its answer; the share of users that get the new prompt."""


def connect(data_dir: Path) -> sqlite3.Connection:
    """A connection in which each statement stands alone, and which any thread may use."""
    db = sqlite3.connect(data_dir / "desk.db", timeout=10.0, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.executescript(SCHEMA)
    return db


def read_config(db: sqlite3.Connection) -> dict:
    stored = {row["name"]: json.loads(row["value"]) for row in db.execute("SELECT name, value FROM config")}
    return CONFIG | stored


def write_config(db: sqlite3.Connection, **values: object) -> None:
    for name, value in values.items():
        db.execute("INSERT OR REPLACE INTO config VALUES (?, ?)", (name, json.dumps(value)))


def search(db: sqlite3.Connection, question: str, most: int) -> list[dict]:
    """The documents that share most words with the question, best first: [{"id", "text"}]."""
    wanted = {word.strip("?.,()") for word in question.lower().split()}
    rows = [dict(row) for row in db.execute("SELECT id, text FROM documents ORDER BY id")]
    shared = {row["id"]: len(wanted & {word.strip("?.,()") for word in row["text"].lower().split()}) for row in rows}
    return sorted(rows, key=lambda row: -shared[row["id"]])[:most]
