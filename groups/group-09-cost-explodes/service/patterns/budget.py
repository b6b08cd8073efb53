"""Budget enforcement: money is reserved before it is spent, and what was not needed comes back."""

import sqlite3


class Exhausted(Exception):
    """There is no room for this in the tenant's budget of the month: 402."""


class Busy(Exception):
    """There may be room in a moment: calls under way hold it. 429, and Retry-After."""


def month(at: float, zone: str) -> str:
    """The month, such as 2026-01, of a moment (seconds since 1970) in a zone of the time zone database (Asia/Tokyo)."""
    raise NotImplementedError("month in service/patterns/budget.py")


class Budget:
    """What was spent and what is reserved, by tenant and month, in the file that all replicas share.

    No test calls what is in here, but for `month`: HTTP shows it all, so shape it as you like.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Budget in service/patterns/budget.py")

    def reserve(self, tenant: str, key: str, at_most: int) -> None:
        """Hold the most that a call may cost. Raises Exhausted and Busy, and then holds nothing.

        A try that may be billed keeps what it holds; the next one needs as much again.
        """
        raise NotImplementedError("Budget.reserve in service/patterns/budget.py")

    def settle(self, key: str, micro_dollars: int) -> None:
        """The call has cost so much (0: nothing is billed); what was held beyond that is free again."""
        raise NotImplementedError("Budget.settle in service/patterns/budget.py")
