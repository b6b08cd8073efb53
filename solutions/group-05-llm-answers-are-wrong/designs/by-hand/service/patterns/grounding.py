"""Grounded generation: an answer is what its source says, and a citation is where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.text import codes, sentences


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
    citations: list[str] = []
    texts: list[str] = []
    rest = said.strip()
    while rest:
        found = re.match(r"([^\[]+)((?:\[[^\]]+\]\s*)+)", rest)
        if found is None:
            return None
        text, rest = found[1].strip(), rest[found.end() :].strip()
        for ident in re.findall(r"\[([^\]]+)\]", found[2]):
            passage = passages.get(ident, "")
            lines = {_flat(line) for line in sentences(passage)}
            if not all(_flat(line) in lines for line in sentences(text)) or codes(question) - codes(passage):
                return None
            citations.append(ident)
        texts.append(text)
    return Answer(" ".join(texts), tuple(dict.fromkeys(citations))) if texts else None


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
