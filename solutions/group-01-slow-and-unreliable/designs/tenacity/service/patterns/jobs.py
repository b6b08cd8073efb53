"""Long-running task: work that goes on behind the requests, and can be asked after, stopped, and taken up again."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from service.patterns.state import Job

Work = Callable[[Job, dict[str, Any]], Awaitable[dict[str, Any]]]
"""What is to be done for a job: it returns the result. The dict is the job's own, and is the same when it is retried."""


class UnknownJob(Exception):
    """There is no such job."""


class JobRunner:
    """Does `work` for each job, `workers` jobs at once; the others are queued, first come, first served."""

    def __init__(self, work: Work, workers: int = 2) -> None:
        self._work = work
        self._number = itertools.count(1)
        self._jobs: dict[str, Job] = {}
        self._made: dict[str, dict[str, Any]] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._workers = workers
        self._crew: list[asyncio.Task[None]] = []  # hired with the first job
        self._at_work: dict[str, asyncio.Task[dict[str, Any]]] = {}

    def submit(self, document: str) -> Job:
        """A new job, queued. Returns at once."""
        job = Job(f"job-{next(self._number)}", document)
        self._made[job.id] = {}
        return self._enqueue(job)

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises UnknownJob."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJob(job_id) from None

    def cancel(self, job_id: str) -> Job:
        """Stop it, wherever it is: no further call is made for it. Raises UnknownJob and IllegalTransition."""
        job = self._jobs[job_id] = self.get(job_id).apply("cancel")
        if job_id in self._at_work:
            self._at_work[job_id].cancel()
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again; what it has done already stays done. Raises UnknownJob and IllegalTransition."""
        return self._enqueue(self.get(job_id).apply("retry"))

    async def drain(self) -> None:
        """Wait until no job is queued or running. If its work raised, a job has ended as failed, with a reason."""
        await self._queue.join()

    def _enqueue(self, job: Job) -> Job:
        self._jobs[job.id] = job
        self._queue.put_nowait(job.id)
        if not self._crew:
            self._crew = [asyncio.create_task(self._serve()) for _ in range(self._workers)]
        return job

    async def _serve(self) -> None:
        while True:
            job_id = await self._queue.get()
            if self._jobs[job_id].status == "queued":  # else it was cancelled in the queue
                await self._do(job_id)
            self._queue.task_done()

    async def _do(self, job_id: str) -> None:
        job = self._jobs[job_id] = self._jobs[job_id].apply("start")
        task = self._at_work[job_id] = asyncio.ensure_future(self._work(job, self._made[job_id]))
        await asyncio.wait({task})
        del self._at_work[job_id]
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            event, fields = "fail", {"reason": "it was stopped"}
        elif error is not None:
            event, fields = "fail", {"reason": repr(error)}
        else:
            event, fields = "complete", {"result": task.result()}
        self._jobs[job_id] = self._jobs[job_id].apply(event, **fields)
