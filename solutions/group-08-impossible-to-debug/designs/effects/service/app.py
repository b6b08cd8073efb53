"""The HTTP face of Skylark's answer desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from service.clients import Unavailable
from service.desk import NAME, Desk, UnknownRun, new_run
from service.patterns.evaluation import GoldenChanged, fingerprint
from service.patterns.prompts import UnknownPrompt
from service.settings import Settings
from service.store import write_config

User = Annotated[str, Header(alias="X-User")]


class Question(BaseModel):
    booking: str
    question: str


class Document(BaseModel):
    text: str


class Prompt(BaseModel):
    text: str
    share: int = Field(100, ge=1, le=100)  # per cent of the users


class Config(BaseModel):
    window: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)


class Vote(BaseModel):
    up: bool


class Case(BaseModel):
    """A question of which the answer is known: `expected` stands in it."""

    booking: str
    question: str
    expected: str
    slice: str


class Golden(BaseModel):
    cases: list[Case]


class Candidate(BaseModel):
    text: str


class Evaluation(Candidate):
    golden: str | None = None  # the fingerprint of the golden set that was agreed on


class Version(BaseModel):
    version: str


class Replay(BaseModel):
    prompt: str | None = None  # another version than the run had


class Pair(BaseModel):
    good: str
    bad: str


class Review(BaseModel):
    expected: str
    slice: str


def create_app() -> FastAPI:
    settings = Settings.from_env()
    desk = Desk(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk.events.subscribe(desk.audit.send)
        workers = [asyncio.create_task(desk.work()) for _ in range(settings.workers)]
        yield
        for worker in workers:
            worker.cancel()
        await desk.close()

    app = FastAPI(title="Skylark answer desk", lifespan=lifespan)

    @app.exception_handler(UnknownRun)
    @app.exception_handler(UnknownPrompt)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"there is no {error}"}, status_code=404)

    @app.exception_handler(GoldenChanged)
    async def changed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=409)

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"detail": desk.redactor.clean(str(error))}, status_code=503)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/ask", response_model=None)
    async def ask(body: Question, user: User, request: Request) -> dict | JSONResponse:
        """Answer a traveller's question."""
        run = new_run()
        try:
            return {"run": run, **await desk.ask(run, user, body.booking, body.question, request.headers)}
        except Exception as error:
            return JSONResponse({"run": run, "detail": desk.redactor.clean(str(error))}, status_code=503)

    @app.get("/runs")
    async def runs() -> dict:
        return {"runs": desk.runs.listed()}

    @app.get("/runs/{run}")
    async def record(run: str) -> dict:
        """Why was this answered?"""
        return desk.record(run)

    @app.post("/runs/{run}/replay")
    async def replay(run: str, body: Replay | None = None) -> dict:
        return await desk.replay(run, body.prompt if body else None)

    @app.get("/traces/{trace}")
    async def trace(trace: str) -> dict:
        spans = desk.runs.trace(trace)
        if not spans:
            raise HTTPException(404, f"no trace {trace}")
        return {"spans": spans}

    @app.post("/diagnose")
    async def diagnose(body: Pair) -> dict:
        """Which input is to blame?"""
        return await desk.diagnose(body.good, body.bad)

    @app.put("/documents/{ident}")
    async def save(ident: str, body: Document) -> dict:
        desk.db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (ident, body.text))
        return {"id": ident}

    @app.put("/prompts/answer")
    async def publish(body: Prompt) -> dict:
        """The prompt that answers, from now on."""
        return {"share": body.share, "version": desk.publish(body.text, body.share)}

    @app.get("/prompts/answer/{version}")
    async def prompt(version: str) -> dict:
        return {"version": version, "text": desk.prompts.text(NAME, version)}

    @app.post("/prompts/answer/rollback")
    async def rollback(body: Version) -> dict:
        desk.rollback(body.version)
        return {"version": body.version}

    @app.put("/config")
    async def configure(body: Config) -> dict:
        write_config(desk.db, **body.model_dump(exclude_none=True))
        return body.model_dump(exclude_none=True)

    @app.post("/runs/{run}/vote", status_code=204)
    async def vote(run: str, body: Vote, user: User) -> None:
        """A thumb, up or down."""
        desk.vote(run, user, body.up)

    @app.get("/satisfaction")
    async def satisfaction() -> dict:
        return {"score": desk.feedback.score()}

    @app.get("/reviews")
    async def reviews() -> dict:
        """The runs that somebody should look at."""
        return {"runs": desk.feedback.queue()}

    @app.post("/reviews/{run}", status_code=201)
    async def review(run: str, body: Review) -> dict:
        if run not in desk.feedback.queue():
            raise UnknownRun(run)
        return {"case": desk.feedback.review(run, body.expected, body.slice)}

    @app.get("/examples")
    async def examples() -> dict:
        """What may stand in a prompt."""
        return {"examples": desk.examples()}

    @app.get("/golden")
    async def golden() -> dict:
        return {"cases": desk.golden(), "fingerprint": fingerprint(desk.golden())}

    @app.put("/golden")
    async def pin(body: Golden) -> dict:
        """Questions of which the answers are known."""
        write_config(desk.db, golden=[case.model_dump() for case in body.cases])
        return {"cases": len(body.cases)}

    @app.post("/evaluate")
    async def evaluate(body: Evaluation) -> dict:
        return await desk.evaluate(body.text, body.golden)

    @app.put("/shadow")
    async def try_out(body: Candidate) -> dict:
        """From now on, this prompt is asked, too."""
        await desk.try_out(body.text)
        return {"shadow": True}

    @app.get("/shadow")
    async def compared() -> dict:
        return desk.redactor.clean(desk.shadow.report()) if desk.shadow else {}

    @app.delete("/shadow", status_code=204)
    async def end_shadow() -> None:
        await desk.end_shadow()

    return app
