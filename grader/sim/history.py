"""Which parts of a run take place: requests, faults, the shuffle of what is ready at one instant.

Whoever looks for the shortest history that still fails leaves some of them out. A fault that is left out does not
strike. A request that is left out reaches nobody, and is answered all the same: as it was in another run, by a service
that is right. What is left out, and why, is decided in `story/shrink.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

SHUFFLE = "shuffle"
REQUEST, FAULT = "request", "fault"

_IDENTIFIER = re.compile(rb"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f-]{4,23}")  # which each service makes up for itself


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request came to. `error`: "timeout" or "lost", of one that had no answer; `seconds` are virtual."""

    seconds: float
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: str = ""


class History:
    """The parts of one run, in the order in which they were come to: "fault provider 0", "shuffle"."""

    def __init__(self, without: Collection[str] = (), answers: Mapping[str, Answered] | None = None) -> None:
        self.parts: dict[str, None] = {}
        self.answered: dict[str, Answered] = {}
        self._without = without
        self._answers = answers or {}
        self._asked: Counter[str] = Counter()

    def has(self, part: str) -> bool:
        """Does this part take place? To be asked before it would."""
        self.parts[part] = None
        return part not in self._without

    def request(self, method: str, path: str, body: bytes) -> tuple[str, Answered | None]:
        """The name of a request that is about to be sent, and how it is answered if it is left out."""
        alike = f"{method} {path}".encode() + b"\n" + body
        digest = hashlib.sha256(_IDENTIFIER.sub(b"*", alike)).hexdigest()[:12]
        self._asked[digest] += 1
        name = f"{REQUEST} {digest} {self._asked[digest]}"
        return name, None if self.has(name) else self._answers.get(name)

    def answer(self, name: str, answered: Answered) -> None:
        """Keep what a request came to."""
        self.answered[name] = answered
