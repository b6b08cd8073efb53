"""The HTTP face of Skylark's answer desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from service.clients import Unavailable
from service.desk import Desk
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


def create_app() -> FastAPI:
    settings = Settings.from_env()
    desk = Desk(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers = [asyncio.create_task(desk.work()) for _ in range(settings.workers)]
        yield
        for worker in workers:
            worker.cancel()

    app = FastAPI(title="Skylark answer desk", lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/ask")
    async def ask(body: Question, user: User) -> dict:
        """Answer a traveller's question."""
        try:
            return await desk.ask(user, body.booking, body.question)
        except (Unavailable, httpx.HTTPError) as error:
            raise HTTPException(503, str(error)) from error

    @app.put("/documents/{ident}")
    async def save(ident: str, body: Document) -> dict:
        desk.db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (ident, body.text))
        return {"id": ident}

    @app.put("/prompts/answer")
    async def publish(body: Prompt) -> dict:
        """The prompt that answers, from now on."""
        desk.publish(body.text, body.share)
        return {"share": body.share}

    @app.put("/config")
    async def configure(body: Config) -> dict:
        write_config(desk.db, **body.model_dump(exclude_none=True))
        return body.model_dump(exclude_none=True)

    @app.post("/runs/{run}/vote", status_code=204)
    async def vote(run: str, body: Vote, user: User) -> None:
        """A thumb, up or down."""
        desk.vote(body.up)

    @app.get("/satisfaction")
    async def satisfaction() -> dict:
        return {"score": desk.satisfaction()}

    @app.put("/golden")
    async def pin(body: Golden) -> dict:
        """Questions of which the answers are known."""
        write_config(desk.db, golden=[case.model_dump() for case in body.cases])
        return {"cases": len(body.cases)}

    @app.post("/evaluate")
    async def evaluate(body: Candidate) -> dict:
        return await desk.evaluate(body.text)

    @app.put("/shadow")
    async def try_out(body: Candidate) -> dict:
        """From now on, this prompt is asked, too."""
        desk.candidate, desk.compared = body.text, []
        return {"shadow": True}

    @app.get("/shadow")
    async def compared() -> dict:
        differ = [pair for pair in desk.compared if pair["live"] != pair["candidate"]]
        return {"compared": len(desk.compared), "differ": len(differ), "diffs": differ[:20]}

    @app.delete("/shadow", status_code=204)
    async def end_shadow() -> None:
        desk.candidate = None

    return app
