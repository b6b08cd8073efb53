"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

import asyncio
from dataclasses import dataclass

import httpx

from service.patterns.timeout import Deadline, DeadlineExceeded
from service.settings import Settings


class UnknownDocument(Exception):
    """The library has no such document."""


@dataclass
class Document:
    id: str
    title: str
    scanned: bool  # pages are pictures: their text has to be extracted first
    pages: list[str]


async def fetch(http: httpx.AsyncClient, method: str, path: str, deadline: Deadline, **body: object) -> httpx.Response:
    """One call, within what is left of the request's budget: connecting, waiting for a slot, and every byte of the answer."""
    deadline.check()
    try:
        async with asyncio.timeout(deadline.remaining()):
            return await http.request(method, path, **body)
    except TimeoutError:
        raise DeadlineExceeded from None


class Llm:
    def __init__(self, settings: Settings) -> None:
        self.model = settings.llm_model
        self.http = httpx.AsyncClient(
            base_url=settings.llm_url,
            headers={"authorization": f"Bearer {settings.llm_key}"},
            timeout=None,  # the deadline covers every phase of a call
        )

    async def complete(self, prompt: str, deadline: Deadline) -> str:
        """One question to the model, and its answer."""
        message = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        reply = await fetch(self.http, "POST", "/v1/chat/completions", deadline, json=message)
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]


class Library:
    def __init__(self, settings: Settings) -> None:
        self.http = httpx.AsyncClient(base_url=settings.library_url, timeout=None)

    async def document(self, document_id: str, deadline: Deadline) -> Document:
        reply = await fetch(self.http, "GET", f"/documents/{document_id}", deadline)
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        reply.raise_for_status()
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
