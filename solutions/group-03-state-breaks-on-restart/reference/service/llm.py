"""The LLM provider."""

from dataclasses import dataclass

import httpx

from service.settings import Settings


@dataclass(frozen=True)
class Said:
    text: str
    tokens: int


class Llm:
    def __init__(self, settings: Settings) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.AsyncClient(base_url=settings.llm_url, headers=headers, timeout=300.0)
        self.model = settings.llm_model

    async def complete(self, prompt: str, key: str) -> Said:
        """One question to the model, and its answer. The same key is billed once, whoever sends it, and however often."""
        message = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        reply = await self.http.post("/v1/chat/completions", json=message, headers={"idempotency-key": key})
        reply.raise_for_status()
        found = reply.json()
        return Said(found["choices"][0]["message"]["content"], found["usage"]["total_tokens"])
