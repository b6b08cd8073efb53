"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import httpx

from service.patterns.circuit_breaker import CircuitBreaker
from service.patterns.retry import Unavailable, retry, retry_after_seconds
from service.patterns.timeout import Deadline, DeadlineExceeded
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


def fetch(http: httpx.Client, method: str, path: str, seconds: float, **rest: Any) -> httpx.Response:
    """One try, on the thread that calls it. The answer is read piece by piece, with an eye on the clock: a read time-out
    would begin anew with each of them. Raises Unavailable."""
    limit = Deadline(seconds)
    try:
        with http.stream(method, path, timeout=seconds, **rest) as reply:
            content = b""
            for piece in reply.iter_bytes():
                limit.check()
                content += piece
    except (httpx.TransportError, DeadlineExceeded) as error:
        raise Unavailable(f"{http.base_url.host}: {error!r}") from error
    if reply.status_code in PASSING:
        wait = retry_after_seconds(reply.headers.get("retry-after"), time.time())
        raise Unavailable(f"{http.base_url.host} answers {reply.status_code}", wait)
    return httpx.Response(reply.status_code, content=content, request=reply.request)


class Client:
    """Calls to one service, each on a thread: what a library that knows no async would need."""

    def __init__(self, url: str, threads: int, headers: dict[str, str] | None = None) -> None:
        self.http = httpx.Client(base_url=url, headers=headers, limits=httpx.Limits(max_connections=None))
        self.threads = ThreadPoolExecutor(threads)  # asyncio's own has 6 on a machine with 2 cores
        self.breaker = CircuitBreaker()

    async def call(self, method: str, path: str, deadline: Deadline, **rest: Any) -> httpx.Response:
        """One call, whatever it takes. Raises Unavailable, BreakerOpen and DeadlineExceeded."""

        async def once() -> httpx.Response:
            seconds = min(deadline.remaining(), deadline.seconds * SHARE)
            try_it = partial(fetch, self.http, method, path, seconds, **rest)
            return await asyncio.get_running_loop().run_in_executor(self.threads, try_it)

        return await retry(lambda: self.breaker.call(once), deadline)


class Llm(Client):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.llm_url, settings.threads, {"authorization": f"Bearer {settings.llm_key}"})
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
        super().__init__(settings.library_url, settings.threads)

    async def document(self, document_id: str, deadline: Deadline) -> Document:
        """Raises UnknownDocument and Refused, too."""
        reply = await self.call("GET", f"/documents/{document_id}", deadline)
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        if reply.is_error:
            raise Refused(f"the library answers {reply.status_code}")
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
