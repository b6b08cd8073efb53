"""Long-running task: work that goes on behind the requests, and can be asked after, stopped, and taken up again."""

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
        raise NotImplementedError("JobRunner in service/patterns/jobs.py")

    def submit(self, document: str) -> Job:
        """A new job, queued. Returns at once."""
        raise NotImplementedError("JobRunner.submit in service/patterns/jobs.py")

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises UnknownJob."""
        raise NotImplementedError("JobRunner.get in service/patterns/jobs.py")

    def cancel(self, job_id: str) -> Job:
        """Stop it, wherever it is: no further call is made for it. Raises UnknownJob and IllegalTransition."""
        raise NotImplementedError("JobRunner.cancel in service/patterns/jobs.py")

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again; what it has done already stays done. Raises UnknownJob and IllegalTransition."""
        raise NotImplementedError("JobRunner.retry in service/patterns/jobs.py")

    async def drain(self) -> None:
        """Wait until no job is queued or running. If its work raised, a job has ended as failed, with a reason."""
        raise NotImplementedError("JobRunner.drain in service/patterns/jobs.py")
