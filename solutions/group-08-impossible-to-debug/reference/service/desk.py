"""How a question is answered: it goes through a queue, to one of a few workers. And how one finds out why it was."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from service.clients import Audit, Bookings, Llm, Mail
from service.patterns.blackbox import diagnose
from service.patterns.evaluation import fingerprint, gate
from service.patterns.feedback import Feedback
from service.patterns.observer import Events
from service.patterns.prompts import Prompts, UnknownPrompt
from service.patterns.recording import Redactor
from service.patterns.replay import Diverged, Journal
from service.patterns.shadow import Shadow
from service.patterns.tracing import Tracing
from service.runs import Runs
from service.settings import Settings
from service.store import connect, read_config, search, write_config

PROMPT = "You are the assistant of an airline. Today is {today}. The traveller's fare is {fare}."
NAME = "answer"
AT_ONCE = 8  # cases of an evaluation


class UnknownRun(Exception):
    """There is no such run."""


@dataclass(frozen=True)
class Job:
    run: str
    user: str
    booking: str
    question: str
    carrier: dict[str, str]
    done: asyncio.Future[dict]


class Desk:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = connect(settings.data_dir)
        self.redactor = Redactor([settings.llm_key])
        self.runs = Runs(self.db, self.redactor)
        self.tracing = Tracing(self.runs.keep_trace, settings.trace_share)
        self.llm, self.bookings = Llm(settings, self.tracing), Bookings(settings, self.tracing)
        self.mail, self.audit = Mail(settings, self.tracing), Audit(settings, self.tracing)
        self.events = Events()
        self.prompts = Prompts(self.db)
        self.feedback = Feedback(self.db)
        self.shadow: Shadow | None = None
        self.queue: asyncio.Queue[Job] = asyncio.Queue()
        try:
            self.prompts.current(NAME)
        except UnknownPrompt:
            self.prompts.publish(NAME, PROMPT)

    async def close(self) -> None:
        if self.shadow:
            await self.shadow.close()
        await self.events.close()

    # ---------------------------------------------------------------------------------------------- answering

    async def ask(self, run: str, user: str, booking: str, question: str, headers: Mapping[str, str]) -> dict:
        """{"answer", "reference"}. Raises what answering raises."""
        with self.tracing.span("POST /ask", headers):
            carrier = self.tracing.headers()
            trace_id = carrier["traceparent"].split("-")[1]
            self.runs.begin(run, trace_id, user, booking, question)
            done = asyncio.get_running_loop().create_future()
            await self.queue.put(Job(run, user, booking, question, carrier, done))
            return await done

    async def work(self) -> None:
        while True:
            job = await self.queue.get()
            try:
                with self.tracing.span("work", job.carrier):
                    answer = await self._run(job)
            except Exception as error:
                if not job.done.done():
                    job.done.set_exception(error)
                continue
            if not job.done.done():  # the traveller may have hung up
                job.done.set_result(answer)
            if self.shadow:
                self.shadow.submit({"booking": job.booking, "question": job.question}, answer["answer"])

    async def _run(self, job: Job) -> dict:
        """Answer, and keep what came of it, whatever that is."""
        journal = Journal(clean=self.redactor.clean)
        answer: dict = {}
        status, failure = "failed", None
        try:
            answer = await self._answer(journal, job.booking, job.question, self._choose(job.user))
            status = "done"
            return answer
        except BaseException as error:
            failure = str(error)
            raise
        finally:
            self.runs.end(job.run, status, journal.steps, answer, failure)
            self.events.emit({"run": job.run, "status": status, "user": self.redactor.pseudonym(job.user)})

    def _choose(self, user: str) -> dict:
        """What an answer depends on, and we decide."""
        config = read_config(self.db)
        new = int(hashlib.sha256(user.encode()).hexdigest(), 16) % 100 < config["share"]
        return {
            "prompt": config["candidate"] if new else self.prompts.current(NAME),
            "model": self.settings.llm_model,
            "window": config["window"],
            "max_tokens": config["max_tokens"],
        }

    async def _answer(self, journal: Journal, booking: str, question: str, chosen: dict, *, dry: bool = False) -> dict:
        """Look up the booking, find documents, ask the model, write a mail; no mail in a dry run."""
        chosen = journal.draw("settings", lambda: chosen)
        found = await self._step(
            journal, "booking", booking, lambda: self.tracing.offload(self.bookings.look_up, booking)
        )
        asked = f"{question} (fare {found['fare']})"
        documents = await self._step(
            journal, "documents", asked, lambda: self.tracing.offload(search, self.db, asked, self.settings.documents)
        )
        today = journal.draw("today", lambda: datetime.now(UTC).date().isoformat())
        messages = self._messages(chosen, found, documents, question, today)
        said = await self._step(
            journal, "model", [chosen["model"], chosen["max_tokens"], messages],
            lambda: self.llm.chat(chosen["model"], messages, chosen["max_tokens"]),
        )  # fmt: skip
        reference = journal.draw("reference", lambda: f"SK-{random.randrange(16**6):06X}")
        if not dry:
            text = f"{said}\nYour reference: {reference}"
            await self._step(journal, "mail", [booking, text], lambda: self.mail.send(booking, text))
        return {"answer": said, "reference": reference}

    async def _step(self, journal: Journal, name: str, given: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        with self.tracing.span(name):
            return await journal.step(name, given, work)

    def _messages(self, chosen: dict, found: dict, documents: list[dict], question: str, today: str) -> list[dict]:
        system = self.prompts.render(NAME, chosen["prompt"], {"today": today, "fare": found["fare"]})
        material = "\n".join(f"[{document['id']}] {document['text']}" for document in documents)[: chosen["window"]]
        user = f"{material}\n\n{question} (fare {found['fare']})"
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    # ---------------------------------------------------------------------------------------------- why?

    def record(self, run: str) -> dict:
        """All that is known of a run. Raises UnknownRun."""
        record = self.runs.find(run)
        if record is None:
            raise UnknownRun(run)
        kept = {step["name"]: step.get("output") for step in record["steps"]}
        chosen = kept.get("settings") or {}
        documents = [
            {"id": document["id"], "version": hashlib.sha256(document["text"].encode()).hexdigest()[:16]}
            for document in kept.get("documents") or []
        ]
        prompt = {"name": NAME, "version": chosen.get("prompt")}
        return record | {
            "prompt": prompt, "model": chosen.get("model"), "window": chosen.get("window"),
            "max_tokens": chosen.get("max_tokens"), "documents": documents,
        }  # fmt: skip

    async def replay(self, run: str, prompt: str | None = None) -> dict:
        """The run once more, from what was kept; or with another prompt, as far as it goes. Raises UnknownRun."""
        record = self.record(run)
        steps = [dict(step) for step in record["steps"]]
        for step in steps:
            if step["name"] == "settings" and prompt is not None:
                step["output"] = step["output"] | {"prompt": prompt}
        again = {"answer": None, "reference": None, "error": None, "diverged": None}
        with self.tracing.span("replay", {}):
            try:
                journal = Journal(steps, self.redactor.clean)
                answer = await self._answer(journal, record["booking"], record["question"], {})
            except Diverged as error:
                return again | {"status": "diverged", "diverged": error.step}
            except Exception as error:
                return again | {"status": "failed", "error": str(error)}
        return again | answer | {"status": "done"}

    async def diagnose(self, good: str, bad: str) -> dict:
        """Which of the five is to blame for the bad run. Raises UnknownRun."""
        right, wrong = self.record(good), self.record(bad)
        calls = 0

        async def is_bad(inputs: dict) -> bool:
            nonlocal calls
            calls += 1
            chosen = {"prompt": inputs["prompt"], "window": inputs["window"], **inputs["params"]}
            messages = self._messages(
                chosen, inputs["tool"], inputs["documents"], wrong["question"], _output(wrong, "today")
            )
            return await self.llm.chat(chosen["model"], messages, chosen["max_tokens"]) == wrong["answer"]

        with self.tracing.span("diagnose", {}):
            cause = None
            if right["answer"] != wrong["answer"]:
                cause = await diagnose(_inputs(right), _inputs(wrong), is_bad)
        return {"cause": cause, "calls": calls}

    # ---------------------------------------------------------------------------------------------- prompts

    def publish(self, text: str, share: int) -> str:
        """A new prompt, for `share` per cent of the users: always the same ones. Its version."""
        version = self.prompts.publish(NAME, text, current=share == 100)
        write_config(self.db, share=0 if share == 100 else share, candidate=version)
        return version

    def rollback(self, version: str) -> None:
        """For everybody. Raises UnknownPrompt."""
        self.prompts.rollback(NAME, version)
        write_config(self.db, share=0)

    # ---------------------------------------------------------------------------------------------- is it better?

    def vote(self, run: str, user: str, up: bool) -> None:
        """Raises UnknownRun."""
        record = self.record(run)
        asked = {"booking": record["booking"], "question": record["question"]}
        self.feedback.vote(run, self.redactor.pseudonym(user), up, asked, record["answer"] or "")

    def brought(self) -> list[dict]:
        """The golden cases that did not come of votes."""
        return [{"id": f"brought-{at}", **case} for at, case in enumerate(read_config(self.db).get("golden", []))]

    def golden(self) -> list[dict]:
        return self.brought() + self.feedback.golden()

    def examples(self) -> list[dict]:
        return self.feedback.examples(20, self.brought())

    async def evaluate(self, text: str, pinned: str | None) -> dict:
        """May this prompt take the place of the one in use? Raises GoldenChanged."""
        cases = self.golden()
        pinned = fingerprint(cases) if pinned is None else pinned
        if fingerprint(cases) != pinned:
            gate(cases, pinned, {}, {})  # before anybody is asked
        places = asyncio.Semaphore(AT_ONCE)

        async def is_right(case: dict, version: str) -> bool:
            async with places:
                answer = await self._dry(version, case["booking"], case["question"])
                return case["expected"] in answer

        right = []
        for version in (self.prompts.current(NAME), self.prompts.publish(NAME, text, current=False)):
            found = await asyncio.gather(*(is_right(case, version) for case in cases))
            right.append({case["id"]: is_it for case, is_it in zip(cases, found, strict=True)})
        verdict = gate(cases, pinned, *right)
        return {"passed": verdict.passed, "reason": verdict.reason, "slices": verdict.slices}

    async def try_out(self, text: str) -> None:
        """From now on, the candidate is asked too, of what travellers ask."""
        await self.end_shadow()
        version = self.prompts.publish(NAME, text, current=False)
        self.shadow = Shadow(lambda request: self._dry(version, request["booking"], request["question"]))

    async def end_shadow(self) -> None:
        if self.shadow:
            await self.shadow.close()
        self.shadow = None

    async def _dry(self, version: str, booking: str, question: str) -> str:
        """An answer that nobody gets: no run, no mail, a trace of its own."""
        with self.tracing.span("dry run", {}):
            chosen = self._choose("") | {"prompt": version}
            return (await self._answer(Journal(), booking, question, chosen, dry=True))["answer"]


def _output(record: dict, name: str) -> Any:
    return next((step.get("output") for step in record["steps"] if step["name"] == name), None)


def _inputs(record: dict) -> dict[str, Any]:
    """The five that an answer depends on."""
    chosen = _output(record, "settings")
    return {
        "prompt": chosen["prompt"],
        "documents": _output(record, "documents"),
        "window": chosen["window"],
        "params": {"model": chosen["model"], "max_tokens": chosen["max_tokens"]},
        "tool": _output(record, "booking"),
    }


def new_run() -> str:
    return uuid4().hex
