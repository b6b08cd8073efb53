"""Chunked retrieval: pieces that are small enough to be about one thing, and whole enough to be understood alone."""

from dataclasses import dataclass


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
    raise NotImplementedError("chunk in service/patterns/chunking.py")
