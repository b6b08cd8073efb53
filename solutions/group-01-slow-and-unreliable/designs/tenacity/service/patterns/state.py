"""State: what a job may become, and what it may not any more."""

from dataclasses import dataclass, replace
from typing import Any

NEXT = {
    ("queued", "start"): "running",
    ("queued", "cancel"): "cancelled",
    ("running", "cancel"): "cancelled",
    ("running", "complete"): "done",
    ("running", "fail"): "failed",
    ("failed", "retry"): "queued",
}
ENDS = {"done", "failed", "cancelled"}


class IllegalTransition(Exception):
    """In this state, that event cannot happen."""


@dataclass(frozen=True)
class Job:
    """A document to be summarised, and how far that has come.

        queued  --start-->    running        queued, running  --cancel-->  cancelled
        running --complete--> done           running          --fail-->    failed
        failed  --retry-->    queued

    done, failed and cancelled are ends. Work that is told late to stop may still finish: `complete` and `fail` change
    nothing at an end. Every other event that is not drawn here raises IllegalTransition.
    """

    id: str
    document: str
    status: str = "queued"
    result: dict | None = None  # when done
    reason: str | None = None  # when failed

    def apply(self, event: str, **fields: Any) -> "Job":
        """The job after `event`; this one stays as it is. `fields` (result=…, reason=…) come with `complete` and `fail`.

        After a retry there is no reason any more. Where nothing changes, nothing at all does: `fields` are left out.
        """
        if (self.status, event) in NEXT:
            return replace(self, **{"result": None, "reason": None, **fields, "status": NEXT[self.status, event]})
        if self.status in ENDS and event in ("complete", "fail"):
            return self
        raise IllegalTransition(f"a job that is {self.status} cannot {event}")
