"""The LLM provider, the two tools and the auditors, as groups 1 and 2 have left them. Each call carries its trace."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import httpx

from service.patterns.tracing import Tracing
from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
TRIES = 3


class Unavailable(Exception):
    """Whom we called does not answer, or refuses."""


def _async_client(tracing: Tracing, **options: Any) -> httpx.AsyncClient:
    async def carry(request: httpx.Request) -> None:
        request.headers.update(tracing.headers())

    return httpx.AsyncClient(event_hooks={"request": [carry]}, **options)


class Llm:
    def __init__(self, settings: Settings, tracing: Tracing) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = _async_client(tracing, base_url=settings.llm_url, headers=headers, timeout=20.0)
        self.tracing = tracing

    async def chat(self, model: str, messages: list[dict], max_tokens: int) -> str:
        """What the model says to [{"role", "content"}]. Raises Unavailable."""
        body = {"model": model, "messages": messages, "max_tokens": max_tokens}
        headers = {"idempotency-key": str(uuid4())}
        for attempt in range(1, TRIES + 1):
            try:
                with self.tracing.span(f"try {attempt}"):
                    return await self._try(body, headers)
            except Unavailable:
                if attempt == TRIES:
                    raise
                await asyncio.sleep(random.uniform(0.0, 0.2 * 2**attempt))
        raise AssertionError("there is a last try")

    async def _try(self, body: dict, headers: dict) -> str:
        try:
            reply = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(repr(error)) from error
        if reply.is_error:
            raise Unavailable(f"the provider answers {reply.status_code}")
        return reply.json()["choices"][0]["message"]["content"]


class Bookings:
    """The vendor's client. It blocks: call it in a thread."""

    def __init__(self, settings: Settings, tracing: Tracing) -> None:
        hooks = {"request": [lambda request: request.headers.update(tracing.headers())]}
        self.http = httpx.Client(base_url=settings.tools_url, timeout=10.0, event_hooks=hooks)

    def look_up(self, booking: str) -> dict:
        """{"booking", "fare", …}: what the vendor knows, and that is a lot. Raises Unavailable."""
        try:
            reply = self.http.get(f"/bookings/{booking}")
        except httpx.TransportError as error:
            raise Unavailable(repr(error)) from error
        if reply.is_error:
            raise Unavailable(f"the bookings answer {reply.status_code}")
        return reply.json()


class Mail:
    def __init__(self, settings: Settings, tracing: Tracing) -> None:
        self.http = _async_client(tracing, base_url=settings.tools_url, timeout=10.0)

    async def send(self, booking: str, text: str) -> None:
        reply = await self.http.post("/mail", json={"booking": booking, "text": text})
        reply.raise_for_status()


class Audit:
    """The auditors want to hear of every run, once."""

    def __init__(self, settings: Settings, tracing: Tracing) -> None:
        self.http = _async_client(tracing, base_url=settings.audit_url, timeout=20.0)

    async def send(self, event: dict) -> None:
        reply = await self.http.post("/events", json=event)
        reply.raise_for_status()
