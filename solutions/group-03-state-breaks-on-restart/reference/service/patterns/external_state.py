"""Externalised state: jobs that belong to no process, and are lent to one at a time."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4


class Stale(Exception):
    """Whoever reports is not the one that the job is lent to: it was given to another, or has ended."""


@dataclass(frozen=True)
class Claim:
    """A job that is lent to a worker until its lease is over. `token` is greater with each time it is lent."""

    job: str
    document: str
    version: int  # of the document's text, when the job was ordered
    token: int
    progress: bytes | None = None  # what was saved last, by whomever


class Jobs:
    """queued, running, done or failed: in the file, for all processes.

    A job is lent to one worker at a time: nobody else gets it before the lease is over, and anybody may after that. A
    worker that is late may not know that it is: what it reports with an old token is refused. Time is time.time().
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(
            """CREATE TABLE IF NOT EXISTS jobs (
                number INTEGER PRIMARY KEY, id TEXT UNIQUE, key TEXT, document TEXT, version INTEGER, status TEXT,
                worker TEXT, token INTEGER, leased_until REAL, progress BLOB, result TEXT, reason TEXT,
                UNIQUE (key, document)
            )"""
        )

    def submit(self, key: str, document: str, version: int = 1) -> str:
        """The id of a new job, queued. The same key and document: the job that is there already."""
        self.db.execute(
            """INSERT INTO jobs (id, key, document, version, status, token, leased_until)
               VALUES (?, ?, ?, ?, 'queued', 0, 0) ON CONFLICT DO NOTHING""",
            (uuid4().hex, key, document, version),
        )
        return self.db.execute("SELECT id FROM jobs WHERE key = ? AND document = ?", (key, document)).fetchone()[0]

    def get(self, job_id: str) -> dict | None:
        """{"id", "document", "version", "status", "result", "reason"}, or None."""
        columns = "id, document, version, status, result, reason"
        row = self.db.execute(f"SELECT {columns} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return {**row, "result": json.loads(row["result"] or "null")} if row else None

    def claim(self, worker: str, lease: float) -> Claim | None:
        """Lend the oldest job that is queued, or whose lease is over, to `worker`, for `lease` seconds. None: there is none.

        That `worker` had it before makes no difference: it may have crashed and come back.
        """
        row = self.db.execute(
            """UPDATE jobs SET status = 'running', worker = :worker, token = token + 1, leased_until = :now + :lease
               WHERE number = (SELECT min(number) FROM jobs WHERE status IN ('queued', 'running') AND leased_until <= :now)
               RETURNING id, document, version, token, progress""",
            {"worker": worker, "now": time.time(), "lease": lease},
        ).fetchone()
        return Claim(*row) if row else None

    def renew(self, job_id: str, token: int, lease: float) -> None:
        """`lease` seconds from now. Raises Stale, also if the lease was over and somebody else has the job."""
        self._report(job_id, token, "leased_until = ?", time.time() + lease)

    def save(self, job_id: str, token: int, progress: bytes) -> None:
        """Keep how far it has come, for whoever gets the job next. Raises Stale."""
        self._report(job_id, token, "progress = ?", progress)

    def complete(self, job_id: str, token: int, result: dict) -> None:
        """It is done. Raises Stale, and changes nothing then."""
        self._report(job_id, token, "status = 'done', result = ?", json.dumps(result))

    def fail(self, job_id: str, token: int, reason: str) -> None:
        """It has failed. Raises Stale, and changes nothing then."""
        self._report(job_id, token, "status = 'failed', reason = ?", reason)

    def _report(self, job_id: str, token: int, change: str, value: Any) -> None:
        """The token is the fence: it is looked at in the very statement that writes."""
        where = "id = ? AND token = ? AND status = 'running'"
        if not self.db.execute(f"UPDATE jobs SET {change} WHERE {where}", (value, job_id, token)).rowcount:
            raise Stale(job_id)
