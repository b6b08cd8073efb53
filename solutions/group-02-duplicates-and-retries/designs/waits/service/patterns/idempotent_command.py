"""Idempotent command: one intent has one effect, however often, and wherever, it is sent."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from service.database import transaction

SCHEMA = """
create table if not exists keys(
    tenant text, key text, fingerprint text, epoch integer, alive real, status integer, body blob,
    primary key (tenant, key)
)
"""
PATIENCE = 1.0  # seconds between two looks at a key that another holds


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

    A key belongs to a tenant. While its command runs, it is held for `lease` seconds from the last heartbeat; a reply is kept
    for `keep` seconds. Who comes while it is held waits, and takes over if the holder falls silent.
    """

    def __init__(self, db: sqlite3.Connection, lease: float = 20.0, keep: float = 24 * 3600.0) -> None:
        self.db = db
        self.lease = lease
        self.keep = keep
        db.execute(SCHEMA)

    async def execute(
        self, tenant: str, key: str, fingerprint: str, command: Callable[[], Awaitable[Outcome]]
    ) -> Reply:
        """The reply that is kept; or else hold the key, run the command, and keep what it comes to."""
        while True:
            epoch = self._hold(tenant, key, fingerprint)
            if epoch is None:
                reply = self._reply(tenant, key, fingerprint)
                if reply is not None:
                    return reply
                await asyncio.sleep(PATIENCE)
                continue
            outcome = await self._run(tenant, key, epoch, command)
            with suppress(InProgress), transaction(self.db):
                kept = self.db.execute(
                    "update keys set status = ?, body = ?, alive = ? where tenant = ? and key = ? and epoch = ?",
                    (outcome.reply.status, outcome.reply.body, time.time(), tenant, key, epoch),
                )
                if not kept.rowcount:  # somebody has taken over: what he makes of it is the reply
                    raise InProgress
                outcome.write(self.db)
                return outcome.reply

    async def _run(self, tenant: str, key: str, epoch: int, command: Callable[[], Awaitable[Outcome]]) -> Outcome:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self.lease / 4)
                mine = "update keys set alive = ? where tenant = ? and key = ? and epoch = ? and status is null"
                self.db.execute(mine, (time.time(), tenant, key, epoch))

        heart = asyncio.create_task(beat())
        try:
            return await command()
        except BaseException:
            mine = "update keys set alive = 0 where tenant = ? and key = ? and epoch = ? and status is null"
            self.db.execute(mine, (tenant, key, epoch))
            raise
        finally:
            heart.cancel()

    def _hold(self, tenant: str, key: str, fingerprint: str) -> int | None:
        """The number of this hold, if the key was free: new, given up, or too old."""
        now = time.time()
        row = self.db.execute(
            "insert into keys values (?, ?, ?, 1, ?, null, null) on conflict do update set"
            " fingerprint = excluded.fingerprint, epoch = epoch + 1, alive = excluded.alive, status = null, body = null"
            " where alive <= case when status is null then ? else ? end returning epoch",
            (tenant, key, fingerprint, now, now - self.lease, now - self.keep),
        ).fetchone()
        return None if row is None else row[0]

    def _reply(self, tenant: str, key: str, fingerprint: str) -> Reply | None:
        found = self.db.execute(
            "select fingerprint, status, body from keys where tenant = ? and key = ?", (tenant, key)
        ).fetchone()
        if found and found[0] != fingerprint:
            raise KeyReused
        return Reply(found[1], found[2]) if found and found[1] else None
