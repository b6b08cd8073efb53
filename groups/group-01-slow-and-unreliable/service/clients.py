"""The two services that the assistant calls: the LLM provider, and the library that keeps the documents."""

from dataclasses import dataclass

import httpx

from service.settings import Settings


class UnknownDocument(Exception):
    """The library has no such document."""


@dataclass
class Document:
    id: str
    title: str
    scanned: bool  # pages are pictures: their text has to be extracted first
    pages: list[str]


class Llm:
    def __init__(self, settings: Settings) -> None:
        self.model = settings.llm_model
        self.http = httpx.Client(
            base_url=settings.llm_url,
            headers={"authorization": f"Bearer {settings.llm_key}"},
            # the default of 5 s cut off long sections
            timeout=None,
        )

    def complete(self, prompt: str) -> str:
        """One question to the model, and its answer."""
        reply = self.http.post(
            "/v1/chat/completions",
            json={"model": self.model, "messages": [{"role": "user", "content": prompt}]},
        )
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]


class Library:
    def __init__(self, settings: Settings) -> None:
        self.http = httpx.Client(base_url=settings.library_url)

    def document(self, document_id: str) -> Document:
        reply = self.http.get(f"/documents/{document_id}")
        if reply.status_code == 404:
            raise UnknownDocument(document_id)
        reply.raise_for_status()
        found = reply.json()
        return Document(found["id"], found["title"], found["scanned"], found["pages"])
