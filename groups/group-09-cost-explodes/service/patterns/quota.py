"""Quota enforcement: what one tenant may take of what all share."""

import sqlite3


class Quota:
    """Calls that were let in, in the file that all replicas share.

    No test calls what is in here: HTTP shows it all, so shape it as you like.
    """

    def __init__(self, db: sqlite3.Connection, window: float = 60.0) -> None:
        raise NotImplementedError("Quota in service/patterns/quota.py")

    def admit(self, tenant: str, limit: int) -> float:
        """0 if one more call of the tenant is let in, and it counts from now on; else the seconds after which one will
        be.

        In any `window` seconds, at most `limit` are let in. Who is turned away does not count.
        """
        raise NotImplementedError("Quota.admit in service/patterns/quota.py")
