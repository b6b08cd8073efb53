"""Long-running task: work that goes on behind the requests, and can be asked after, stopped, and taken up again."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from service.patterns.state import Job

Work = Callable[[Job, dict[str, Any]], Awaitable[dict[str, Any]]]
"""What is to be done for a job: it returns the result. The dict is the job's own, and is the same when it is retried."""


class UnknownJob(Exception):
    """There is no such job."""


class Shelf:
    """Jobs, and what was made for each of them, on the disk."""

    def __init__(self, file: Path | str) -> None:
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, document TEXT, status TEXT, result TEXT, reason TEXT)"
        )
        self.db.execute("CREATE TABLE IF NOT EXISTS made (job TEXT, name TEXT, value TEXT, PRIMARY KEY (job, name))")

    def put(self, job: Job) -> Job:
        row = (job.id, job.document, job.status, json.dumps(job.result), job.reason)
        self.db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)", row)
        return job

    def jobs(self, where: str, *values: str) -> list[Job]:
        rows = self.db.execute(
            f"SELECT id, document, status, result, reason FROM jobs WHERE {where} ORDER BY rowid", values
        )
        return [
            Job(ident, document, status, json.loads(result), reason) for ident, document, status, result, reason in rows
        ]

    def made(self, job_id: str) -> dict[str, Any]:
        return Made(self.db, job_id)


class Made(dict[str, Any]):
    """The results of one job: what is put in is on the disk."""

    def __init__(self, db: sqlite3.Connection, job_id: str) -> None:
        found = db.execute("SELECT name, value FROM made WHERE job = ?", (job_id,))
        super().__init__((name, json.loads(value)) for name, value in found)
        self.db, self.job_id = db, job_id

    def __setitem__(self, name: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO made VALUES (?, ?, ?)", (self.job_id, name, json.dumps(value)))
        super().__setitem__(name, value)


class JobRunner:
    """Does `work` for each job, `workers` jobs at once; the others are queued, and begin in the order in which
    they came. `resume` takes up what an earlier process left behind."""

    def __init__(self, work: Work, workers: int = 2, file: Path | str = ":memory:") -> None:
        self._work = work
        self._free = workers
        self._shelf = Shelf(file)
        self._running: dict[str, asyncio.Task[None]] = {}

    def submit(self, document: str) -> Job:
        """A new job, queued. Returns at once."""
        job = self._shelf.put(Job(uuid4().hex, document))
        self._begin_next()
        return job

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises UnknownJob."""
        for job in self._shelf.jobs("id = ?", job_id):
            return job
        raise UnknownJob(job_id)

    def cancel(self, job_id: str) -> Job:
        """Stop it, wherever it is: no further call is made for it. Raises UnknownJob and IllegalTransition."""
        job = self._shelf.put(self.get(job_id).apply("cancel"))
        if job_id in self._running:
            self._running[job_id].cancel()
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again; what it has done already stays done. Raises UnknownJob and IllegalTransition."""
        job = self._shelf.put(self.get(job_id).apply("retry"))
        self._begin_next()
        return job

    async def drain(self) -> None:
        """Wait until no job is queued or running. If its work raised, a job has ended as failed, with a reason."""
        while self._running:
            await asyncio.wait(self._running.values())

    def resume(self) -> None:
        """What was running when the last process ended is queued again."""
        self._shelf.db.execute("UPDATE jobs SET status = 'queued' WHERE status = 'running'")
        self._begin_next()

    async def leave(self) -> None:
        """Stop working, and leave the jobs as they are for the next process."""
        self._free = 0
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin_next(self) -> None:
        for job in self._shelf.jobs("status = 'queued'")[: self._free]:
            self._free -= 1
            self._running[job.id] = asyncio.create_task(self._run(self._shelf.put(job.apply("start"))))
            self._running[job.id].add_done_callback(lambda _, job_id=job.id: self._ended(job_id))

    def _ended(self, job_id: str) -> None:
        del self._running[job_id]
        self._free += 1
        self._begin_next()

    async def _run(self, job: Job) -> None:
        try:
            event, fields = "complete", {"result": await self._work(job, self._shelf.made(job.id))}
        except Exception as error:
            event, fields = "fail", {"reason": repr(error)}
        self._shelf.put(self.get(job.id).apply(event, **fields))
