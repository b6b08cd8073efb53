"""The HTTP face of Skylark's document assistant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.budget import within
from service.clients import Library, Llm, Refused, UnknownDocument
from service.patterns.circuit_breaker import BreakerOpen
from service.patterns.degradation import Fallback
from service.patterns.jobs import JobRunner, UnknownJob
from service.patterns.retry import Unavailable
from service.patterns.state import IllegalTransition, Job
from service.patterns.timeout import DeadlineExceeded
from service.settings import Settings
from service.summary import summarise, summarise_whole

FARE_RULES = """\
Flexible fares may be changed without a fee until one hour before departure.
Saver fares may be changed for 45 euros until the day before departure.
Checked baggage on saver fares costs 30 euros for each bag and each flight.
Refunds of flexible fares are paid within seven days.
Children under two years travel on a lap for 10 percent of the fare.
Pets in the cabin cost 60 euros and have to be booked two days ahead.
"""


class Order(BaseModel):
    document: str


def create_app() -> FastAPI:
    settings = Settings.from_env()
    llm = Llm(settings)
    library = Library(settings)
    fallback = Fallback(FARE_RULES)

    async def work(job: Job, done: dict[str, Any]) -> dict:
        async with within(settings.job_seconds):
            return await summarise_whole(job.document, library, llm, settings, done)

    jobs = JobRunner(work, settings.jobs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await jobs.drain()  # what was accepted is done before we go

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)

    @app.exception_handler(Unavailable)
    @app.exception_handler(BreakerOpen)
    @app.exception_handler(DeadlineExceeded)
    async def not_now(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "no answer could be had in time"}, status_code=503)

    @app.exception_handler(Refused)
    async def our_fault(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=502)

    @app.exception_handler(UnknownJob)
    async def no_such_job(request: Request, error: UnknownJob) -> JSONResponse:
        return JSONResponse({"detail": f"no job {error}"}, status_code=404)

    @app.exception_handler(IllegalTransition)
    async def too_late(request: Request, error: IllegalTransition) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=409)

    @app.get("/health")
    async def health() -> dict:
        """Asked by the load balancer: a replica that does not answer in time is taken out of service."""
        return {"status": "ok"}

    @app.get("/ask")
    async def ask(q: str) -> dict:
        """Answer a traveller's question from the fare rules."""
        try:
            async with within(settings.ask_seconds):
                answer = await llm.complete(f"Answer from these rules only:\n{FARE_RULES}\n{q}")
        except (Unavailable, BreakerOpen, DeadlineExceeded):
            answer, age = fallback.instead(q)
            return {"question": q, "answer": answer, "degraded": True, "age": age}
        fallback.remember(q, answer)
        return {"question": q, "answer": answer, "degraded": False}

    @app.post("/documents/{document_id}/summary")
    async def summary(document_id: str) -> dict:
        """Summarise a document of the library."""
        try:
            async with within(settings.summary_seconds):
                return await summarise(await library.document(document_id), llm, settings)
        except UnknownDocument:
            raise HTTPException(404, f"no document {document_id}") from None

    @app.post("/jobs", status_code=202)
    async def submit(order: Order, response: Response) -> Job:
        """Summarise a document, whole, however long it takes."""
        job = jobs.submit(order.document)
        response.headers["location"] = f"/jobs/{job.id}"
        return job

    @app.get("/jobs/{job_id}")
    async def ask_after(job_id: str) -> Job:
        return jobs.get(job_id)

    @app.delete("/jobs/{job_id}")
    async def cancel(job_id: str) -> Job:
        return jobs.cancel(job_id)

    @app.post("/jobs/{job_id}/retry", status_code=202)
    async def take_up_again(job_id: str) -> Job:
        return jobs.retry(job_id)

    return app
