"""The HTTP face of Skylark's document assistant. Several replicas of it run on one disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.clients import Llm, Refused, Unavailable
from service.edits import Edits
from service.library import Library, UnknownDocument
from service.settings import Settings, get_settings

Tenant = Annotated[str, Header(alias="X-Tenant")]
Current = Annotated[Settings, Depends(get_settings)]


class Text(BaseModel):
    text: str


class Order(BaseModel):
    document: str


class Edit(BaseModel):
    document: str
    kind: str
    arguments: dict[str, Any]


def create_app() -> FastAPI:
    library = Library(Llm())
    edits = Edits(library)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(edits.work())
        yield
        worker.cancel()

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)

    @app.exception_handler(Unavailable)
    async def not_now(request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=502)

    @app.exception_handler(UnknownDocument)
    async def unknown(request: Request, error: UnknownDocument) -> JSONResponse:
        return JSONResponse({"detail": f"no document {error}"}, status_code=404)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.put("/documents/{name}")
    async def put(name: str, body: Text, tenant: Tenant, settings: Current) -> dict:
        """Keep a document under this name, in place of what was there."""
        return {"name": name, "paragraphs": await library.put(tenant, name, body.text, settings)}

    @app.get("/documents/{name}")
    async def get(name: str, tenant: Tenant) -> dict:
        return {"name": name, "text": library.text(tenant, name)}

    @app.get("/ask")
    async def ask(q: str, tenant: Tenant, settings: Current) -> dict:
        """Answer a question from the tenant's documents."""
        return {"question": q, "answer": await library.ask(tenant, q, settings)}

    @app.post("/summaries", status_code=201)
    async def order(body: Order, tenant: Tenant, settings: Current) -> dict:
        """Order a summary of a document."""
        return await library.summarise(tenant, body.document, settings)

    @app.get("/summaries")
    async def orders(tenant: Tenant) -> list[dict]:
        """All summaries that the tenant has ordered, and pays for."""
        return library.summaries(tenant)

    @app.post("/edits", status_code=202)
    async def edit(body: Edit, tenant: Tenant) -> dict:
        """Edit a document, soon."""
        library.text(tenant, body.document)
        return edits.submit(tenant, body.document, body.kind, body.arguments)

    @app.get("/edits/{edit_id}")
    async def ask_after(edit_id: str, tenant: Tenant) -> dict:
        known = edits.known.get(edit_id)
        if known is None or known["tenant"] != tenant:
            raise HTTPException(404, f"no edit {edit_id}")
        return known["edit"]

    return app
