"""Retrieval guardrails: what was found is not yet fit to be read."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.text import sentences

_ORDER = re.compile(r"\W*(?:ignore|disregard|forget)\b.*\b(?:instructions|rules)\b")
_AMOUNT = re.compile(r"\d+ euros")


@dataclass(frozen=True)
class Screened:
    kept: list[str] = field(default_factory=list)  # ids, in the order in which they came
    dropped: dict[str, str] = field(default_factory=dict)  # id -> "tenant", "injection" or "score"
    conflicts: list[tuple[str, str]] = field(default_factory=list)  # pairs of kept ids that say different things


def screen(tenant: str, passages: Sequence[Mapping[str, Any]], floor: float) -> Screened:
    """Says which passages the model may read. Each is {"id", "tenant", "header", "text", "score"}.

    - "tenant": it is not this tenant's.
    - "injection": a sentence of it, or its header, gives orders to the model. It begins with Ignore, Disregard or Forget,
      and has the word instructions or rules in it: in any capitals, behind any marks (**Ignore), in other letters that look
      the same in NFKC (Ｉｇｎｏｒｅ), with characters without width in it. A sentence that only mentions such words is
      harmless: "Passengers must not ignore the instructions of the crew."
    - "score": its score is below `floor`. One that is None is not known, and is not below.

    The first of the three that holds is the reason. Two kept passages are in conflict if they have the same header, and a
    sentence each (service.text.sentences) that is the same but for amounts ("80 euros"), which differ.
    """
    found = Screened()
    said: dict[tuple[str, str], list[tuple[str, str]]] = {}  # header and sentence without amounts -> (id, sentence)
    for passage in passages:
        ident, score = passage["id"], passage["score"]
        lines = sentences(passage["text"])
        if passage["tenant"] != tenant:
            found.dropped[ident] = "tenant"
        elif any(_ORDER.match(_plain(line)) for line in (*lines, passage["header"])):
            found.dropped[ident] = "injection"
        elif score is not None and score < floor:
            found.dropped[ident] = "score"
        else:
            found.kept.append(ident)
            for line in lines:
                if _AMOUNT.search(line):
                    said.setdefault((passage["header"], _AMOUNT.sub("…", line)), []).append((ident, line))
    for same in said.values():
        for at, (one, line) in enumerate(same):
            found.conflicts.extend((one, other) for other, words in same[at + 1 :] if words != line and other != one)
    return found


def _plain(text: str) -> str:
    """As it looks: without what has no width, and with one letter for all that look the same."""
    return "".join(x for x in unicodedata.normalize("NFKC", text) if unicodedata.category(x) != "Cf").lower()
