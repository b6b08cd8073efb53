"""Idempotent command: one intent has one effect, however often, and wherever, it is sent.

No test calls what is in here: HTTP shows it all, so shape it as you like.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


class KeyReused(Exception):
    """This key came before, with something else: 422."""


class InProgress(Exception):
    """What came with this key is under way: 409, and Retry-After."""


@dataclass(frozen=True)
class Reply:
    """What is told to whoever comes with the key, now and later, byte by byte."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """What a command has come to. `write` puts its rows into the database, in the transaction that keeps the reply."""

    reply: Reply
    write: Callable[[sqlite3.Connection], None] = lambda db: None


class IdempotentCommands:
    """The keys that came, in the database that all replicas share.

    A key belongs to a tenant. While its command runs, it is held by a lease of `lease` seconds, which is renewed as long as
    the process lives; a reply is kept for `keep` seconds.
    """

    def __init__(self, db: sqlite3.Connection, lease: float = 20.0, keep: float = 24 * 3600.0) -> None:
        raise NotImplementedError("IdempotentCommands in service/patterns/idempotent_command.py")

    async def execute(
        self, tenant: str, key: str, fingerprint: str, command: Callable[[], Awaitable[Outcome]]
    ) -> Reply:
        """The reply that is kept; or else hold the key, run the command, and keep what it comes to.

        `fingerprint` is that of what is asked for. Raises KeyReused, InProgress, and what `command` raises: then nothing
        is kept, and the key is free. Who has lost the lease meanwhile keeps nothing.
        """
        raise NotImplementedError("IdempotentCommands.execute in service/patterns/idempotent_command.py")
