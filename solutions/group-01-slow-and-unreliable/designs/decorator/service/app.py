"""The HTTP face of Skylark's document assistant."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps

from fastapi import FastAPI, HTTPException

from service.clients import Library, Llm, UnknownDocument
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


def within(seconds: float) -> Callable:
    """A handler with one budget for all that it does: what it still waits for then is cancelled."""

    def decorate(handler: Callable[..., Awaitable[dict]]) -> Callable[..., Awaitable[dict]]:
        @wraps(handler)
        async def bounded(*args: object, **kwargs: object) -> dict:
            try:
                async with asyncio.timeout(seconds):
                    return await handler(*args, **kwargs)
            except TimeoutError:
                raise HTTPException(504, "the answer did not come in time") from None

        return bounded

    return decorate


def create_app() -> FastAPI:
    settings = Settings.from_env()
    llm = Llm(settings)
    library = Library(settings)
    app = FastAPI(title="Skylark document assistant")

    @app.get("/health")
    async def health() -> dict:
        """Asked by the load balancer: a replica that does not answer in time is taken out of service."""
        return {"status": "ok"}

    @app.get("/ask")
    @within(settings.ask_seconds)
    async def ask(q: str) -> dict:
        """Answer a traveller's question from the fare rules."""
        answer = await llm.complete(f"Answer from these rules only:\n{FARE_RULES}\n{q}")
        return {"question": q, "answer": answer}

    @app.post("/documents/{document_id}/summary")
    @within(settings.summary_seconds)
    async def summary(document_id: str) -> dict:
        """Summarise a document of the library."""
        try:
            document = await library.document(document_id)
        except UnknownDocument:
            raise HTTPException(404, f"no document {document_id}") from None
        return await summarise(document, llm, settings)

    return app
