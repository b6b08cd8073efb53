"""Externalised state: jobs that belong to no process, and are lent to one at a time."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from service.store import transaction


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
        for table in TABLES:
            db.execute(f"CREATE TABLE IF NOT EXISTS {table}")

    def submit(self, key: str, document: str, version: int = 1) -> str:
        """The id of a new job, queued. The same key and document: the job that is there already."""
        job = uuid5(NAMESPACE_URL, f"{document}/{key}").hex  # made of what makes it the same job
        self.db.execute("INSERT INTO jobs VALUES (NULL, ?, ?, ?) ON CONFLICT DO NOTHING", (job, document, version))
        return job

    def get(self, job_id: str) -> dict | None:
        """{"id", "document", "version", "status", "result", "reason"}, or None."""
        row = self.db.execute(
            """SELECT id, document, version, result, reason, ends.job AS ended,
                      EXISTS (SELECT 1 FROM loans WHERE loans.job = id) AS begun
               FROM jobs LEFT JOIN ends ON ends.job = id WHERE id = ?""",
            (job_id,),
        ).fetchone()
        if row is None:
            return None
        ended = "done" if row["reason"] is None else "failed"
        status = ended if row["ended"] else "running" if row["begun"] else "queued"
        told = {name: row[name] for name in ("id", "document", "version", "reason")}
        return {**told, "status": status, "result": json.loads(row["result"] or "null")}

    def claim(self, worker: str, lease: float) -> Claim | None:
        """Lend the oldest job that is queued, or whose lease is over, to `worker`, for `lease` seconds. None: there is none.

        That `worker` had it before makes no difference: it may have crashed and come back.
        """
        now = time.time()
        lent = self.db.execute(
            """INSERT INTO loans (job, worker, ends)
               SELECT id, ?, ? FROM jobs WHERE id NOT IN (SELECT job FROM ends)
               AND NOT EXISTS (SELECT 1 FROM loans WHERE job = id AND ends > ?) ORDER BY number LIMIT 1
               RETURNING token, job""",
            (worker, now + lease, now),
        ).fetchone()
        if lent is None:
            return None
        document, version = self.db.execute("SELECT document, version FROM jobs WHERE id = ?", (lent["job"],)).fetchone()
        saved = self.db.execute("SELECT data FROM saved WHERE job = ?", (lent["job"],)).fetchone()
        return Claim(lent["job"], document, version, lent["token"], saved and saved["data"])

    def renew(self, job_id: str, token: int, lease: float) -> None:
        """`lease` seconds from now. Raises Stale, also if the lease was over and somebody else has the job."""
        self._only_for(job_id, token, "UPDATE loans SET ends = ? WHERE token = ?", time.time() + lease, token)

    def save(self, job_id: str, token: int, progress: bytes) -> None:
        """Keep how far it has come, for whoever gets the job next. Raises Stale."""
        self._only_for(job_id, token, "INSERT OR REPLACE INTO saved VALUES (?, ?)", job_id, progress)

    def complete(self, job_id: str, token: int, result: dict) -> None:
        """It is done. Raises Stale, and changes nothing then."""
        self._only_for(job_id, token, "INSERT INTO ends VALUES (?, ?, NULL)", job_id, json.dumps(result))

    def fail(self, job_id: str, token: int, reason: str) -> None:
        """It has failed. Raises Stale, and changes nothing then."""
        self._only_for(job_id, token, "INSERT INTO ends VALUES (?, NULL, ?)", job_id, reason)

    def _only_for(self, job_id: str, token: int, statement: str, *values: Any) -> None:
        """Run a statement if `token` is that of the last loan, and the job has not ended."""
        with transaction(self.db):
            (last,) = self.db.execute("SELECT max(token) FROM loans WHERE job = ?", (job_id,)).fetchone()
            if last != token or self.db.execute("SELECT 1 FROM ends WHERE job = ?", (job_id,)).fetchone():
                raise Stale(job_id)
            self.db.execute(statement, values)


TABLES = (
    "jobs (number INTEGER PRIMARY KEY, id TEXT UNIQUE, document TEXT, version INTEGER)",
    "loans (token INTEGER PRIMARY KEY, job TEXT, worker TEXT, ends REAL)",
    "saved (job TEXT PRIMARY KEY, data BLOB)",
    "ends (job TEXT PRIMARY KEY, result TEXT, reason TEXT)",
)
"""Nothing of a job is overwritten: a loan is a row, and so is its end. The number of the loan is the fencing token."""
