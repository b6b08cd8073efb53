"""Idempotent command: one intent has one effect, however often, and wherever, it is sent."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from service.database import transaction

SCHEMA = """
create table if not exists keys(
    tenant text, key text, fingerprint text, token text, until real, status integer, body blob,
    primary key (tenant, key)
)
"""


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
    the process lives; a reply is kept for `keep` seconds. `until` is the end of either.
    """

    def __init__(self, db: sqlite3.Connection, lease: float = 20.0, keep: float = 24 * 3600.0) -> None:
        self.db = db
        self.lease = lease
        self.keep = keep
        db.execute(SCHEMA)

    async def execute(
        self, tenant: str, key: str, fingerprint: str, command: Callable[[], Awaitable[Outcome]]
    ) -> Reply:
        """The reply that is kept; or else hold the key, run the command, and keep what it comes to.

        `fingerprint` is that of what is asked for. Raises KeyReused, InProgress, and what `command` raises: then nothing
        is kept, and the key is free. Who has lost the lease meanwhile keeps nothing.
        """
        token = str(uuid4())
        if reply := self._reserve(tenant, key, fingerprint, token):
            return reply
        renewing = asyncio.create_task(self._renew(token))
        try:
            outcome = await command()
        except BaseException:
            self.db.execute("delete from keys where token = ?", (token,))
            raise
        finally:
            renewing.cancel()
        with transaction(self.db):
            kept = self.db.execute(
                "update keys set status = ?, body = ?, until = ? where token = ?",
                (outcome.reply.status, outcome.reply.body, time.time() + self.keep, token),
            )
            if not kept.rowcount:  # we were away for too long: somebody else does it, or has done it
                raise InProgress
            outcome.write(self.db)
        return outcome.reply

    def _reserve(self, tenant: str, key: str, fingerprint: str, token: str) -> Reply | None:
        """Hold the key, if it is free; else the reply that is kept."""
        now = time.time()
        with transaction(self.db):
            self.db.execute("delete from keys where until <= ?", (now,))  # old replies, and leases of the dead
            found = self.db.execute(
                "select fingerprint, status, body from keys where tenant = ? and key = ?", (tenant, key)
            ).fetchone()
            if found is None:
                row = (tenant, key, fingerprint, token, now + self.lease)
                self.db.execute("insert into keys values (?, ?, ?, ?, ?, null, null)", row)
                return None
        if found[0] != fingerprint:
            raise KeyReused
        if found[1] is None:
            raise InProgress
        return Reply(found[1], found[2])

    async def _renew(self, token: str) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            until = time.time() + self.lease
            self.db.execute("update keys set until = ? where token = ? and status is null", (until, token))
