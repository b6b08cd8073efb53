"""The HTTP face of Skylark's document assistant. Every replica serves, and works on jobs."""

import asyncio
import time
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from service.llm import Llm
from service.settings import Settings
from service.summary import summarise

ASKS_A_MINUTE = 6  # for each tenant

DOCS: dict[str, dict] = {}
JOBS: dict[str, dict] = {}
KEYS: dict[tuple[str, str], str] = {}  # the Idempotency-Key that a job was ordered with
ANSWERS: dict[str, dict] = {}
ASKED: dict[str, list[float]] = {}  # when each tenant asked
USAGE: dict[str, dict] = {}
BOOKINGS: list[dict] = []


class NewDocument(BaseModel):
    title: str
    text: str


class Edit(BaseModel):
    title: str | None = None
    label: str | None = None


class Text(BaseModel):
    text: str


class Order(BaseModel):
    document: str


class Question(BaseModel):
    document: str
    question: str


def count(document: str, what: str) -> None:
    USAGE.setdefault(document, {"questions": 0, "summaries": 0})[what] += 1


def create_app() -> FastAPI:
    llm = Llm(Settings.from_env())
    app = FastAPI(title="Skylark document assistant")
    running: set[asyncio.Task] = set()

    def find(document: str) -> dict:
        if document not in DOCS:
            raise HTTPException(404, f"no document {document}")
        return DOCS[document]

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/documents", status_code=201)
    async def add(new: NewDocument) -> dict:
        if any(document["title"] == new.title for document in DOCS.values()):
            raise HTTPException(409, f"there is a document called {new.title}")
        document = {"id": uuid4().hex, "title": new.title, "label": "", "text": new.text, "version": 1}
        DOCS[document["id"]] = document
        return document

    @app.get("/documents")
    async def listed() -> dict:
        found = [{"id": document["id"], "title": document["title"]} for document in DOCS.values()]
        return {"documents": found, "count": len(found)}

    @app.get("/documents/{document_id}")
    async def get(document_id: str) -> dict:
        return find(document_id)

    @app.patch("/documents/{document_id}")
    async def edit(document_id: str, change: Edit) -> dict:
        document = find(document_id)
        document.update(change.model_dump(exclude_none=True))
        return document

    @app.put("/documents/{document_id}/text")
    async def rewrite(document_id: str, new: Text) -> dict:
        document = find(document_id)
        document["text"] = new.text
        document["version"] += 1
        return {"version": document["version"]}

    @app.delete("/documents/{document_id}", status_code=204)
    async def delete(document_id: str) -> None:
        find(document_id)
        del DOCS[document_id]

    async def work(job: dict, text: str) -> None:
        job["status"] = "running"
        try:
            job["result"] = await summarise(text, llm)
            job["status"] = "done"
            count(job["document"], "summaries")
        except Exception as error:
            job["status"], job["reason"] = "failed", repr(error)

    @app.post("/jobs", status_code=202)
    async def submit(order: Order, idempotency_key: str = Header()) -> dict:
        """Summarise a document. The same key is the same job, however often it is sent."""
        if (order.document, idempotency_key) in KEYS:
            return JOBS[KEYS[order.document, idempotency_key]]
        text = find(order.document)["text"]
        job = {"id": uuid4().hex, "document": order.document, "status": "queued", "result": None, "reason": None}
        JOBS[job["id"]] = job
        KEYS[order.document, idempotency_key] = job["id"]
        task = asyncio.create_task(work(job, text))
        running.add(task)
        task.add_done_callback(running.discard)
        return job

    @app.get("/jobs/{job_id}")
    async def ask_after(job_id: str) -> dict:
        if job_id not in JOBS:
            raise HTTPException(404, f"no job {job_id}")
        return JOBS[job_id]

    @app.post("/ask", status_code=201)
    async def ask(question: Question, x_tenant: str = Header("nobody")) -> dict:
        """Answer a question from one document."""
        document = find(question.document)
        ASKED[x_tenant] = [at for at in ASKED.get(x_tenant, []) if at > time.time() - 60]
        if len(ASKED[x_tenant]) >= ASKS_A_MINUTE:
            raise HTTPException(429, "too many questions in one minute")
        ASKED[x_tenant].append(time.time())
        said = await llm.complete(f"Answer from this text only:\n{document['text']}\n{question.question}")
        answer = {"id": uuid4().hex, "document": document["id"], "question": question.question, "answer": said}
        ANSWERS[answer["id"]] = answer
        count(document["id"], "questions")
        return answer

    @app.get("/answers/{answer_id}")
    async def explain(answer_id: str) -> dict:
        """An answer, and the text that it was made from."""
        if answer_id not in ANSWERS:
            raise HTTPException(404, f"no answer {answer_id}")
        answer = ANSWERS[answer_id]
        return {**answer, "text": find(answer["document"])["text"]}

    @app.get("/usage")
    async def usage() -> dict:
        """For each document, how many questions were answered, and how many summaries made."""
        return USAGE

    @app.post("/bookings/{source}", status_code=201)
    async def book(source: str, request: Request) -> dict:
        """A booking, as its source sends it."""
        if source not in ("web", "partner", "counter"):
            raise HTTPException(404, f"no source {source}")
        booking = {"source": source, **await request.json()}
        BOOKINGS.append(booking)
        return booking

    @app.get("/bookings")
    async def bookings() -> dict:
        """All of them, and what they come to in cents."""
        total = sum(b["amount_cents"] if b["source"] == "partner" else float(b["amount"]) * 100 for b in BOOKINGS)
        return {"bookings": BOOKINGS, "total_cents": total}

    return app
