"""Everything that crossed the boundary, with its virtual time. Plain data; what it means to people is `story/`'s."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `at` in virtual seconds; `source` is a host, "provider", "client", or whoever did it."""

    at: float
    kind: str
    source: str
    data: dict[str, Any]


class Tape:
    """The record of one run, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = 0

    def record(self, kind: str, source: str, /, **data: Any) -> None:
        """Append an event that happens now. `data` is plain: text, numbers, lists of them."""
        self.entries.append(Entry(self.now / 1e9, kind, source, data))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def digest(self) -> str:
        """SHA-256 of the whole tape: equal for two runs of one seed."""
        lines = ([e.at, e.kind, e.source, e.data] for e in self.entries)
        return hashlib.sha256(json.dumps(list(lines), sort_keys=True, default=repr).encode()).hexdigest()
