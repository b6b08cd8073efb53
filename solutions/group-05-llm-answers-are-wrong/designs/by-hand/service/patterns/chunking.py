"""Chunked retrieval: pieces that are small enough to be about one thing, and whole enough to be understood alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.text import sentences
from service.tokens import count


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
    found: list[Chunk] = []
    title = section = ""
    paragraph: list[tuple[int, str]] = []  # lines, and where each begins
    at = 0
    for line in [*text.splitlines(keepends=True), ""]:
        mark = line.strip()
        if paragraph and (not mark or mark.startswith("#")):
            header = " · ".join(filter(None, (title, section)))
            found += [Chunk(text[a:b], a, b, header) for a, b in _cut(paragraph, most)]
            paragraph = []
        if mark.startswith("##"):
            section = mark.lstrip("#").strip()
        elif mark.startswith("#"):
            title, section = mark.lstrip("#").strip(), ""
        elif mark:
            paragraph.append((at, line))
        at += len(line)
    return found


def _cut(lines: list[tuple[int, str]], most: int) -> Iterator[tuple[int, int]]:
    parts: list[tuple[int, int, int]] = []  # begin, end, tokens
    for begin, line in lines:
        at = 0
        for sentence in sentences(line):
            whole = [sentence] if count(sentence) <= most else sentence.split()
            for piece in whole:
                at = line.index(piece, at)
                parts.append((begin + at, begin + at + len(piece), count(piece)))
                at += len(piece)
    open_at, used = 0, 0
    for number, (_, _, tokens) in enumerate(parts):
        if used + tokens > most and used:
            yield parts[open_at][0], parts[number - 1][1]
            open_at, used = number, 0
        used += tokens
    if parts:
        yield parts[open_at][0], parts[-1][1]
