"""The LLM provider and the gateway of the five tools, for threads: a call blocks the thread that makes it."""

import random
import time
from typing import Any

import httpx

from service.settings import Settings

PASSING = {429, 500, 502, 503, 504}
TRIES = 3


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment."""


class Refused(Exception):
    """What we asked for is refused, and would be again."""


def _post(http: httpx.Client, path: str, body: dict, headers: dict) -> dict:
    for attempt in range(1, TRIES + 1):
        try:
            reply = http.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            failure = repr(error)
        else:
            if reply.status_code not in PASSING:
                break
            failure = f"{path} answers {reply.status_code}"
        if attempt == TRIES:
            raise Unavailable(failure)
        time.sleep(random.uniform(0.0, 0.2 * 2**attempt))
    if reply.is_error:
        raise Refused(f"{path} answers {reply.status_code}: {reply.text[:200]}")
    return reply.json()


class Llm:
    def __init__(self, settings: Settings) -> None:
        headers = {"authorization": f"Bearer {settings.llm_key}"}
        self.http = httpx.Client(base_url=settings.llm_url, headers=headers, timeout=60.0)
        self.model = settings.llm_model

    def chat(self, messages: list[dict], *, tenant: str, key: str, tools: list[dict] | None = None) -> dict:
        body = {"model": self.model, "messages": messages} | ({"tools": tools} if tools else {})
        reply = _post(self.http, "/v1/chat/completions", body, {"x-tenant": tenant, "idempotency-key": key})
        return reply["choices"][0]["message"]


class Gateway:
    def __init__(self, settings: Settings) -> None:
        self.http = httpx.Client(base_url=settings.tools_url, timeout=30.0)

    def call(self, tool: str, args: dict[str, Any], tenant: str, key: str) -> dict:
        return _post(self.http, f"/{tool}", args, {"x-tenant": tenant, "idempotency-key": key})
