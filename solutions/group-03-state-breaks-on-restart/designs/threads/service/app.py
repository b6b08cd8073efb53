"""The HTTP face of Skylark's document assistant. Each request has a thread of a pool; another thread works on jobs."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from service.assistant import here
from service.patterns.canonical import Unmappable, to_canonical
from service.patterns.versions import Conflict
from service.worker import Worker


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


def create_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = Worker()
        worker.start()
        yield
        worker.over.set()  # its job goes to another, when the lease is over

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)

    def find(document: str, version: int | None = None) -> dict[str, Any]:
        """A document with a text of it. Whatever shows anything of a document asks here first."""
        found, text = here().documents.get(document), here().versions.get(document, version)
        if found is None or text is None:
            raise HTTPException(404, f"no document {document}")
        return {**found, "version": text[0], "text": text[1]}

    @app.exception_handler(sqlite3.IntegrityError)
    async def taken(request: Request, error: sqlite3.IntegrityError) -> Response:
        return Response("there is a document with this title", status_code=409)

    @app.get("/health")
    def health() -> dict:
        return {"status": "ok"}

    @app.post("/documents", status_code=201)
    def add(new: NewDocument) -> dict:
        with here().transaction():
            document = here().documents.add(new.title)
            here().versions.put(document, new.text, 0)
            here().happened("created", document)
        return find(document)

    @app.get("/documents")
    def listed() -> dict:
        found = here().documents.all()
        return {"documents": found, "count": len(found)}

    @app.get("/documents/{document_id}")
    def get(document_id: str, response: Response) -> dict:
        found = find(document_id)
        response.headers["etag"] = f'"{found["version"]}"'
        return found

    @app.patch("/documents/{document_id}")
    def edit(document_id: str, change: Edit) -> dict:
        fields = change.model_dump(exclude_none=True)
        with here().transaction():
            if fields and here().documents.change(document_id, **fields):
                here().happened("edited", document_id, fields=sorted(fields))
        return find(document_id)

    @app.get("/documents/{document_id}/text")
    def text(document_id: str, version: int | None = None) -> dict:
        found = find(document_id, version)
        return {"version": found["version"], "text": found["text"]}

    @app.put("/documents/{document_id}/text")
    def rewrite(document_id: str, new: Text, if_match: str | None = Header(None)) -> dict:
        if if_match is None:
            raise HTTPException(428, "say in If-Match which version you have seen")
        seen = re.fullmatch(r'"(\d{1,9})"', if_match)
        try:
            with here().transaction():
                find(document_id)
                version = here().versions.put(document_id, new.text, int(seen[1]) if seen else -1)
                here().happened("rewritten", document_id, version=version)
        except Conflict:
            raise HTTPException(412, "somebody was faster") from None
        return {"version": version}

    @app.delete("/documents/{document_id}", status_code=204)
    def delete(document_id: str) -> None:
        with here().transaction():
            if not here().trash.delete(document_id):
                raise HTTPException(404, f"no document {document_id}")
            here().happened("deleted", document_id)

    @app.post("/documents/{document_id}/restore")
    def restore(document_id: str) -> dict:
        with here().transaction():
            if not here().trash.restore(document_id):
                raise HTTPException(404, f"no document {document_id} in the trash")
            here().happened("restored", document_id)
        return find(document_id)

    @app.post("/purge")
    def purge() -> dict:
        with here().transaction():
            purged = here().trash.purge()
            for document in purged:
                here().happened("purged", document)
        return {"purged": purged}

    @app.get("/documents/{document_id}/history")
    def history(document_id: str) -> dict:
        return {"events": here().audit.events(document_id)}

    @app.post("/jobs", status_code=202)
    def submit(order: Order, idempotency_key: str = Header()) -> dict | None:
        """Summarise a document. The same key is the same job, however often it is sent."""
        with here().transaction():
            version = find(order.document)["version"]
            job = here().jobs.submit(idempotency_key, order.document, version)
        return here().jobs.get(job)

    @app.get("/jobs/{job_id}")
    def ask_after(job_id: str) -> dict:
        job = here().jobs.get(job_id)
        if job is None:
            raise HTTPException(404, f"no job {job_id}")
        find(job["document"])
        return job

    @app.post("/ask", status_code=201)
    def ask(question: Question, x_tenant: str = Header("nobody")) -> dict:
        """Answer a question from one document."""
        document = find(question.document)
        if not here().quota.take(x_tenant):
            raise HTTPException(429, "too many questions in one minute")
        prompt = f"Answer from this text only:\n{document['text']}\n{question.question}"
        said = here().llm.complete(prompt, uuid4().hex)
        with here().transaction():
            find(document["id"])  # it may have been deleted meanwhile
            answer = here().answers.add(document["id"], document["version"], question.question, said.text)
            here().happened("asked", document["id"], answer=answer["id"], tokens=said.tokens)
        return answer

    @app.get("/answers/{answer_id}")
    def explain(answer_id: str) -> dict:
        """An answer, and the text that it was made from."""
        answer = here().answers.get(answer_id)
        if answer is None:
            raise HTTPException(404, f"no answer {answer_id}")
        return {**answer, "text": find(answer["document"], answer["version"])["text"]}

    @app.get("/usage")
    def usage() -> dict:
        """For each document, how many questions were answered, how many summaries made, and what they cost."""
        return here().usage.totals()

    @app.post("/usage/rebuild")
    def rebuild() -> dict:
        with here().transaction():
            here().usage.rebuild(here().audit.events())
        return here().usage.totals()

    @app.post("/bookings/{source}", status_code=201)
    def book(source: str, raw: dict[str, Any]) -> dict:
        """A booking, as its source sends it."""
        try:
            booking = to_canonical(raw, source)
        except Unmappable as error:
            raise HTTPException(422, str(error)) from None
        here().bookings.put(booking)
        return vars(booking)

    @app.get("/bookings")
    def bookings() -> dict:
        """All of them, and what they come to in cents."""
        found = here().bookings.all()
        return {"bookings": found, "total_cents": sum(booking["amount_cents"] for booking in found)}

    return app
