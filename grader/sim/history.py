"""Which parts of a run take place: visits, faults, the shuffle of what is ready at one instant.

Whoever looks for the shortest history that still fails leaves some of them out. What is left out, and why, is decided
in `story/shrink.py`.
"""

from __future__ import annotations

from collections.abc import Collection

SHUFFLE = "shuffle"


class History:
    """The parts of one run, in the order in which they were come to: "visit ask 17", "fault provider 0", "shuffle"."""

    def __init__(self, without: Collection[str] = ()) -> None:
        self.parts: dict[str, None] = {}
        self._without = without

    def has(self, part: str) -> bool:
        """Does this part take place? To be asked before it would."""
        self.parts[part] = None
        return part not in self._without
