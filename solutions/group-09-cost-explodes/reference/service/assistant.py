"""What the assistant does: it answers, makes digests of long documents, does research, and embeds documents."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from service.account import AGAIN, Account
from service.patterns.attribution import Payer
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


class Assistant:
    def __init__(self, db: sqlite3.Connection, account: Account) -> None:
        self.db, self.account = db, account
        self.jobs: asyncio.Queue[Awaitable[None]] = asyncio.Queue()
        self.documents: asyncio.Queue[tuple[Payer, str]] = asyncio.Queue()

    async def session(self, tenant: Tenant, name: str) -> Session:
        return Session(self.db, tenant, name, await self.account.vocabulary(MODEL))

    async def chat(self, tenant: Tenant, run: str, name: str, text: str) -> str:
        session = await self.session(tenant, name)
        answer = await self.account.complete(Payer(tenant.name, "chat", run), session.messages(text))
        session.keep(text, answer)
        return answer

    async def stream(self, tenant: Tenant, run: str, name: str, text: str) -> AsyncIterator[str]:
        """The answer to a text, as it comes; that there is room for it is known when this returns."""
        session = await self.session(tenant, name)
        key, body = await self.account.reserve(Payer(tenant.name, "chat", run), session.messages(text))

        async def pieces() -> AsyncIterator[str]:
            answer = ""
            async for piece in self.account.stream(key, body):
                answer += piece
                yield piece
            session.keep(text, answer)

        return pieces()

    def begin(self, tenant: Tenant, kind: str, work: Callable[[Payer, list[str]], Awaitable[None]]) -> str:
        """Do work behind the request, as a run. It adds to its answers, as far as it comes."""
        run, answers = str(uuid4()), []
        begin_run(self.db, run, tenant.name, kind)

        async def job() -> None:
            try:
                await work(Payer(tenant.name, kind, run), answers)
                status = "done"
            except Exhausted:
                status = "stopped"
            except Exception:
                log.exception("a %s has failed", kind)
                status = "failed"
            end_run(self.db, run, status, answers)

        self.jobs.put_nowait(job())
        return run

    async def digest(self, payer: Payer, sections: list[str], answers: list[str]) -> None:
        """A summary of each section."""
        for section in sections:
            prompt = templates.get("digest").render(airline=payer.tenant, section=section)
            answers.append(await self.account.insist(payer, [{"role": "user", "content": prompt}]))

    async def research(self, payer: Payer, question: str, steps: int, also: list[str], answers: list[str]) -> None:
        """Ask the model, step by step, and go by what it has said; sub-agents see to what is also asked."""
        reports: list[list[str]] = [[] for _ in also]
        agents = [self.research(payer, each, steps, [], report) for each, report in zip(also, reports, strict=True)]
        ends = await asyncio.gather(self._steps(payer, question, steps, answers), *agents, return_exceptions=True)
        for report in reports:
            answers += report
        for end in ends:
            if end is not None:
                raise end

    async def _steps(self, payer: Payer, question: str, steps: int, answers: list[str]) -> None:
        system = templates.get("research").render(airline=payer.tenant)
        for step in range(steps):
            notes = "\n".join(answers[-3:])
            asked = {"role": "user", "content": f"{notes}\nStep {step + 1}. {question}"}
            answers.append(await self.account.insist(payer, [{"role": "system", "content": system}, asked]))
            await asyncio.sleep(PAUSE)

    def embed(self, tenant: Tenant, text: str) -> str:
        """Have a document embedded, soon, together with what else comes. Raises OverQuota."""
        self.account.admit(tenant.name)
        run = str(uuid4())
        begin_run(self.db, run, tenant.name, "document")
        self.documents.put_nowait((Payer(tenant.name, "documents", run), text))
        return run

    async def work(self) -> None:
        """Each job gets a task of its own."""
        tasks = set()
        while True:
            task = asyncio.ensure_future(await self.jobs.get())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def embed_batches(self) -> None:
        """All documents that come within a moment go into one call."""
        while True:
            batch = [await self.documents.get()]
            await asyncio.sleep(GATHER)
            while not self.documents.empty():
                batch.append(self.documents.get_nowait())
            try:
                reasons = await self.account.embed(batch)
            except Exception as error:
                log.exception("a batch of documents has failed")
                reasons = [type(error)] * len(batch)
            for (payer, text), reason in zip(batch, reasons, strict=True):
                if reason is Busy:
                    asyncio.get_running_loop().call_later(AGAIN, self.documents.put_nowait, (payer, text))
                else:
                    end_run(self.db, payer.run, {None: "done", Exhausted: "stopped"}.get(reason, "failed"), [])
