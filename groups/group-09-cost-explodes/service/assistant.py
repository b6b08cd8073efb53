"""What the assistant does: it answers, makes digests of long documents, does research, and embeds documents."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from service.llm import Llm
from service.meter import Meter, who
from service.prompts import TEXTS
from service.settings import ANSWER, EMBEDDER, MODEL
from service.store import Tenant, begin_run, end_run
from service.vocabulary import Vocabulary, download

log = logging.getLogger(__name__)

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
HISTORY = 600  # tokens of earlier turns that are sent along
PAUSE = 1.0  # seconds between two steps of a research
GATHER = 1.0  # seconds in which documents come together


class Session:
    """One traveller's conversation."""

    def __init__(self, db: sqlite3.Connection, tenant: Tenant, name: str, vocabulary: Vocabulary) -> None:
        self.db, self.tenant, self.name, self.vocabulary = db, tenant, name, vocabulary
        self.system = TEXTS["chat"].format(airline=tenant.name)

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
    def __init__(self, db: sqlite3.Connection, llm: Llm, meter: Meter) -> None:
        self.db, self.llm, self.meter = db, llm, meter
        self.jobs: asyncio.Queue[Awaitable[None]] = asyncio.Queue()
        self.documents: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def complete(self, messages: list[dict]) -> str:
        """What the model says."""
        body = {"model": MODEL, "messages": messages, "max_tokens": ANSWER}
        reply = await self.llm.call(CHAT, body, str(uuid4()))
        usage = reply["usage"]
        self.meter.record(MODEL, usage["prompt_tokens"], usage["completion_tokens"])
        return reply["choices"][0]["message"]["content"]

    async def session(self, tenant: Tenant, name: str) -> Session:
        return Session(self.db, tenant, name, await asyncio.to_thread(download, MODEL))

    async def chat(self, tenant: Tenant, run: str, name: str, text: str) -> str:
        who.set((tenant.name, "chat", run))
        session = await self.session(tenant, name)
        answer = await self.complete(session.messages(text))
        session.keep(text, answer)
        return answer

    async def stream(self, tenant: Tenant, run: str, name: str, text: str) -> AsyncIterator[str]:
        """The answer to a text, as it comes."""
        who.set((tenant.name, "chat", run))
        session = await self.session(tenant, name)
        messages, answer = session.messages(text), ""
        body = {"model": MODEL, "messages": messages, "max_tokens": ANSWER, "stream": True}
        async for piece in self.llm.stream(body, str(uuid4())):
            answer += piece
            yield piece
        sent = sum(len(message["content"]) for message in messages)
        self.meter.record(MODEL, sent / 4, len(answer) / 4)  # a streamed answer says nothing of usage
        session.keep(text, answer)

    def begin(self, tenant: Tenant, kind: str, work: Callable[[], Awaitable[list[str]]]) -> str:
        """Do work behind the request, as a run."""
        run = str(uuid4())
        begin_run(self.db, run, tenant.name, kind)

        async def job() -> None:
            try:
                end_run(self.db, run, "done", await work())
            except Exception:
                log.exception("a %s has failed", kind)
                end_run(self.db, run, "failed", [])

        self.jobs.put_nowait(job())
        return run

    async def digest(self, tenant: Tenant, sections: list[str]) -> list[str]:
        """A summary of each section."""
        prompts = [TEXTS["digest"].format(airline=tenant.name, section=section) for section in sections]
        return list(await asyncio.gather(*(self.complete([{"role": "user", "content": each}]) for each in prompts)))

    async def research(self, tenant: Tenant, question: str, steps: int, also: list[str]) -> list[str]:
        """Ask the model, step by step, and go by what it has said; sub-agents see to what is also asked."""
        agents = [asyncio.create_task(self.research(tenant, each, steps, [])) for each in also]
        found: list[str] = []
        for step in range(steps):
            system = TEXTS["research"].format(airline=tenant.name)
            notes = "\n".join(found[-3:])
            asked = {"role": "user", "content": f"{notes}\nStep {step + 1}. {question}"}
            found.append(await self.complete([{"role": "system", "content": system}, asked]))
            await asyncio.sleep(PAUSE)
        for agent in agents:
            found += await agent
        return found

    def embed(self, tenant: Tenant, text: str) -> str:
        """Have a document embedded, soon, together with what else comes."""
        run = str(uuid4())
        begin_run(self.db, run, tenant.name, "document")
        self.documents.put_nowait((run, text))
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
                body = {"model": EMBEDDER, "input": [text for _, text in batch]}
                reply = await self.llm.call(EMBED, body, str(uuid4()))
                self.meter.record(EMBEDDER, reply["usage"]["prompt_tokens"], 0)
                status = "done"
            except Exception:
                log.exception("a batch of documents has failed")
                status = "failed"
            for run, _ in batch:
                end_run(self.db, run, status, [])
