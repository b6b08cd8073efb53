"""How a question is answered: it goes through a queue, to one of a few workers."""

import asyncio
import hashlib
import random
from datetime import UTC, datetime
from uuid import uuid4

from service.clients import Audit, Bookings, Llm, Mail
from service.settings import Settings
from service.store import connect, read_config, search, write_config

PROMPT = "You are the assistant of an airline. Today is {today}. The traveller's fare is {fare}."


class Desk:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = connect(settings.data_dir)
        self.llm, self.bookings = Llm(settings), Bookings(settings)
        self.mail, self.audit = Mail(settings), Audit(settings)
        self.queue: asyncio.Queue[tuple] = asyncio.Queue()
        self.prompts = settings.data_dir / "prompts"
        self.prompts.mkdir(exist_ok=True)
        if not (self.prompts / "answer.txt").exists():
            (self.prompts / "answer.txt").write_text(PROMPT)
        self.candidate: str | None = None  # a prompt that is tried out beside the one that answers
        self.compared: list[dict] = []

    async def ask(self, user: str, booking: str, question: str) -> dict:
        """{"run", "answer", "reference"}. Raises what answering raises."""
        run = uuid4().hex
        print(f"[{run}] {user} ({booking}) asks: {question}")
        done = asyncio.get_running_loop().create_future()
        await self.queue.put((user, booking, question, done))
        try:
            answer = await done
        except Exception as error:
            print(f"[{run}] failed: {error!r}")
            await self.audit.send({"run": run, "status": "failed"})
            raise
        print(f"[{run}] answer: {answer}")
        await self.audit.send({"run": run, "status": "done"})
        return {"run": run, **answer}

    async def work(self) -> None:
        while True:
            user, booking, question, done = await self.queue.get()
            try:
                answer = await self.answer(self.prompt_of(user), booking, question)
                if self.candidate is not None:
                    tried = await self.answer(self.candidate, booking, question)
                    self.compared.append({"live": answer["answer"], "candidate": tried["answer"]})
                done.set_result(answer)
            except Exception as error:
                done.set_exception(error)

    async def answer(self, prompt: str, booking: str, question: str) -> dict:
        """Look up the booking, find documents, ask the model, write a mail."""
        loop = asyncio.get_running_loop()
        config = read_config(self.db)
        found = await loop.run_in_executor(None, self.bookings.look_up, booking)
        print(f"{booking}: {found}")
        asked = f"{question} (fare {found['fare']})"
        documents = await loop.run_in_executor(None, search, self.db, asked, self.settings.documents)
        material = "\n".join(f"[{document['id']}] {document['text']}" for document in documents)[: config["window"]]
        today = datetime.now(UTC).date().isoformat()
        system = prompt.format(today=today, fare=found["fare"])
        messages = [{"role": "system", "content": system}, {"role": "user", "content": f"{material}\n\n{asked}"}]
        said = await self.llm.chat(self.settings.llm_model, messages, config["max_tokens"])
        reference = f"SK-{random.randrange(16**6):06X}"
        await self.mail.send(booking, f"{said}\nYour reference: {reference}")
        return {"answer": said, "reference": reference}

    # ---------------------------------------------------------------------------------------------- prompts

    def publish(self, text: str, share: int) -> None:
        """A new prompt, for `share` per cent of the users: always the same ones."""
        name = "answer.txt" if share == 100 else "answer.new.txt"
        (self.prompts / name).write_text(text)
        write_config(self.db, share=0 if share == 100 else share)

    def prompt_of(self, user: str) -> str:
        new = int(hashlib.sha256(user.encode()).hexdigest(), 16) % 100 < read_config(self.db)["share"]
        return (self.prompts / ("answer.new.txt" if new else "answer.txt")).read_text()

    # ---------------------------------------------------------------------------------------------- is it better?

    def vote(self, up: bool) -> None:
        self.db.execute("INSERT INTO votes (up) VALUES (?)", (up,))

    def satisfaction(self) -> float | None:
        """The share of thumbs up."""
        return self.db.execute("SELECT avg(up) FROM votes").fetchone()[0]

    async def evaluate(self, text: str) -> dict:
        """Is this prompt as good as the one that answers now? {"passed", "reason"}."""
        cases = read_config(self.db).get("golden", [])
        right = {}
        for name, prompt in (("now", (self.prompts / "answer.txt").read_text()), ("candidate", text)):
            answers = [await self.answer(prompt, case["booking"], case["question"]) for case in cases]
            pairs = zip(answers, cases, strict=True)
            right[name] = sum(case["expected"] in answer["answer"] for answer, case in pairs)
        told = f"right: {right['now']} of {len(cases)} now, {right['candidate']} with the candidate"
        return {"passed": right["candidate"] >= right["now"], "reason": told}
