"""The LLM provider, as groups 1 and 2 have left it: three tries for each call, which carry one key, and a time-out."""

import asyncio
import json
import random
from collections.abc import AsyncIterator

import httpx

from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
TRIES = 3
TIMEOUT = 20.0  # seconds of one try


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment."""


class Refused(Exception):
    """What we asked for is refused, and would be again."""


class Llm:
    def __init__(self, settings: Settings) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.AsyncClient(base_url=settings.llm_url, headers=headers, timeout=TIMEOUT)

    async def call(self, path: str, body: dict, key: str) -> dict:
        """The provider's reply. The same key is executed and billed once, unless a first try is still in work."""
        for attempt in range(1, TRIES + 1):
            try:
                reply = await self.http.post(path, json=body, headers={"idempotency-key": key})
            except httpx.TransportError as error:
                failure = repr(error)
            else:
                if reply.status_code not in PASSING:
                    break
                failure = f"the provider answers {reply.status_code}"
            if attempt == TRIES:
                raise Unavailable(failure)
            await asyncio.sleep(random.uniform(0.0, 0.2 * 2**attempt))
        if reply.is_error:
            raise Refused(f"the provider answers {reply.status_code}: {reply.text[:200]}")
        return reply.json()

    async def stream(self, body: dict, key: str) -> AsyncIterator[str]:
        """The answer, as it comes. It is not tried again."""
        try:
            headers = {"idempotency-key": key}
            async with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
                if reply.is_error:
                    raise Unavailable(f"the provider answers {reply.status_code}")
                async for line in reply.aiter_lines():
                    if line.startswith("data: {"):
                        for choice in json.loads(line.removeprefix("data: "))["choices"]:
                            yield choice["delta"].get("content", "")
        except httpx.TransportError as error:
            raise Unavailable(repr(error)) from error
