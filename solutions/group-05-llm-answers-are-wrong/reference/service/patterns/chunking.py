"""Chunked retrieval: pieces that are small enough to be about one thing, and whole enough to be understood alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.text import sentences
from service.tokens import count

_BLOCK = re.compile(r"^[^\S\n]*#.*$|(?:^[^\S\n]*[^#\s].*(?:\n|\Z))+", re.MULTILINE)  # a heading, or a paragraph
_HEADING = re.compile(r"(#+)\s*(.*?)\s*")


@dataclass(frozen=True)
class Chunk:
    text: str  # literally as in the document: document[start:end]
    start: int
    end: int
    header: str  # whose words these are: the headings above it, "Fare H7Q · Changes"


def chunk(text: str, most: int = 80) -> list[Chunk]:
    """The pieces of a document, in order.

    - A line that begins with # is a heading, and part of no chunk; all other text, white space apart, is in exactly one.
      "# Fare H7Q" is the title, "## Changes" a section of it. A chunk lies in one section, and its header is the title and
      the section above it, with " · " between; one of the two where there is only one, "" where there is none.
    - No chunk is of more than `most` tokens (service.tokens). A sentence, or a row of a table, as `service.text.sentences`
      has them, is not cut, unless it has more than `most` tokens by itself: then between words. Deeper headings: as you like.
    - A paragraph (up to an empty line, or a heading) of `most` tokens or fewer is not divided. Whether short ones of one
      section come together is up to you.
    - A text of 50,000 characters without an empty line is no reason to take long.
    """
    chunks: list[Chunk] = []
    title = section = ""
    for block in _BLOCK.finditer(text):
        if heading := _HEADING.fullmatch(block[0].strip()):
            title, section = (heading[2], "") if heading[1] == "#" else (title, heading[2])
            continue
        header = " · ".join(part for part in (title, section) if part)
        begin = end = size = 0
        for start, stop in _units(text, block.start(), block.end(), most):
            more = count(text[start:stop])
            if size and size + more > most:
                chunks.append(Chunk(text[begin:end], begin, end, header))
                size = 0
            if not size:
                begin = start
            end, size = stop, size + more
        if size:
            chunks.append(Chunk(text[begin:end], begin, end, header))
    return chunks


def _units(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Where what may not be cut begins and ends: sentences, and words of those that are too long."""
    at = start
    for sentence in sentences(text[start:end]):
        at = text.index(sentence, at)
        if count(sentence) <= most:
            yield at, at + len(sentence)
        else:
            yield from ((at + word.start(), at + word.end()) for word in re.finditer(r"\S+", sentence))
        at += len(sentence)
