"""Timeout: one budget for the whole request, however many calls it takes."""

import time


class DeadlineExceeded(Exception):
    """The request has used up its budget."""


class Deadline:
    """A moment by which a request must be answered. It begins when it is made; time spent anywhere counts.

    Deadline(10).remaining() is just under 10. It falls as time passes, and is 0.0, never less, once the time is up.
    Somebody who sets the machine's clock does not move it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left: what a call that starts now may still take."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise DeadlineExceeded if the time is up; else do nothing."""
        if not self.remaining():
            raise DeadlineExceeded
