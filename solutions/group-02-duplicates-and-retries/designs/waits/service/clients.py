"""The LLM provider, as group 1 has left it: three tries for each call, which carry one key, and a time-out."""

import asyncio
import os
import random
from uuid import uuid4

import httpx

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
TRIES = 3


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment."""


class Refused(Exception):
    """What we asked for is refused, and would be again."""


class Llm:
    def __init__(self) -> None:
        key = os.environ.get("LLM_KEY", "skylark-dev")
        self.http = httpx.AsyncClient(
            base_url=os.environ.get("LLM_URL", "https://llm.skylark.test"),
            headers={"authorization": f"Bearer {key}"},
            timeout=170.0,  # a long document takes minutes
        )
        self.places = asyncio.Semaphore(16)  # calls open at once

    async def complete(self, tenant: str, model: str, prompt: str, key: str | None = None) -> str:
        """One question to the model, and its answer. It is on the tenant's bill: once for a `key`."""
        message = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        reply = await self._call("/v1/chat/completions", message, tenant, key)
        return reply["choices"][0]["message"]["content"]

    async def embed(self, tenant: str, model: str, text: str) -> list[float]:
        """The vector of a text."""
        return (await self.embed_all(tenant, model, [text], None))[0]

    async def embed_all(self, tenant: str, model: str, texts: list[str], key: str | None) -> list[list[float]]:
        """The vectors of several texts, in their order."""
        reply = await self._call("/v1/embeddings", {"model": model, "input": texts}, tenant, key)
        return [each["embedding"] for each in sorted(reply["data"], key=lambda each: each["index"])]

    async def _call(self, path: str, body: dict, tenant: str, key: str | None) -> dict:
        """Raises Unavailable and Refused."""
        headers = {"x-tenant": tenant, "idempotency-key": key or str(uuid4())}
        for attempt in range(1, TRIES + 1):
            try:
                async with self.places:
                    reply = await self.http.post(path, json=body, headers=headers)
            except httpx.TransportError as error:
                failure = repr(error)
            else:
                if reply.status_code not in PASSING and (reply.is_error or _is_whole(reply)):
                    break
                failure = f"the provider answers {reply.status_code}, or breaks off"
            if attempt == TRIES:
                raise Unavailable(failure)
            await asyncio.sleep(random.uniform(0.0, 0.2 * 2**attempt))
        if reply.is_error:
            raise Refused(f"the provider answers {reply.status_code}")
        return reply.json()


def _is_whole(reply: httpx.Response) -> bool:
    try:
        reply.json()
    except ValueError:
        return False
    return True
