"""The HTTP face of Skylark's document assistant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from service.clients import Library, Llm, UnknownDocument
from service.patterns.timeout import Deadline, DeadlineExceeded
from service.settings import Settings
from service.summary import summarise

FARE_RULES = """\
Flexible fares may be changed without a fee until one hour before departure.
Saver fares may be changed for 45 euros until the day before departure.
Checked baggage on saver fares costs 30 euros for each bag and each flight.
Refunds of flexible fares are paid within seven days.
Children under two years travel on a lap for 10 percent of the fare.
Pets in the cabin cost 60 euros and have to be booked two days ahead.
"""


@asynccontextmanager
async def threads(app: FastAPI) -> AsyncIterator[None]:
    """Requests wait in threads: 40, as many as there are by default, are gone when 40 travellers wait."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = 400
    yield


def create_app() -> FastAPI:
    settings = Settings.from_env()
    llm = Llm(settings)
    library = Library(settings)
    app = FastAPI(title="Skylark document assistant", lifespan=threads)

    @app.exception_handler(DeadlineExceeded)
    def out_of_time(request: Request, error: DeadlineExceeded) -> JSONResponse:
        return JSONResponse({"detail": "the answer did not come in time"}, status_code=504)

    @app.get("/health")
    async def health() -> dict:
        """Asked by the load balancer: a replica that does not answer in time is taken out of service."""
        return {"status": "ok"}

    @app.get("/ask")
    def ask(q: str) -> dict:
        """Answer a traveller's question from the fare rules."""
        deadline = Deadline(settings.ask_seconds)
        answer = llm.complete(f"Answer from these rules only:\n{FARE_RULES}\n{q}", deadline)
        return {"question": q, "answer": answer}

    @app.post("/documents/{document_id}/summary")
    def summary(document_id: str) -> dict:
        """Summarise a document of the library."""
        deadline = Deadline(settings.summary_seconds)
        try:
            document = library.document(document_id, deadline)
        except UnknownDocument:
            raise HTTPException(404, f"no document {document_id}") from None
        return summarise(document, llm, settings, deadline)

    return app
