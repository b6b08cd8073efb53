"""A thread that works on one job at a time, and one beside it that keeps the lease."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from service.assistant import Assistant, here
from service.patterns.external_state import Claim, Stale
from service.patterns.memento import Progress, UnknownVersion, newest
from service.summary import summarise

log = logging.getLogger(__name__)
POLL = 2.0  # seconds


class Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="worker", daemon=True)
        self.over = threading.Event()

    def run(self) -> None:
        assistant, name = here(), uuid4().hex
        while not self.over.is_set():
            claim = None
            with suppress(sqlite3.OperationalError):  # somebody holds the file for longer than we wait
                claim = assistant.jobs.claim(name, assistant.settings.lease)
            if claim is None:
                self.over.wait(POLL)
                continue
            try:
                with renewed(claim):
                    do(assistant, claim)
            except Stale:
                log.warning("job %s was given to another", claim.job)
            except UnknownVersion:  # it waits for a replica that has the newer code, until the lease is over
                log.warning("job %s has a checkpoint of newer code", claim.job)
            except Exception as error:
                log.exception("job %s has failed", claim.job)
                with suppress(Stale):
                    assistant.jobs.fail(claim.job, claim.token, repr(error))


def do(assistant: Assistant, claim: Claim) -> None:
    def keep(progress: Progress) -> None:
        assistant.jobs.save(claim.job, claim.token, progress.checkpoint())

    found = assistant.versions.get(claim.document, claim.version)
    if found is None:
        raise LookupError(f"no text of {claim.document}")
    progress = newest([claim.progress] if claim.progress else [])
    result = summarise(found[1], assistant.llm, claim.job, progress, keep)
    with assistant.transaction():
        assistant.jobs.complete(claim.job, claim.token, result)
        assistant.happened("summarised", claim.document, job=claim.job)


@contextmanager
def renewed(claim: Claim) -> Iterator[None]:
    """Renew the lease from a thread of its own, which is not held up by a call that takes long."""
    done = threading.Event()

    def renew() -> None:
        lease = here().settings.lease
        with suppress(Stale):
            while not done.wait(lease / 3):
                here().jobs.renew(claim.job, claim.token, lease)

    threading.Thread(target=renew, name="lease", daemon=True).start()
    try:
        yield
    finally:
        done.set()
