"""skylark_pdf: text and sections out of a PDF. CPU-bound, and holds the thread that calls it until it is done."""

from __future__ import annotations

from grader.host.cpu import burn

SECONDS_PER_PAGE = 0.4


def split(text: str, sections: int) -> list[str]:
    """Cut `text` into at most `sections` runs of whole sentences. Cheap."""
    sentences = [part.strip() + "." for part in text.split(".") if part.strip()]
    size = max(1, -(-len(sentences) // max(1, sections)))
    return [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]


def extract(pages: list[str]) -> str:
    """The text of scanned `pages`: 0.4 s of CPU a page."""
    burn(SECONDS_PER_PAGE * len(pages))
    return " ".join(pages)
