"""The HTTP face of Skylark's assistant. Several replicas of it run on one disk."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from service.account import AGAIN, Account, OverQuota
from service.assistant import Assistant
from service.llm import Llm, Refused, Unavailable
from service.patterns.attribution import Payer
from service.patterns.budget import Busy, Exhausted, month
from service.settings import Settings
from service.store import Tenant, UnknownTenant, connect, find_run, find_tenant, keep_tenant

Name = Annotated[str, Header(alias="X-Tenant")]


class Terms(BaseModel):
    zone: str = "UTC"
    budget: int = Field(ge=0)
    quota: int = Field(ge=1)


class Chat(BaseModel):
    text: str
    session: str = ""
    stream: bool = False


class Digest(BaseModel):
    sections: list[str]


class Research(BaseModel):
    question: str
    steps: int = Field(5, ge=1, le=1000)
    also: list[str] = []


class Document(BaseModel):
    text: str


def create_app() -> FastAPI:
    settings = Settings.from_env()
    db = connect(settings.data_dir)
    account = Account(db, Llm(settings), settings)
    assistant = Assistant(db, account)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loops = (assistant.work(), assistant.embed_batches(), account.keep_books())
        tasks = [asyncio.create_task(loop) for loop in loops]
        yield
        for task in tasks:
            task.cancel()

    app = FastAPI(title="Skylark assistant", lifespan=lifespan)
    statuses = {UnknownTenant: 404, Exhausted: 402, OverQuota: 429, Busy: 429, Refused: 502, Unavailable: 503}

    async def told(request: Request, error: Exception) -> JSONResponse:
        status, headers = statuses[type(error)], {}
        if status == 429:
            headers["retry-after"] = str(math.ceil(getattr(error, "seconds", AGAIN)))
        return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, status, headers)

    for kind in statuses:
        app.exception_handler(kind)(told)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.put("/tenants/{name}")
    async def agree(name: str, terms: Terms) -> dict:
        """What was agreed with a tenant. It holds from now on, at all replicas."""
        keep_tenant(db, Tenant(name, terms.zone, terms.budget, terms.quota))
        return {"name": name, **terms.model_dump()}

    @app.post("/chat")
    async def chat(body: Chat, name: Name):
        tenant, run = find_tenant(db, name), str(uuid4())
        if body.stream:
            pieces = await assistant.stream(tenant, run, body.session, body.text)
            return StreamingResponse(pieces, media_type="text/plain", headers={"x-run": run})
        return {"run": run, "answer": await assistant.chat(tenant, run, body.session, body.text)}

    @app.post("/digests", status_code=202)
    async def digest(body: Digest, name: Name) -> dict:
        """A summary of each section, behind the request."""
        tenant = find_tenant(db, name)

        def work(payer: Payer, answers: list[str]):
            return assistant.digest(payer, body.sections, answers)

        return {"run": assistant.begin(tenant, "digest", work)}

    @app.post("/research", status_code=202)
    async def research(body: Research, name: Name) -> dict:
        """An agent goes so many steps, and sends sub-agents for what is `also` asked."""
        tenant = find_tenant(db, name)

        def work(payer: Payer, answers: list[str]):
            return assistant.research(payer, body.question, body.steps, body.also, answers)

        return {"run": assistant.begin(tenant, "research", work)}

    @app.post("/documents", status_code=202)
    async def document(body: Document, name: Name) -> dict:
        """A document to be embedded, soon."""
        tenant = find_tenant(db, name)
        return {"run": assistant.embed(tenant, body.text)}

    @app.get("/runs/{run}")
    async def ask_after(run: str, name: Name) -> dict:
        found = find_run(db, name, run)
        if found is None:
            raise HTTPException(404, f"no run {run}")
        return found

    @app.get("/costs")
    async def costs(name: Name, at: Annotated[str, Query(alias="month")] = "") -> dict:
        """What a tenant has spent in a month (such as 2026-01; this one, if not said), in micro-dollars."""
        tenant = find_tenant(db, name)
        return account.ledger.costs(name, at or month(time.time(), tenant.zone))

    return app
