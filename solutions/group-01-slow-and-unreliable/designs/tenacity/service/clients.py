"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from service.budget import budget
from service.patterns.circuit_breaker import CircuitBreaker
from service.patterns.retry import Unavailable, retry, retry_after_seconds
from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment


class UnknownDocument(Exception):
    """The library has no such document."""


class Refused(Exception):
    """What we asked for is refused, and would be again: the fault is ours."""


@dataclass
class Document:
    id: str
    title: str
    scanned: bool  # pages are pictures: their text has to be extracted first
    pages: list[str]


Send = Callable[..., Awaitable[httpx.Response]]


def resilient(breaker: CircuitBreaker) -> Callable[[Send], Send]:
    """A call behind a breaker, tried again while the request's budget lasts; one try takes 4 s, or a third of it."""

    def decorate(send: Send) -> Send:
        async def once(*args: Any, **kwargs: Any) -> httpx.Response:
            patience = max(4.0, budget().seconds / 3)
            try:
                async with asyncio.timeout(patience):
                    reply = await send(*args, **kwargs)
            except (TimeoutError, httpx.TransportError) as error:
                raise Unavailable(repr(error)) from error
            if reply.status_code in PASSING:
                raise Unavailable(str(reply), retry_after_seconds(reply.headers.get("retry-after"), time.time()))
            return reply

        async def call(*args: Any, **kwargs: Any) -> httpx.Response:
            return await retry(lambda: breaker.call(lambda: once(*args, **kwargs)), budget())

        return call

    return decorate


class Llm:
    def __init__(self, settings: Settings) -> None:
        self.model = settings.llm_model
        http = httpx.AsyncClient(
            base_url=settings.llm_url, headers={"authorization": f"Bearer {settings.llm_key}"}, timeout=None
        )
        self.post = resilient(CircuitBreaker())(http.post)

    async def complete(self, prompt: str) -> str:
        """One question to the model, and its answer."""
        reply = await self.post(
            "/v1/chat/completions",
            json={"model": self.model, "messages": [{"role": "user", "content": prompt}]},
            headers={"idempotency-key": uuid4().hex},
        )
        if reply.is_error:
            raise Refused(str(reply))
        return reply.json()["choices"][0]["message"]["content"]


class Library:
    def __init__(self, settings: Settings) -> None:
        self.get = resilient(CircuitBreaker())(httpx.AsyncClient(base_url=settings.library_url, timeout=None).get)

    async def document(self, document_id: str) -> Document:
        reply = await self.get(f"/documents/{document_id}")
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        if reply.is_error:
            raise Refused(str(reply))
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
