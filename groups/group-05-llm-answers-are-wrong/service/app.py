"""The HTTP face of Skylark's assistant for fare policies."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.assistant import Assistant
from service.library import Library
from service.llm import Llm, Unavailable
from service.settings import Settings

Tenant = Annotated[str, Header(alias="X-Tenant")]


class Policy(BaseModel):
    """A document. It holds in `region` ("all": everywhere), from the day `effective_from` on, up to, and not on, the day
    `effective_to`."""

    title: str
    text: str
    region: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class NamedPolicy(Policy):
    id: str


class Policies(BaseModel):
    documents: list[NamedPolicy]


class Question(BaseModel):
    question: str
    region: str
    as_of: date | None = None  # today, if it is left out


def create_app() -> FastAPI:
    settings = Settings.from_env()
    llm = Llm(settings)
    library = Library(settings, llm)
    assistant = Assistant(settings, llm, library)
    app = FastAPI(title="Skylark assistant for fare policies")

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/documents")
    async def save_many(body: Policies, tenant: Tenant) -> dict:
        """Keep many documents at once."""
        await library.save(tenant, [document.model_dump() for document in body.documents])
        return {"documents": len(body.documents)}

    @app.put("/documents/{ident}")
    async def save(ident: str, body: Policy, tenant: Tenant) -> dict:
        """Keep a document, in place of what was there under this id."""
        await library.save(tenant, [{"id": ident, **body.model_dump()}])
        return {"id": ident}

    @app.delete("/documents/{ident}", status_code=204)
    async def delete(ident: str, tenant: Tenant) -> None:
        if not library.delete(tenant, ident):
            raise HTTPException(404, f"no document {ident}")

    @app.post("/ask")
    async def ask(body: Question, tenant: Tenant) -> dict:
        """Answer a traveller's question."""
        as_of = body.as_of or datetime.now(UTC).date()
        return await assistant.ask(tenant, body.question, body.region, as_of.isoformat())

    return app
