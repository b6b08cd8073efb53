"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

import json
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


def fetch(http: httpx.Client, method: str, path: str, deadline: Deadline, **body: object) -> httpx.Response:
    """One call, within what is left of the request's budget. The answer is read piece by piece, with an eye on the clock:
    a read time-out would begin anew with each of them."""
    deadline.check()
    try:
        with http.stream(method, path, timeout=deadline.remaining(), **body) as reply:
            content = b""
            for piece in reply.iter_bytes():
                deadline.check()
                content += piece
            return httpx.Response(reply.status_code, content=content, request=reply.request)
    except httpx.TimeoutException:
        raise DeadlineExceeded from None


class Llm:
    def __init__(self, settings: Settings) -> None:
        self.model = settings.llm_model
        self.http = httpx.Client(
            base_url=settings.llm_url,
            headers={"authorization": f"Bearer {settings.llm_key}"},
            # a wait for a free connection has a time-out of its own, beside that of the call: let nobody wait for one
            limits=httpx.Limits(max_connections=None),
        )

    def complete(self, prompt: str, deadline: Deadline) -> str:
        """One question to the model, and its answer."""
        message = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        reply = fetch(self.http, "POST", "/v1/chat/completions", deadline, json=message)
        reply.raise_for_status()
        return json.loads(reply.content)["choices"][0]["message"]["content"]


class Library:
    def __init__(self, settings: Settings) -> None:
        self.http = httpx.Client(base_url=settings.library_url)

    def document(self, document_id: str, deadline: Deadline) -> Document:
        reply = fetch(self.http, "GET", f"/documents/{document_id}", deadline)
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        reply.raise_for_status()
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
