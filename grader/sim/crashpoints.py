"""Crash points: a host is crashed behind each effect that something outside could notice, one run for each.

An effect is a call that leaves, an answer that leaves, or a durable change of the disk, which the host announces when
it happens. The disk is looked at from outside as well: a host that changes it more often than it says would hide crash
points, and that ends the run.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from grader.sim.errors import SimulationError

T = TypeVar("T")

_SQLITE = b"SQLite format 3\0"
_OPEN_TRANSACTION = ("-journal", "-shm")  # what SQLite keeps beside a file while it works


def enumerate_crashes(
    play: Callable[[int | None], tuple[T, int]], *, most: int | None = None, rng: random.Random | None = None
) -> list[T]:
    """The results of `play(None)`, `play(1)`, `play(2)` … up to the last effect of the undisturbed run.

    With `most`, where there are more effects than that, `rng` chooses so many of them: a service that commits after
    each line costs no more than one that does not.

    `play(at)` is one run of one seed: it has its host crash behind effect number `at` (`Host.crash_at`), and returns
    its result and how many effects the host had (`Host.effects`). Raises SimulationError when there is nothing to crash
    behind, or when a run does not reach its crash.
    """
    result, effects = play(None)
    if not effects:
        raise SimulationError("no crash points: the host had no effects")
    results = [result]
    points: Sequence[int] = range(1, effects + 1)
    if most is not None and effects > most:
        points = sorted((rng or random.Random(effects)).sample(points, most))
    for at in points:
        result, seen = play(at)
        if seen < at:
            raise SimulationError(f"no crash at effect {at} of {effects}: this run had {seen}; is it the same seed?")
        results.append(result)
    return results


class Ledger:
    """What lies on a disk, as far as it can be told from outside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, tuple[int, int]] = {}

    def changes(self) -> int:
        """How many durable changes there were since the last look, at least."""
        before, self._files = self._files, self._look()
        least = 0
        for name in before.keys() | self._files.keys():
            old, new = before.get(name), self._files.get(name)
            if old != new and not self._checkpoint(name, before):
                least = max(least, 1, (new[1] - old[1]) if old and new and old[1] else 1)
        return least

    def _checkpoint(self, name: str, before: dict[str, tuple[int, int]]) -> bool:
        """SQLite moves what was committed before from its log into the file: nothing new."""
        return f"{name}-wal" in before or (name.endswith("-wal") and name not in self._files)

    def _look(self) -> dict[str, tuple[int, int]]:
        """Each file's checksum, and for one of SQLite's its count of commits."""
        found = {}
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.endswith(_OPEN_TRANSACTION):
                data = path.read_bytes()
                commits = int.from_bytes(data[24:28]) if data.startswith(_SQLITE) else 0
                found[str(path.relative_to(self._folder))] = zlib.crc32(data), commits
        return found
