"""Feedback loop: a thumb becomes a case, by way of somebody who looks; and no case becomes an answer."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS thumbs (
    run TEXT, user TEXT, up INTEGER, booking TEXT, question TEXT, answer TEXT, PRIMARY KEY (run, user)
);
CREATE TABLE IF NOT EXISTS reviewed (run TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS golden (id TEXT PRIMARY KEY, slice TEXT, booking TEXT, question TEXT, expected TEXT);
"""


def _same(question: str) -> str:
    """What is equal for questions that are the same but for capitals and white space."""
    return " ".join(question.casefold().split())


class Feedback:
    """Votes, what people have made of them, and the golden cases."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def vote(self, run: str, user: str, up: bool, asked: dict, answer: str) -> None:
        """A user's thumb on a run. His last one counts."""
        row = (run, user, up, asked["booking"], asked["question"], answer)
        self._db.execute("INSERT OR REPLACE INTO thumbs VALUES (?, ?, ?, ?, ?, ?)", row)

    def score(self) -> float | None:
        """The mean over users of the share of their votes that are up."""
        mean = "SELECT avg(share) FROM (SELECT avg(up) AS share FROM thumbs GROUP BY user)"
        return self._db.execute(mean).fetchone()[0]

    def queue(self) -> list[str]:
        """The runs that somebody should look at, those that most users voted down first."""
        down = "SELECT run FROM thumbs WHERE NOT up AND run NOT IN (SELECT run FROM reviewed)"
        rows = self._db.execute(f"{down} GROUP BY run ORDER BY count(*) DESC, min(rowid)")
        return [row["run"] for row in rows]

    def review(self, run: str, expected: str, slice: str) -> str:
        """Somebody has looked. Keeps a golden case, and gives its id."""
        row = self._db.execute("SELECT booking, question FROM thumbs WHERE run = ?", (run,)).fetchone()
        ident = hashlib.sha256(f"{row['booking']} {_same(row['question'])}".encode()).hexdigest()[:16]
        case = (ident, slice, row["booking"], row["question"], expected)
        self._db.execute("INSERT OR REPLACE INTO golden VALUES (?, ?, ?, ?, ?)", case)
        self._db.execute("INSERT OR IGNORE INTO reviewed VALUES (?)", (run,))
        return ident

    def golden(self) -> list[dict]:
        """The cases."""
        return [dict(row) for row in self._db.execute("SELECT * FROM golden ORDER BY id")]

    def examples(self, most: int, beside: Sequence[Mapping[str, str]] = ()) -> list[dict]:
        """For prompts: what was liked, and is asked by no golden case, here or `beside`."""
        liked = "SELECT question, answer FROM thumbs GROUP BY run HAVING sum(up) > sum(NOT up) ORDER BY min(rowid)"
        seen = {_same(case["question"]) for case in [*self.golden(), *beside]}
        found = []
        for row in self._db.execute(liked):
            if _same(row["question"]) not in seen:
                seen.add(_same(row["question"]))
                found.append(dict(row))
        return found[:most]
