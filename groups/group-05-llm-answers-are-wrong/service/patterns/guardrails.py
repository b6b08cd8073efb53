"""Retrieval guardrails: what was found is not yet fit to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    raise NotImplementedError("screen in service/patterns/guardrails.py")
