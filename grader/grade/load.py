"""How much of the machine a run was given: a run that was starved says nothing of the work that was run.

Read from /proc, by whoever is outside the sandbox. Where there is none, nothing is known, and nobody was starved.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Reading:
    """At one moment, in seconds: the clock; CPU that the processes have used; time that the cores were idle, in all."""

    clock: float
    used: float
    idle: float


def read(process: int, cores: Collection[int]) -> Reading | None:
    """Of a process and all below it, with those that have ended there. None where it cannot be read."""
    try:
        tick = os.sysconf("SC_CLK_TCK")
        used = sum(_used(each) for each in tree(process)) / tick
        return Reading(time.monotonic(), used, _idle(cores) / tick)
    except (OSError, ValueError, IndexError):
        return None


def share(before: Reading | None, after: Reading | None) -> float:
    """Of one core, what the processes used, and what they could have: one that waits is not starved, nor is a hog."""
    if before is None or after is None or after.clock <= before.clock:
        return 1.0
    had = (after.used - before.used) + (after.idle - before.idle)
    return had / (after.clock - before.clock)


def tree(process: int) -> Iterator[int]:
    """A process and all below it."""
    yield process
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
        for task in (_PROC / str(process) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def _used(process: int) -> int:
    """Ticks, with those of its children that have ended and were waited for."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        stat = (_PROC / str(process) / "stat").read_text()
        return sum(int(each) for each in stat.rpartition(")")[2].split()[11:15])
    return 0


def _idle(cores: Collection[int]) -> int:
    ticks = 0
    for line in (_PROC / "stat").read_text().splitlines():
        name, *figures = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            ticks += int(figures[3]) + int(figures[4])
    return ticks
