"""Who was starved, and who only waits or spins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.grade import load

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SPIN = [sys.executable, "-c", "while True: pass"]
SPIN_BELOW = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])",
]
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@contextmanager
def running(command: list[str], core: int, times: int = 1) -> Iterator[int]:
    """The process id of the first."""
    started = []
    for _ in range(times):
        started.append(subprocess.Popen(command, start_new_session=True))
        os.sched_setaffinity(started[-1].pid, {core})
    try:
        yield started[0].pid
    finally:
        for process in started:
            os.killpg(process.pid, 9)
            process.wait()


def measured(process: int, core: int, seconds: float = 1.0) -> float:
    time.sleep(0.2)
    before = load.read(process, {core})
    time.sleep(seconds)
    return load.share(before, load.read(process, {core}))


@pytest.fixture
def core() -> int:
    return max(os.sched_getaffinity(0))


def test_a_hog_had_its_core(core: int) -> None:
    with running(SPIN, core) as process:
        assert measured(process, core) > 0.5


def test_what_is_below_a_process_counts_as_its_own(core: int) -> None:
    with running(SPIN_BELOW, core) as process:
        time.sleep(0.5)
        assert measured(process, core) > 0.5


def test_who_sleeps_could_have_had_it(core: int) -> None:
    with running(SLEEP, core) as process:  # others may use the core, too, but hardly for all that time
        assert any(measured(process, core) > 0.5 for _ in range(10))


def test_who_shares_a_core_with_many_was_starved(core: int) -> None:
    with running(SPIN, core, times=12), running(SPIN, core) as process:
        assert measured(process, core, 2.0) < 0.2


def test_where_nothing_is_known_nobody_was_starved() -> None:
    assert load.read(2**22 + 1, set()) is not None  # no such process: it has used nothing
    assert load.share(None, None) == 1.0
