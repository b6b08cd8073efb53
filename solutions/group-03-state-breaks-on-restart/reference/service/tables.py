"""Two plain tables: answers, and bookings."""

import json
import sqlite3
from dataclasses import asdict
from uuid import uuid4

from service.patterns.canonical import Booking


class Answers:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, document, version, question, answer)")

    def add(self, document: str, version: int, question: str, answer: str) -> dict:
        row = {"id": uuid4().hex, "document": document, "version": version, "question": question, "answer": answer}
        self.db.execute("INSERT INTO answers VALUES (:id, :document, :version, :question, :answer)", row)
        return row

    def get(self, answer: str) -> dict | None:
        row = self.db.execute("SELECT * FROM answers WHERE id = ?", (answer,)).fetchone()
        return dict(row) if row else None


class Bookings:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE IF NOT EXISTS bookings (id TEXT PRIMARY KEY, amount_cents INTEGER, at TEXT, body TEXT)")

    def put(self, booking: Booking) -> None:
        row = (booking.id, booking.amount_cents, booking.at, json.dumps(asdict(booking)))
        self.db.execute("INSERT OR REPLACE INTO bookings VALUES (?, ?, ?, ?)", row)

    def all(self) -> list[dict]:
        return [json.loads(row["body"]) for row in self.db.execute("SELECT body FROM bookings ORDER BY at, id")]
