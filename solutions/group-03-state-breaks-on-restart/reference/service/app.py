"""The HTTP face of Skylark's document assistant. Every replica serves, and works on jobs; none has anything of its own."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from service.assistant import Assistant
from service.patterns.canonical import Unmappable, to_canonical
from service.patterns.versions import Conflict
from service.settings import Settings
from service.worker import work


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
    assistant = Assistant(Settings.from_env())
    documents, versions = assistant.documents, assistant.versions

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        working = asyncio.create_task(work(assistant))
        yield
        working.cancel()  # its job goes to another, when the lease is over

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)

    def find(document: str, version: int | None = None) -> dict[str, Any]:
        """A document with a text of it. Whatever shows anything of a document asks here first."""
        found, text = documents.get(document), versions.get(document, version)
        if found is None or text is None:
            raise HTTPException(404, f"no document {document}")
        return {**found, "version": text[0], "text": text[1]}

    @app.exception_handler(sqlite3.IntegrityError)
    async def taken(request: Request, error: sqlite3.IntegrityError) -> Response:
        return Response("there is a document with this title", status_code=409)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/documents", status_code=201)
    async def add(new: NewDocument) -> dict:
        with assistant.transaction():
            document = documents.add(new.title)
            versions.put(document, new.text, 0)
            assistant.happened("created", document)
        return find(document)

    @app.get("/documents")
    async def listed() -> dict:
        found = documents.all()
        return {"documents": found, "count": len(found)}

    @app.get("/documents/{document_id}")
    async def get(document_id: str, response: Response) -> dict:
        found = find(document_id)
        response.headers["etag"] = f'"{found["version"]}"'
        return found

    @app.patch("/documents/{document_id}")
    async def edit(document_id: str, change: Edit) -> dict:
        fields = change.model_dump(exclude_none=True)
        with assistant.transaction():
            if fields and documents.change(document_id, **fields):
                assistant.happened("edited", document_id, fields=sorted(fields))
        return find(document_id)

    @app.get("/documents/{document_id}/text")
    async def text(document_id: str, version: int | None = None) -> dict:
        found = find(document_id, version)
        return {"version": found["version"], "text": found["text"]}

    @app.put("/documents/{document_id}/text")
    async def rewrite(document_id: str, new: Text, if_match: str | None = Header(None)) -> dict:
        if if_match is None:
            raise HTTPException(428, "say in If-Match which version you have seen")
        seen = re.fullmatch(r'"(\d{1,9})"', if_match)
        try:
            with assistant.transaction():
                find(document_id)
                version = versions.put(document_id, new.text, int(seen[1]) if seen else -1)
                assistant.happened("rewritten", document_id, version=version)
        except Conflict:
            raise HTTPException(412, "somebody was faster") from None
        return {"version": version}

    @app.delete("/documents/{document_id}", status_code=204)
    async def delete(document_id: str) -> None:
        with assistant.transaction():
            if not assistant.trash.delete(document_id):
                raise HTTPException(404, f"no document {document_id}")
            assistant.happened("deleted", document_id)

    @app.post("/documents/{document_id}/restore")
    async def restore(document_id: str) -> dict:
        with assistant.transaction():
            if not assistant.trash.restore(document_id):
                raise HTTPException(404, f"no document {document_id} in the trash")
            assistant.happened("restored", document_id)
        return find(document_id)

    @app.post("/purge")
    async def purge() -> dict:
        with assistant.transaction():
            purged = assistant.trash.purge()
            for document in purged:
                assistant.happened("purged", document)
        return {"purged": purged}

    @app.get("/documents/{document_id}/history")
    async def history(document_id: str) -> dict:
        return {"events": assistant.audit.events(document_id)}

    @app.post("/jobs", status_code=202)
    async def submit(order: Order, idempotency_key: str = Header()) -> dict | None:
        """Summarise a document. The same key is the same job, however often it is sent."""
        with assistant.transaction():
            version = find(order.document)["version"]
            job = assistant.jobs.submit(idempotency_key, order.document, version)
        return assistant.jobs.get(job)

    @app.get("/jobs/{job_id}")
    async def ask_after(job_id: str) -> dict:
        job = assistant.jobs.get(job_id)
        if job is None:
            raise HTTPException(404, f"no job {job_id}")
        find(job["document"])
        return job

    @app.post("/ask", status_code=201)
    async def ask(question: Question, x_tenant: str = Header("nobody")) -> dict:
        """Answer a question from one document."""
        document = find(question.document)
        if not assistant.quota.take(x_tenant):
            raise HTTPException(429, "too many questions in one minute")
        prompt = f"Answer from this text only:\n{document['text']}\n{question.question}"
        said = await assistant.llm.complete(prompt, uuid4().hex)
        with assistant.transaction():
            find(document["id"])  # it may have been deleted meanwhile
            answer = assistant.answers.add(document["id"], document["version"], question.question, said.text)
            assistant.happened("asked", document["id"], answer=answer["id"], tokens=said.tokens)
        return answer

    @app.get("/answers/{answer_id}")
    async def explain(answer_id: str) -> dict:
        """An answer, and the text that it was made from."""
        answer = assistant.answers.get(answer_id)
        if answer is None:
            raise HTTPException(404, f"no answer {answer_id}")
        return {**answer, "text": find(answer["document"], answer["version"])["text"]}

    @app.get("/usage")
    async def usage() -> dict:
        """For each document, how many questions were answered, how many summaries made, and what they cost."""
        return assistant.usage.totals()

    @app.post("/usage/rebuild")
    async def rebuild() -> dict:
        with assistant.transaction():
            assistant.usage.rebuild(assistant.audit.events())
        return assistant.usage.totals()

    @app.post("/bookings/{source}", status_code=201)
    async def book(source: str, request: Request) -> dict:
        """A booking, as its source sends it."""
        try:
            booking = to_canonical(await request.json(), source)
        except (Unmappable, ValueError, RecursionError) as error:
            raise HTTPException(422, str(error)) from None
        assistant.bookings.put(booking)
        return vars(booking)

    @app.get("/bookings")
    async def bookings() -> dict:
        """All of them, and what they come to in cents."""
        found = assistant.bookings.all()
        return {"bookings": found, "total_cents": sum(booking["amount_cents"] for booking in found)}

    return app
