"""Long-running task: work that goes on behind the requests, and can be asked after, stopped, and taken up again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from service.patterns.state import Job

Work = Callable[[Job, dict[str, Any]], Awaitable[dict[str, Any]]]
"""What is to be done for a job: it returns the result. The dict is the job's own, and is the same when it is retried."""


log = logging.getLogger(__name__)


class UnknownJob(Exception):
    """There is no such job."""


class JobRunner:
    """Does `work` for each job, `workers` jobs at once; the others are queued, first come, first served."""

    def __init__(self, work: Work, workers: int = 2) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(workers)
        self._jobs: dict[str, Job] = {}
        self._done: dict[str, dict[str, Any]] = {}  # what each job has made so far
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def submit(self, document: str) -> Job:
        """A new job, queued. Returns at once."""
        job = Job(str(uuid4()), document)
        self._done[job.id] = {}
        return self._enqueue(job)

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises UnknownJob."""
        if job_id not in self._jobs:
            raise UnknownJob(job_id)
        return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """Stop it, wherever it is: no further call is made for it. Raises UnknownJob and IllegalTransition."""
        self._apply(job_id, "cancel")
        self._tasks[job_id].cancel()
        return self._jobs[job_id]

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again; what it has done already stays done. Raises UnknownJob and IllegalTransition."""
        return self._enqueue(self.get(job_id).apply("retry"))

    async def drain(self) -> None:
        """Wait until no job is queued or running. If its work raised, a job has ended as failed, with a reason."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _apply(self, job_id: str, event: str, **fields: Any) -> Job:
        self._jobs[job_id] = self.get(job_id).apply(event, **fields)
        return self._jobs[job_id]

    def _enqueue(self, job: Job) -> Job:
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job.id))
        return job

    async def _run(self, job_id: str) -> None:
        async with self._slots:
            job = self._apply(job_id, "start")
            try:
                result = await self._work(job, self._done[job_id])
            except Exception as error:
                log.exception("job %s has failed", job_id)
                self._apply(job_id, "fail", reason=f"{type(error).__name__}: {error}")
            else:
                self._apply(job_id, "complete", result=result)
