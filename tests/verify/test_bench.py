"""Many runs on suites that stand by: each of its own variant, seed and tests, and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.grade import load
from grader.outcome import GroupOutcome, Verdict
from grader.verify import bench
from grader.verify.bench import Run
from tests.attacks.target import HALF, app, make

ADDS, REMEMBERS = "tests/test_kettle.py::test_it_adds", "tests/test_kettle.py::test_it_remembers"

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="who has started whom stands in /proc")

RunAll = Callable[..., dict[Run, GroupOutcome]]


@pytest.fixture
def run_all(tmp_path: Path) -> RunAll:
    """On two services: one passes one test of four, `half` two."""
    group = make(tmp_path / "workspace")
    variants = {"honest": tmp_path / "honest", "half": tmp_path / "half"}
    for name, text in (("honest", app()), ("half", HALF)):
        (variants[name] / "service").mkdir(parents=True)
        (variants[name] / "service" / "app.py").write_text(text)
    return lambda *runs, **more: bench.run_all(group, variants, group.path, runs, **more)


def passed(outcome: GroupOutcome) -> set[str]:
    return {test.id for test in outcome.tests if test.verdict is Verdict.PASSED}


def started() -> set[int]:
    """The processes below this one."""
    return set(load.tree(os.getpid())) - {os.getpid()}


def test_each_run_is_of_its_own_variant_seed_and_tests(run_all: RunAll) -> None:
    honest, half, other, again = Run("honest", 1), Run("half", 1), Run("half", 2), Run("half", 1, again=1)
    some = Run("half", 1, (REMEMBERS,))
    heard: list[Run] = []
    outcomes = run_all(half, honest, other, again, some, half, on_run=heard.append)
    assert set(outcomes) == set(heard) == {honest, half, other, again, some}
    assert len(heard) == 5
    assert {len(outcomes[run].tests) for run in (honest, half, other, again)} == {4}
    assert passed(outcomes[honest]) == {ADDS}
    assert passed(outcomes[half]) == passed(outcomes[other]) == {ADDS, REMEMBERS}
    assert passed(outcomes[some]) == {test.id for test in outcomes[some].tests} == {REMEMBERS}
    digests = {run: [test.digest for test in outcomes[run].tests] for run in (half, other, again)}
    assert digests[half] == digests[again] != digests[other]


def lives(process: int) -> bool:
    """Does it run, and not only wait for somebody to ask how it ended?"""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@needs_proc
def test_what_is_stopped_leaves_nothing_behind(run_all: RunAll) -> None:
    before, seen = started(), set[int]()

    def stop(run: Run) -> None:
        seen.update(started() - before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(Run("half", 1), Run("half", 2), Run("honest", 1), on_run=stop)
    assert seen
    until = time.monotonic() + 10.0  # a warm parent of hosts goes when it sees that its clients have gone
    while any(map(lives, seen)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(lives, seen))


@needs_proc
def test_what_was_not_judged_says_so(run_all: RunAll) -> None:
    before = started()

    def kill(run: Run) -> None:
        for process in started() - before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    first, second = Run("half", 1), Run("honest", 1)
    outcomes = run_all(Run("half", 2), first, second, on_run=kill)
    assert outcomes[second].ours == "the process that judges has ended"
