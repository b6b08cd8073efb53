"""Works on one job at a time, whoever took it, and whoever began it."""

import asyncio
import logging
import sqlite3
from contextlib import suppress
from uuid import uuid4

from service.assistant import Assistant
from service.patterns.external_state import Claim, Stale
from service.patterns.memento import Progress, UnknownVersion, newest
from service.summary import summarise

log = logging.getLogger(__name__)
POLL = 1.0  # seconds


async def work(assistant: Assistant) -> None:
    """For as long as the process lives."""
    name = uuid4().hex  # not the host's: this life of it
    while True:
        claim = None
        with suppress(sqlite3.OperationalError):  # somebody holds the file for longer than we wait
            claim = assistant.jobs.claim(name, assistant.settings.lease)
        if claim is None:
            await asyncio.sleep(POLL)
            continue
        renewing = asyncio.create_task(_renew(assistant, claim))
        try:
            await _do(assistant, claim)
        except Stale:
            log.warning("job %s was given to another", claim.job)
        except UnknownVersion:  # it waits for a replica that has the newer code, until the lease is over
            log.warning("job %s has a checkpoint of newer code", claim.job)
        except Exception as error:
            log.exception("job %s has failed", claim.job)
            with suppress(Stale):
                assistant.jobs.fail(claim.job, claim.token, repr(error))
        finally:
            renewing.cancel()


async def _do(assistant: Assistant, claim: Claim) -> None:
    def keep(progress: Progress) -> None:
        assistant.jobs.save(claim.job, claim.token, progress.checkpoint())

    found = assistant.versions.get(claim.document, claim.version)
    if found is None:
        raise LookupError(f"no text of {claim.document}")
    progress = newest([claim.progress] if claim.progress else [])
    result = await summarise(found[1], assistant.llm, claim.job, progress, keep)
    with assistant.transaction():
        assistant.jobs.complete(claim.job, claim.token, result)
        assistant.happened("summarised", claim.document, job=claim.job)


async def _renew(assistant: Assistant, claim: Claim) -> None:
    with suppress(Stale):
        while True:
            await asyncio.sleep(assistant.settings.lease / 3)
            assistant.jobs.renew(claim.job, claim.token, assistant.settings.lease)
