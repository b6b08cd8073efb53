"""Grounded generation: an answer is what its source says, and a citation is where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.text import codes, sentences

_ID = re.compile(r"\[([\w.:/#-]+)\]")
_CITED = re.compile(r"((?:\s*\[[\w.:/#-]+\])+)")


@dataclass(frozen=True)
class Answer:
    text: str  # without citations
    citations: tuple[str, ...]  # ids of passages


def verify(question: str, said: str, passages: Mapping[str, str]) -> Answer | None:
    """What the model said, if all of it is grounded in `passages` (id -> text, headers included); else None.

    The model cites after a sentence: "Changing the booking costs 80 euros. [fare-h7q#2]". A sentence is grounded if

    - a passage that is cited right behind it has it literally (white space apart), as a whole sentence or row of a table
      (service.text.sentences), or more than one;
    - and that passage has all codes of the question (service.text.codes), as whole words, capitals or not.

    No citation, one of a passage that was not given, one of a passage that says something else: not grounded. If one is
    cited that does not say it, you may look for another of those given that does, and cite that; or say None. What is no
    answer ("I do not know.", nothing at all) is None, too.
    """
    parts = _CITED.split(said)  # what is said, citations, what is said, …
    claims, asked = [], codes(question)
    for text, cited in zip(parts[0::2], [*parts[1::2], ""], strict=True):
        if text.strip():
            claims.append((text.strip(), _ID.findall(cited)))
    citations: list[str] = []
    for text, cited in claims:
        given = [ident for ident in cited if ident in passages]
        others = [ident for ident in passages if ident not in given]
        if not cited or (source := next((i for i in [*given, *others] if _says(passages[i], text, asked)), None)) is None:
            return None
        citations.append(source)
    return Answer(" ".join(text for text, _ in claims), tuple(dict.fromkeys(citations))) if claims else None


def _says(passage: str, text: str, asked: set[str]) -> bool:
    there = {" ".join(sentence.split()) for sentence in sentences(passage)}
    return asked <= codes(passage) and all(" ".join(each.split()) in there for each in sentences(text))
