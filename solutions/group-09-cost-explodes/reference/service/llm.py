"""The LLM provider, as groups 1 and 2 have left it: three tries for each call, which carry one key, and a time-out."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx

from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
TRIES = 3
TIMEOUT = 20.0  # seconds of one try
LONGEST = 75.0  # seconds within which the last try has arrived


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment. `billed`: is it possible that the last try is billed?"""

    def __init__(self, why: str, billed: bool) -> None:
        super().__init__(why)
        self.billed = billed


class Refused(Exception):
    """What we asked for is refused, and would be again."""


@dataclass(frozen=True)
class Answer:
    """A reply, or an event of a streamed one, and the id of the call on the invoice. `replayed`: an earlier try's."""

    request: str
    body: dict
    replayed: bool = False


class Llm:
    def __init__(self, settings: Settings) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.AsyncClient(base_url=settings.llm_url, headers=headers, timeout=TIMEOUT)

    async def call(self, path: str, body: dict, key: str, once_more: Callable[[], None]) -> Answer:
        """The provider's reply. The same key is executed and billed once, unless a first try is still in work.

        So behind a try that may be billed, no other leaves before `once_more` has returned. What it raises goes on.
        """
        billed = False
        for attempt in range(1, TRIES + 1):
            if billed:
                once_more()
            try:
                reply = await self.http.post(path, json=body, headers={"idempotency-key": key})
                if not reply.is_error:
                    replayed = reply.headers.get("idempotent-replayed") == "true"
                    return Answer(reply.headers["x-request-id"], reply.json(), replayed)
                if reply.status_code not in PASSING:
                    raise Refused(f"the provider answers {reply.status_code}: {reply.text[:200]}")
                failure, billed = f"the provider answers {reply.status_code}", False
            except httpx.ConnectError as error:
                failure, billed = repr(error), False
            except (httpx.TransportError, ValueError) as error:
                failure, billed = repr(error), True
            if attempt < TRIES:
                await asyncio.sleep(random.uniform(0.0, 0.2 * 2**attempt))
        raise Unavailable(failure, billed)

    async def stream(self, body: dict, key: str) -> AsyncIterator[Answer]:
        """The reply, event by event. It is not tried again."""
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        try:
            headers = {"idempotency-key": key}
            async with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
                if reply.is_error:
                    raise Unavailable(f"the provider answers {reply.status_code}", billed=False)
                async for line in reply.aiter_lines():
                    if line.startswith("data: {"):
                        yield Answer(reply.headers["x-request-id"], json.loads(line.removeprefix("data: ")))
        except httpx.TransportError as error:
            raise Unavailable(repr(error), billed=not isinstance(error, httpx.ConnectError)) from error

    async def read(self, path: str, **query: int) -> dict:
        """A page of the provider: what it costs, what it has billed. Raises httpx.HTTPError."""
        reply = await self.http.get(path, params=query)
        reply.raise_for_status()
        return reply.json()
