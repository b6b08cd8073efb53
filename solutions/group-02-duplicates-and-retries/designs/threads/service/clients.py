"""The LLM provider, called from threads: three tries for each call, which carry one key, and a time-out."""

import os
from uuid import uuid4

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

PASSING = {429, 500, 502, 503, 504}  # errors that may be over in a moment


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment."""


class Refused(Exception):
    """What we asked for is refused, and would be again."""


class Llm:
    def __init__(self) -> None:
        key = os.environ.get("LLM_KEY", "skylark-dev")
        self.http = httpx.Client(
            base_url=os.environ.get("LLM_URL", "https://llm.skylark.test"),
            headers={"authorization": f"Bearer {key}"},
            timeout=170.0,  # a long document takes minutes
            limits=httpx.Limits(max_connections=16),
        )

    def complete(self, tenant: str, model: str, prompt: str, key: str = "") -> str:
        """One question to the model, and its answer. It is on the tenant's bill: once for a `key`."""
        message = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        reply = self._call(
            "/v1/chat/completions", message, {"x-tenant": tenant, "idempotency-key": key or str(uuid4())}
        )
        return reply["choices"][0]["message"]["content"]

    def embed(self, tenant: str, model: str, text: str, key: str = "") -> list[float]:
        """The vector of a text."""
        headers = {"x-tenant": tenant, "idempotency-key": key or str(uuid4())}
        return self._call("/v1/embeddings", {"model": model, "input": text}, headers)["data"][0]["embedding"]

    @retry(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_attempt(3),
        wait=wait_random_exponential(multiplier=0.2, max=1.0),
        reraise=True,
    )
    def _call(self, path: str, body: dict, headers: dict[str, str]) -> dict:
        try:
            reply = self.http.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(repr(error)) from error
        if reply.status_code in PASSING:
            raise Unavailable(f"the provider answers {reply.status_code}")
        if reply.is_error:
            raise Refused(f"the provider answers {reply.status_code}")
        try:
            return reply.json()
        except ValueError as error:
            raise Unavailable("the provider's answer breaks off") from error
