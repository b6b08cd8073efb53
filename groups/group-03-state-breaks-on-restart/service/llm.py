"""The LLM provider."""

from uuid import uuid4

import httpx

from service.settings import Settings


class Llm:
    def __init__(self, settings: Settings) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.AsyncClient(base_url=settings.llm_url, headers=headers, timeout=300.0)
        self.model = settings.llm_model

    async def complete(self, prompt: str) -> str:
        """One question to the model, and its answer. A key of its own for each call: it is billed once."""
        message = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        headers = {"idempotency-key": str(uuid4())}
        reply = await self.http.post("/v1/chat/completions", json=message, headers=headers)
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]
