"""Judge one submission: the work of a batch, cut so that it can be done by any thread on any machine.

`judge` takes a Job and returns outcomes, values only. Each thread that calls it keeps warm suites, one for each seed of
a set of tests.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path

import msgspec

from grader import sandbox, suite
from grader.curriculum import read_group
from grader.grade import load
from grader.outcome import Failure, GroupOutcome, Verdict
from grader.warm import Ended, Warm

SECONDS = 90.0
"""Of real time for one submission and one seed; a suite is meant to take five."""

LEAST_SHARE = 0.2
"""Of a core: who had less, and was too slow, was starved. An honest run needs a tenth of each limit at most."""


class Unjudged(Exception):
    """A run came to no verdict, by no fault of the work: it has to be judged again."""


class Killed(Unjudged):
    """The machine, or somebody, has ended a process of ours or of theirs."""


class Starved(Unjudged):
    """The run was too slow, and the machine had hardly any time for it."""


class BadTests(Exception):
    """The tests of a batch cannot be read."""


class OtherVersions(Unjudged):
    """The worker of a cluster has not what the batch's results depend on."""


class Job(msgspec.Struct, frozen=True):
    """One submission, and all that its outcomes depend on. Plain, so that it can be sent."""

    digest: str  # of the submission's files
    files: Mapping[str, bytes]
    group: str  # its folder's name
    tests: str  # SHA-256 of `pristine`
    pristine: Mapping[str, bytes]  # the group as it ships, with the private tests
    versions: Mapping[str, str]
    seeds: tuple[int, ...]
    confined: bool


_here = threading.local()
_benches: set[_Bench] = set()  # of all threads
_threads = itertools.count()


def judge(job: Job) -> tuple[GroupOutcome, ...]:
    """The outcomes of a submission, one for each seed. Raises Unjudged, and Unconfined where there is no sandbox."""
    other = [
        f"{name} {here}, not {job.versions.get(name)}"
        for name, here in versions().items()
        if here != job.versions.get(name)
    ]
    if other:
        raise OtherVersions(f"{platform.node()} has {', '.join(other)}")
    bench = _bench(job)
    return tuple(bench.judge(job, seed) for seed in job.seeds)


def patterns_of(group: str, pristine: Mapping[str, bytes], *, confined: bool) -> dict[str, tuple[str, ...]]:
    """The tests of a group's folder, by id, and the patterns that each is marked with. Raises BadTests."""
    with tempfile.TemporaryDirectory(prefix="brownout-") as folder:
        shipped = Path(folder) / "pristine" / group
        suite.write_files(shipped, pristine)
        place = Path(folder) / "place"
        place.mkdir()
        warm = Warm(read_group(shipped / "group.toml"), shipped, place, 0, confined=confined)
        try:
            if failed := warm.wait():
                raise BadTests(failed)
            return warm.tests
        except Ended:
            raise BadTests("the process that reads the tests was ended") from None
        finally:
            warm.close()


@cache
def versions() -> dict[str, str]:
    """Of all that has a say in an outcome."""
    named = ("brownout", "fastapi", "pydantic", "starlette", "httpx", "pytest")
    return {name: _version(name) for name in named} | {"python": platform.python_version()}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def keep_to_a_core() -> None:
    """What this thread judges runs on one core, another for each thread: so nobody slows down his neighbour."""
    if cores := sorted(_cores()):
        _here.core = cores[next(_threads) % len(cores)]


def end() -> None:
    """End all that this process judges: its threads hear that it was Killed."""
    for bench in list(_benches):
        bench.close()
    _benches.clear()


def _bench(job: Job) -> _Bench:
    known: dict[tuple[str, bool], _Bench] = _here.__dict__.setdefault("benches", {})
    if (job.tests, job.confined) not in known:
        for bench in known.values():
            bench.close()
            _benches.discard(bench)
        known.clear()
        known[job.tests, job.confined] = _Bench(job)
        _benches.add(known[job.tests, job.confined])
    return known[job.tests, job.confined]


class _Bench:
    """What a thread has for one set of tests: the group as it ships, and a warm suite for each seed."""

    def __init__(self, job: Job) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="brownout-")
        self._pristine = Path(self._folder.name) / "pristine" / job.group
        suite.write_files(self._pristine, job.pristine)
        self._group = read_group(self._pristine / "group.toml")
        self._confined = job.confined
        self._core: int | None = getattr(_here, "core", None)
        self._suites: dict[int, Warm] = {}

    def judge(self, job: Job, seed: int) -> GroupOutcome:
        """Raises Killed and Starved."""
        outcome = self._run(job, seed)
        if "limit-stall" in _codes(outcome):  # who waits does so again; who was held up, hardly
            outcome = self._run(job, seed)
        return outcome

    def _run(self, job: Job, seed: int) -> GroupOutcome:
        warm = self._suite(seed)
        try:
            warm.put(job.files)
            cores = {self._core} if self._core is not None else _cores()
            before = load.read(warm.pid, cores)
            run = warm.judge(seconds=SECONDS)
        except Ended:
            raise Killed("the process that judges, or the warm parent of its hosts, was ended") from None
        outcome = _cut_short(run.outcome) if run.over else run.outcome
        codes = _codes(outcome)
        if run.killed or any(suite.was_silent(test) for test in outcome.tests):
            raise Killed("the process that ran the tests was ended")
        if "killed-from-outside" in codes:
            raise Killed("a process of the service was ended by the machine, which may be out of memory")
        if codes & {"limit-time", "limit-stall"}:
            share = load.share(before, load.read(warm.pid, cores))
            if share < LEAST_SHARE:
                raise Starved(f"of {outcome.seconds:.0f} s the machine had {share:.0%} for it")
        return outcome

    def _suite(self, seed: int) -> Warm:
        found = self._suites.get(seed)
        if found is None or not found.alive:
            place = Path(self._folder.name) / f"seed-{seed}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            if self._confined and (refused := sandbox.refusal()):
                raise sandbox.Unconfined(refused)
            found = Warm(self._group, self._pristine, place, seed, confined=self._confined, core=self._core)
            self._suites[seed] = found
        return found

    def close(self) -> None:
        for warm in list(self._suites.values()):
            warm.close()
        with contextlib.suppress(OSError):
            self._folder.cleanup()


def _codes(outcome: GroupOutcome) -> set[str]:
    return {test.failure.code for test in outcome.tests if test.failure}


def _cores() -> set[int]:
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


def _cut_short(outcome: GroupOutcome) -> GroupOutcome:
    """The outcome of a run that was ended: what it had not come to is over a limit."""
    over = Failure("limit-time", f"the submission was not done after {SECONDS:.0f} s of real time: this was not tried")
    tests = tuple(
        replace(test, verdict=Verdict.LIMIT, failure=over) if suite.was_silent(test) else test for test in outcome.tests
    )
    return replace(outcome, tests=tests)
