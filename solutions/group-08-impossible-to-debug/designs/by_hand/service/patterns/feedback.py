"""Feedback loop: all that was ever said, in one table, and everything else is computed from it."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from uuid import NAMESPACE_OID, uuid5

SCHEMA = "CREATE TABLE IF NOT EXISTS said (number INTEGER PRIMARY KEY, kind TEXT, told TEXT);"


def _same(question: str) -> str:
    return " ".join(question.lower().split())


class Feedback:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def vote(self, run: str, user: str, up: bool, asked: dict, answer: str) -> None:
        self._say("vote", {"run": run, "user": user, "up": bool(up), "asked": asked, "answer": answer})

    def score(self) -> float | None:
        by_user = defaultdict(list)
        for vote in self._votes():
            by_user[vote["user"]].append(vote["up"])
        shares = [sum(ups) / len(ups) for ups in by_user.values()]
        return sum(shares) / len(shares) if shares else None

    def queue(self) -> list[str]:
        seen = {review["run"] for review in self._told("review")}
        down = Counter(vote["run"] for vote in self._votes() if not vote["up"])
        return [run for run, _ in down.most_common() if run not in seen]

    def review(self, run: str, expected: str, slice: str) -> str:
        asked = next(vote["asked"] for vote in self._told("vote") if vote["run"] == run)
        ident = str(uuid5(NAMESPACE_OID, json.dumps([asked["booking"], _same(asked["question"])])))
        case = {"id": ident, "slice": slice, **asked, "expected": expected}
        self._say("review", {"run": run, "case": case})
        return ident

    def golden(self) -> list[dict]:
        return list({review["case"]["id"]: review["case"] for review in self._told("review")}.values())

    def examples(self, most: int, beside: Sequence[Mapping[str, str]] = ()) -> list[dict]:
        balance: Counter[str] = Counter()
        by_run = {}
        for vote in self._votes():
            balance[vote["run"]] += 1 if vote["up"] else -1
            by_run[vote["run"]] = vote
        taken = {_same(case["question"]) for case in (*self.golden(), *beside)}
        found = {}
        for run, vote in by_run.items():
            question = vote["asked"]["question"]
            if balance[run] > 0 and _same(question) not in taken:
                found.setdefault(_same(question), {"question": question, "answer": vote["answer"]})
        return list(found.values())[:most]

    def _votes(self) -> list[dict]:
        """The last of each user on each run."""
        return list({(vote["run"], vote["user"]): vote for vote in self._told("vote")}.values())

    def _say(self, kind: str, told: dict) -> None:
        self._db.execute("INSERT INTO said (kind, told) VALUES (?, ?)", (kind, json.dumps(told)))

    def _told(self, kind: str) -> Iterator[dict]:
        for row in self._db.execute("SELECT told FROM said WHERE kind = ? ORDER BY number", (kind,)).fetchall():
            yield json.loads(row["told"])
