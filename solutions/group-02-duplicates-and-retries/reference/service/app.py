"""The HTTP face of Skylark's document assistant. Several replicas of it run on one disk."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.clients import Llm, Refused, Unavailable
from service.database import connect
from service.edits import BadArguments, Edits, TooLate, UnknownEdit
from service.library import Library, UnknownDocument
from service.patterns.command import UnknownKind
from service.patterns.content_hashing import fingerprint
from service.patterns.idempotent_command import IdempotentCommands, InProgress, KeyReused, Outcome, Reply
from service.settings import Settings, get_settings

Tenant = Annotated[str, Header(alias="X-Tenant")]
Current = Annotated[Settings, Depends(get_settings)]
Key = Annotated[str | None, Header(alias="Idempotency-Key")]

ERRORS = {
    Unavailable: 503, UnknownDocument: 404, UnknownEdit: 404, UnknownKind: 422, BadArguments: 422, TooLate: 409,
    KeyReused: 422, InProgress: 409,
}  # fmt: skip


class NoKey(Exception):
    """An order has to have an Idempotency-Key."""


class Text(BaseModel):
    text: str


class Order(BaseModel):
    document: str


class Edit(BaseModel):
    document: str
    kind: str
    arguments: dict[str, Any]


def create_app() -> FastAPI:
    db = connect()
    library = Library(Llm(), db)
    commands = IdempotentCommands(db)
    edits = Edits(library)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(edits.work())
        yield
        worker.cancel()

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)

    async def failed(request: Request, error: Exception) -> JSONResponse:
        status = ERRORS.get(type(error), 400)
        headers = {"retry-after": "1"} if isinstance(error, (InProgress, Unavailable)) else None
        return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, status, headers)

    for error in (*ERRORS, NoKey):
        app.add_exception_handler(error, failed)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=502)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.put("/documents/{name}")
    async def put(name: str, body: Text, tenant: Tenant, settings: Current) -> dict:
        """Keep a document under this name, in place of what was there."""
        return {"name": name, "paragraphs": await library.put(tenant, name, body.text, settings)}

    @app.get("/documents/{name}")
    async def get(name: str, tenant: Tenant) -> dict:
        return {"name": name, "text": library.text(tenant, name)[0]}

    @app.get("/ask")
    async def ask(q: str, tenant: Tenant, settings: Current) -> dict:
        """Answer a question from the tenant's documents."""
        return {"question": q, "answer": await library.ask(tenant, q, settings)}

    @app.post("/summaries")
    async def order(body: Order, tenant: Tenant, settings: Current, key: Key = None) -> Response:
        """Order a summary of a document."""

        async def make() -> Outcome:
            return await library.summarise(tenant, body.document, settings, need(key))

        asked = fingerprint(["summaries", body.model_dump()])
        return sent(await commands.execute(tenant, need(key), asked, make))

    @app.get("/summaries")
    async def orders(tenant: Tenant) -> list[dict]:
        """All summaries that the tenant has ordered, and pays for."""
        return library.summaries(tenant)

    @app.post("/edits")
    async def edit(body: Edit, tenant: Tenant, key: Key = None) -> Response:
        """Edit a document, soon."""

        async def accept() -> Outcome:
            command = json.dumps({"kind": body.kind, "fields": body.arguments})
            told, write = edits.submit(tenant, body.document, command)
            return Outcome(Reply(202, json.dumps(told).encode()), write)

        return sent(await commands.execute(tenant, need(key), fingerprint(["edits", body.model_dump()]), accept))

    @app.get("/edits/{edit_id}")
    async def ask_after(edit_id: str, tenant: Tenant) -> dict:
        return edits.get(tenant, edit_id)

    @app.post("/edits/{edit_id}/undo", status_code=202)
    async def undo(edit_id: str, tenant: Tenant) -> dict:
        """Take an edit back, soon."""
        return edits.undo(tenant, edit_id)

    @app.get("/documents/{name}/edits")
    async def audit(name: str, tenant: Tenant) -> list[dict]:
        """What was done to a document, in order."""
        return edits.of(tenant, name)

    return app


def need(key: str | None) -> str:
    if not key:
        raise NoKey("which order is this? Send an Idempotency-Key")
    return key


def sent(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type="application/json")
