"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from service.patterns.circuit_breaker import CircuitBreaker
from service.patterns.retry import Unavailable, retry, retry_after_seconds
from service.patterns.timeout import Deadline
from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
SHARE = 1 / 3  # of a request's budget: what one try may take of it


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


class Client:
    """Calls to one service: each bounded by its request's deadline, tried again where that helps, behind one breaker."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=None)  # the deadline covers every phase
        self.breaker = CircuitBreaker()

    async def call(self, method: str, path: str, deadline: Deadline, **rest: Any) -> httpx.Response:
        """One call, whatever it takes. Raises Unavailable, BreakerOpen and DeadlineExceeded."""

        async def once() -> httpx.Response:
            try:
                async with asyncio.timeout(min(deadline.remaining(), deadline.seconds * SHARE)):
                    reply = await self.http.request(method, path, **rest)
            except (TimeoutError, httpx.TransportError) as error:
                raise Unavailable(f"{self.http.base_url.host}: {error!r}") from error
            if reply.status_code in PASSING:
                wait = retry_after_seconds(reply.headers.get("retry-after"), time.time())
                raise Unavailable(f"{self.http.base_url.host} answers {reply.status_code}", wait)
            return reply

        return await retry(lambda: self.breaker.call(once), deadline)


class Llm(Client):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.llm_url, {"authorization": f"Bearer {settings.llm_key}"})
        self.model = settings.llm_model

    async def complete(self, prompt: str, deadline: Deadline) -> str:
        """One question to the model, and its answer. Raises Refused, too."""
        message = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        key = {"idempotency-key": str(uuid4())}  # one for all tries: billed once
        reply = await self.call("POST", "/v1/chat/completions", deadline, json=message, headers=key)
        if reply.is_error:
            raise Refused(f"the provider answers {reply.status_code}")
        return reply.json()["choices"][0]["message"]["content"]


class Library(Client):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.library_url)

    async def document(self, document_id: str, deadline: Deadline) -> Document:
        """Raises UnknownDocument and Refused, too."""
        reply = await self.call("GET", f"/documents/{document_id}", deadline)
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        if reply.is_error:
            raise Refused(f"the library answers {reply.status_code}")
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
