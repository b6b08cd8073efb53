"""What the assistant does: it answers, makes digests of long documents, does research, and embeds documents.

A thread for each run and each sub-agent, and one for the batches of documents.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import uuid4

from service.account import AGAIN, Account
from service.patterns.attribution import Payer
from service.patterns.budget import Busy, Exhausted
from service.prompts import templates
from service.settings import MODEL
from service.store import Database, Tenant, begin_run, end_run
from service.vocabulary import Vocabulary

log = logging.getLogger(__name__)

HISTORY = 600  # tokens of earlier turns that are sent along
PAUSE = 1.0  # seconds between two steps of a research
GATHER = 1.0  # seconds in which documents come together


class Session:
    """One traveller's conversation."""

    def __init__(self, db: Database, tenant: Tenant, name: str, vocabulary: Vocabulary) -> None:
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
    def __init__(self, db: Database, account: Account) -> None:
        self.db, self.account = db, account
        self.documents: queue.Queue[tuple[Payer, str]] = queue.Queue()

    def session(self, tenant: Tenant, name: str) -> Session:
        return Session(self.db, tenant, name, self.account.vocabulary(MODEL))

    def chat(self, tenant: Tenant, run: str, name: str, text: str) -> str:
        session = self.session(tenant, name)
        answer = self.account.complete(Payer(tenant.name, "chat", run), session.messages(text))
        session.keep(text, answer)
        return answer

    def stream(self, tenant: Tenant, run: str, name: str, text: str) -> Iterator[str]:
        """The answer to a text, as it comes; that there is room for it is known when this returns."""
        session = self.session(tenant, name)
        key, body = self.account.reserve(Payer(tenant.name, "chat", run), session.messages(text))

        def pieces() -> Iterator[str]:
            answer = ""
            for piece in self.account.stream(key, body):
                answer += piece
                yield piece
            session.keep(text, answer)

        return pieces()

    def begin(self, tenant: Tenant, kind: str, work: Callable[[Payer, list[str]], None]) -> str:
        """Do work behind the request, as a run. It adds to its answers, as far as it comes."""
        run, answers = str(uuid4()), []
        begin_run(self.db, run, tenant.name, kind)

        def job() -> None:
            try:
                work(Payer(tenant.name, kind, run), answers)
                status = "done"
            except Exhausted:
                status = "stopped"
            except Exception:
                log.exception("a %s has failed", kind)
                status = "failed"
            end_run(self.db, run, status, answers)

        threading.Thread(target=job, daemon=True).start()
        return run

    def digest(self, payer: Payer, sections: list[str], answers: list[str]) -> None:
        """A summary of each section."""
        for section in sections:
            prompt = templates.get("digest").render(airline=payer.tenant, section=section)
            answers.append(self.account.insist(payer, [{"role": "user", "content": prompt}]))

    def research(self, payer: Payer, question: str, steps: int, also: list[str], answers: list[str]) -> None:
        """Ask the model, step by step, and go by what it has said; sub-agents see to what is also asked."""
        reports: list[list[str]] = [[] for _ in also]
        errors: list[Exception] = []

        def agent(question: str, report: list[str]) -> None:
            try:
                self._steps(payer, question, steps, report)
            except Exception as error:
                errors.append(error)

        agents = [threading.Thread(target=agent, args=each, daemon=True) for each in zip(also, reports, strict=True)]
        for each in agents:
            each.start()
        agent(question, answers)
        for each, report in zip(agents, reports, strict=True):
            each.join()
            answers += report
        if errors:
            raise errors[0]

    def _steps(self, payer: Payer, question: str, steps: int, answers: list[str]) -> None:
        system = templates.get("research").render(airline=payer.tenant)
        for step in range(steps):
            notes = "\n".join(answers[-3:])
            asked = {"role": "user", "content": f"{notes}\nStep {step + 1}. {question}"}
            answers.append(self.account.insist(payer, [{"role": "system", "content": system}, asked]))
            time.sleep(PAUSE)

    def embed(self, tenant: Tenant, text: str) -> str:
        """Have a document embedded, soon, together with what else comes. Raises OverQuota."""
        self.account.admit(tenant.name)
        run = str(uuid4())
        begin_run(self.db, run, tenant.name, "document")
        self.documents.put((Payer(tenant.name, "documents", run), text))
        return run

    def embed_batches(self) -> None:
        """All documents that come within a moment go into one call."""
        while True:
            batch = [self.documents.get()]
            time.sleep(GATHER)
            with suppress(queue.Empty):
                while True:
                    batch.append(self.documents.get_nowait())
            try:
                reasons = self.account.embed(batch)
            except Exception as error:
                log.exception("a batch of documents has failed")
                reasons = [type(error)] * len(batch)
            for (payer, text), reason in zip(batch, reasons, strict=True):
                if reason is Busy:
                    threading.Timer(AGAIN, self.documents.put, [(payer, text)]).start()
                else:
                    end_run(self.db, payer.run, {None: "done", Exhausted: "stopped"}.get(reason, "failed"), [])
