"""Retrieval guardrails: what was found is not yet fit to be read."""

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.text import sentences


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
    reasons = {each["id"]: _reason(tenant, each, floor) for each in passages}
    kept = [each for each in passages if not reasons[each["id"]]]
    said = [(each["id"], _Said(each["header"], each["text"])) for each in kept]
    conflicts = [(a, b) for (a, one), (b, other) in itertools.combinations(said, 2) if one.contradicts(other)]
    dropped = {ident: reason for ident, reason in reasons.items() if reason}
    return Screened([each["id"] for each in kept], dropped, conflicts)


class _Said:
    """What a passage says, without amounts, and the amounts."""

    def __init__(self, header: str, text: str) -> None:
        self.header = header
        self.amounts = {re.sub(r"\d+ euros", "?", line): line for line in sentences(text) if " euros" in line}

    def contradicts(self, other: "_Said") -> bool:
        same = self.amounts.keys() & other.amounts.keys() if self.header == other.header else ()
        return any(self.amounts[line] != other.amounts[line] for line in same)


def _reason(tenant: str, passage: Mapping[str, Any], floor: float) -> str:
    if passage["tenant"] != tenant:
        return "tenant"
    for line in (passage["header"], *sentences(passage["text"])):
        seen = [x for x in unicodedata.normalize("NFKC", line).casefold() if unicodedata.category(x) != "Cf"]
        words = re.findall(r"\w+", "".join(seen))
        if words[:1] and words[0] in ("ignore", "disregard", "forget") and {"instructions", "rules"} & set(words):
            return "injection"
    return "score" if passage["score"] is not None and passage["score"] < floor else ""
