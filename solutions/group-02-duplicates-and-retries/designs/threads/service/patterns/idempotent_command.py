"""Idempotent command: one intent has one effect, however often, and wherever, it is sent."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from service.database import writing

LEASE = 24.0  # seconds for which a key is held; renewed while the holder lives
KEEP = 24 * 3600.0  # seconds for which a reply is kept


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


def execute(tenant: str, key: str, fingerprint: str, command: Callable[[], Outcome]) -> Reply:
    """The reply that is kept; or else hold the key, run the command, and keep what it comes to."""
    holder = str(uuid4())
    with writing() as db:
        found = db.execute(
            "select fingerprint, status, body from keys where tenant = ? and key = ? and until > ?",
            (tenant, key, time.time()),
        ).fetchone()
        if found is None:
            row = (tenant, key, fingerprint, holder, time.time() + LEASE)
            db.execute("insert or replace into keys values (?, ?, ?, ?, ?, null, null)", row)
    if found and found[0] != fingerprint:
        raise KeyReused
    if found and found[1] is None:
        raise InProgress
    if found:
        return Reply(*found[1:])
    with _held(holder):
        outcome = command()
    with writing() as db:
        kept = db.execute(
            "update keys set status = ?, body = ?, until = ? where holder = ?",
            (outcome.reply.status, outcome.reply.body, time.time() + KEEP, holder),
        )
        if not kept.rowcount:
            raise InProgress
        outcome.write(db)
    return outcome.reply


@contextmanager
def _held(holder: str) -> Iterator[None]:
    """A thread that renews the lease, until the block ends. If it raises, the key is free."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(LEASE / 4):
            with writing() as db:
                mine = "update keys set until = ? where holder = ? and status is null"
                db.execute(mine, (time.time() + LEASE, holder))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        over.set()
        thread.join()
        with writing() as db:
            db.execute("delete from keys where holder = ?", (holder,))
        raise
    over.set()
    thread.join()
