"""The LLM provider, as groups 1 and 2 have left it: a time-out, three tries for each call, and one key for the three."""

import asyncio
import random
from uuid import uuid4

import httpx

from service.settings import Settings

BATCH = 256  # texts in one call for embeddings
PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment
TRIES = 3


class Unavailable(Exception):
    """The provider does not answer, or refuses."""


class Llm:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.AsyncClient(base_url=settings.llm_url, headers=headers, timeout=10.0)

    async def embed(self, tenant: str, texts: list[str]) -> list[list[float]]:
        """The vector of each text. It knows synonyms, and is blind to words with a digit."""
        vectors: list[list[float]] = []
        for at in range(0, len(texts), BATCH):
            body = {"model": self.settings.encoder, "input": texts[at : at + BATCH]}
            reply = await self._call(tenant, "/v1/embeddings", body)
            vectors += [row["embedding"] for row in reply["data"]]
        return vectors

    async def rerank(self, tenant: str, question: str, texts: list[str]) -> list[dict]:
        """What each text has of the question: {"index", "relevance_score"} (0 to 1), best first."""
        body = {"model": self.settings.reranker, "query": question, "documents": texts}
        return (await self._call(tenant, "/v1/rerank", body))["results"]

    async def complete(self, tenant: str, messages: list[dict]) -> str:
        """What the reader says to [{"role", "content"}]."""
        body = {"model": self.settings.reader, "messages": messages, "max_tokens": self.settings.reserve}
        return (await self._call(tenant, "/v1/chat/completions", body))["choices"][0]["message"]["content"]

    async def _call(self, tenant: str, path: str, body: dict) -> dict:
        headers = {"x-tenant": tenant, "idempotency-key": str(uuid4())}
        for attempt in range(1, TRIES + 1):
            try:
                reply = await self.http.post(path, json=body, headers=headers)
                if reply.status_code not in PASSING:
                    reply.raise_for_status()
                    return reply.json()
                failure = f"the provider answers {reply.status_code}"
            except httpx.TransportError as error:
                failure = repr(error)
            except (httpx.HTTPStatusError, ValueError) as error:
                raise Unavailable(str(error)) from error
            if attempt < TRIES:
                await asyncio.sleep(random.uniform(0.0, 0.2 * 2**attempt))
        raise Unavailable(failure)
