"""What the assistant does: it answers, makes digests of long documents, does research, and embeds documents."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from service import account
from service.account import Office, admit, complete, reserve, vocabulary
from service.patterns.attribution import Payer, payer
from service.patterns.budget import Busy, Exhausted
from service.prompts import templates
from service.settings import MODEL
from service.store import Tenant, begin_run, end_run
from service.vocabulary import Vocabulary

log = logging.getLogger(__name__)

HISTORY = 600  # tokens of earlier turns that are sent along
PAUSE = 1.0  # seconds between two steps of a research
GATHER = 1.0  # seconds in which documents come together


class Session:
    """One traveller's conversation."""

    def __init__(self, db: sqlite3.Connection, tenant: Tenant, name: str, vocabulary: Vocabulary) -> None:
        self.db, self.tenant, self.name, self.vocabulary = db, tenant, name, vocabulary
        self.system = templates.get("chat").render(airline=tenant.name)

    def messages(self, text: str) -> list[dict]:
        """What the model is sent: the instruction, the latest turns that fit, and the text."""
        query = "SELECT role, content FROM turns WHERE tenant = ? AND session = ? ORDER BY number DESC"
        turns: list[dict] = []
        for row in self.db.execute(query, (self.tenant.name, self.name)).fetchall() if self.name else ():
            if self.vocabulary.count_messages([*turns, dict(row)]) > HISTORY:
                break
            turns.insert(0, dict(row))
        return [{"role": "system", "content": self.system}, *turns, {"role": "user", "content": text}]

    def keep(self, text: str, answer: str) -> None:
        for role, content in (("user", text), ("assistant", answer)) if self.name else ():
            values = (self.tenant.name, self.name, role, content)
            self.db.execute("INSERT INTO turns (tenant, session, role, content) VALUES (?, ?, ?, ?)", values)


async def _session(office: Office, tenant: Tenant, name: str) -> Session:
    return Session(office.db, tenant, name, await vocabulary(office, MODEL))


async def chat(office: Office, tenant: Tenant, run: str, name: str, text: str) -> str:
    payer.set(Payer(tenant.name, "chat", run))
    session = await _session(office, tenant, name)
    answer = await complete(office, session.messages(text))
    session.keep(text, answer)
    return answer


async def stream(office: Office, tenant: Tenant, run: str, name: str, text: str) -> AsyncIterator[str]:
    """The answer to a text, as it comes; that there is room for it is known when this returns."""
    payer.set(Payer(tenant.name, "chat", run))
    session = await _session(office, tenant, name)
    admit(office, tenant.name)
    key, body = await reserve(office, session.messages(text))

    async def pieces() -> AsyncIterator[str]:
        answer = ""
        async for piece in account.stream(office, key, body):
            answer += piece
            yield piece
        session.keep(text, answer)

    return pieces()


def begin(office: Office, tenant: Tenant, kind: str, work: Callable[[list[str]], Awaitable[None]]) -> str:
    """Do work behind the request, as a run. Its task has the payer that is set here, and so has each task that it
    makes."""
    run, answers = str(uuid4()), []
    begin_run(office.db, run, tenant.name, kind)
    payer.set(Payer(tenant.name, kind, run))

    async def job() -> None:
        try:
            await work(answers)
            status = "done"
        except Exhausted:
            status = "stopped"
        except Exception:
            log.exception("a %s has failed", kind)
            status = "failed"
        end_run(office.db, run, status, answers)

    office.spawn(job())
    return run


async def digest(office: Office, tenant: Tenant, sections: list[str], answers: list[str]) -> None:
    """A summary of each section."""
    for section in sections:
        prompt = templates.get("digest").render(airline=tenant.name, section=section)
        answers.append(await complete(office, [{"role": "user", "content": prompt}], patient=True))


async def research(
    office: Office, tenant: Tenant, question: str, steps: int, also: list[str], answers: list[str]
) -> None:
    """Ask the model, step by step, and go by what it has said; sub-agents see to what is also asked."""
    reports: list[list[str]] = [[] for _ in also]
    agents = [asyncio.create_task(research(office, tenant, each, steps, [], report))
              for each, report in zip(also, reports, strict=True)]  # fmt: skip
    system = templates.get("research").render(airline=tenant.name)
    try:
        for step in range(steps):
            notes = "\n".join(answers[-3:])
            asked = {"role": "user", "content": f"{notes}\nStep {step + 1}. {question}"}
            answers.append(await complete(office, [{"role": "system", "content": system}, asked], patient=True))
            await asyncio.sleep(PAUSE)
    finally:
        ends = await asyncio.gather(*agents, return_exceptions=True)
        for report in reports:
            answers += report
    for end in ends:
        if isinstance(end, Exception):
            raise end


def embed(office: Office, documents: asyncio.Queue, tenant: Tenant, text: str) -> str:
    """Have a document embedded, soon, together with what else comes. Raises OverQuota."""
    admit(office, tenant.name)
    run = str(uuid4())
    begin_run(office.db, run, tenant.name, "document")
    documents.put_nowait((Payer(tenant.name, "documents", run), text))
    return run


async def embed_batches(office: Office, documents: asyncio.Queue) -> None:
    """All documents that come within a moment go into one call."""
    while True:
        batch = [await documents.get()]
        await asyncio.sleep(GATHER)
        while not documents.empty():
            batch.append(documents.get_nowait())
        try:
            reasons = await account.embed(office, batch)
        except Exception as error:
            log.exception("a batch of documents has failed")
            reasons = [type(error)] * len(batch)
        for (who, text), reason in zip(batch, reasons, strict=True):
            if reason is Busy:
                asyncio.get_running_loop().call_later(3.0, documents.put_nowait, (who, text))
            else:
                end_run(office.db, who.run, {None: "done", Exhausted: "stopped"}.get(reason, "failed"), [])
