"""Externalised state: jobs that belong to no process, and are lent to one at a time."""

import sqlite3
from dataclasses import dataclass


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
        raise NotImplementedError("Jobs in service/patterns/external_state.py")

    def submit(self, key: str, document: str, version: int = 1) -> str:
        """The id of a new job, queued. The same key and document: the job that is there already."""
        raise NotImplementedError("Jobs.submit in service/patterns/external_state.py")

    def get(self, job_id: str) -> dict | None:
        """{"id", "document", "version", "status", "result", "reason"}, or None."""
        raise NotImplementedError("Jobs.get in service/patterns/external_state.py")

    def claim(self, worker: str, lease: float) -> Claim | None:
        """Lend the oldest job that is queued, or whose lease is over, to `worker`, for `lease` seconds. None: there is none.

        That `worker` had it before makes no difference: it may have crashed and come back.
        """
        raise NotImplementedError("Jobs.claim in service/patterns/external_state.py")

    def renew(self, job_id: str, token: int, lease: float) -> None:
        """`lease` seconds from now. Raises Stale, also if the lease was over and somebody else has the job."""
        raise NotImplementedError("Jobs.renew in service/patterns/external_state.py")

    def save(self, job_id: str, token: int, progress: bytes) -> None:
        """Keep how far it has come, for whoever gets the job next. Raises Stale."""
        raise NotImplementedError("Jobs.save in service/patterns/external_state.py")

    def complete(self, job_id: str, token: int, result: dict) -> None:
        """It is done. Raises Stale, and changes nothing then."""
        raise NotImplementedError("Jobs.complete in service/patterns/external_state.py")

    def fail(self, job_id: str, token: int, reason: str) -> None:
        """It has failed. Raises Stale, and changes nothing then."""
        raise NotImplementedError("Jobs.fail in service/patterns/external_state.py")
