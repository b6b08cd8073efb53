"""Judge one submission: the work of a batch, cut so that it can be done by any thread on any machine.

`judge` takes a Job and returns outcomes, values only. Each thread that calls it keeps warm sessions (`session.py`), one
for each seed and set of tests.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from grader import sandbox, suite
from grader.curriculum import Group, read_group
from grader.grade import load
from grader.outcome import Failure, GroupOutcome, Verdict

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
    return tuple(bench.session(seed).judge(job) for seed in job.seeds)


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
    """End all sessions of this process, and whatever they judge: their threads hear that it was Killed."""
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
    """What a thread has for one set of tests: the group as it ships, and a session for each seed."""

    def __init__(self, job: Job) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="brownout-")
        pristine = Path(self._folder.name) / "pristine" / job.group
        for name, data in job.pristine.items():
            (pristine / name).parent.mkdir(parents=True, exist_ok=True)
            (pristine / name).write_bytes(data)
        self.group = read_group(pristine / "group.toml")
        self._confined = job.confined
        self._core: int | None = getattr(_here, "core", None)
        self._sessions: dict[int, _Session] = {}

    def session(self, seed: int) -> _Session:
        found = self._sessions.get(seed)
        if found is None or not found.alive:
            place = Path(self._folder.name) / f"seed-{seed}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            found = self._sessions[seed] = _Session(self.group, place, seed, self._core, confined=self._confined)
        return found

    def close(self) -> None:
        for session in list(self._sessions.values()):
            session.close()
        with contextlib.suppress(OSError):
            self._folder.cleanup()


class _Answer(TypedDict):
    """What a session says of a run; see `session.py`."""

    seconds: float
    over: bool
    killed: bool


class _Session:
    """A warm pytest for one seed, in a process of its own."""

    def __init__(self, group: Group, place: Path, seed: int, core: int | None, *, confined: bool) -> None:
        self._group = group
        self._place = place
        self._folder = place / "work" / group.folder
        self._seed = seed
        self._cores = {core} if core is not None else _cores()
        self._failed: str | None = None  # not known yet
        if confined and (refused := sandbox.refusal()):
            raise sandbox.Unconfined(refused)
        suite.lay_out(group, group.path, group.path, self._folder)
        words = [self._folder, seed, int(confined), -1 if core is None else core]
        arguments = ["-m", "grader.grade.session", *map(str, words)]
        command = sandbox.enclose(arguments, writable=[place]) if confined else [sys.executable, "-P", *arguments]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def judge(self, job: Job) -> GroupOutcome:
        """Raises Killed and Starved."""
        outcome = self._run(job)
        if "limit-stall" in _codes(outcome):  # who waits does so again; who was held up, hardly
            outcome = self._run(job)
        return outcome

    def _run(self, job: Job) -> GroupOutcome:
        if self._failed is None:
            self._failed = str(self._hear()["failed"])  # until then it reads the tests in the folder
        if self._failed:
            return GroupOutcome(self._group.id, self._seed, (), 0.0, ours=self._failed)
        theirs = self._place / "theirs"
        shutil.rmtree(theirs, ignore_errors=True)
        theirs.mkdir()
        for name, data in job.files.items():
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs / name).write_bytes(data)
        suite.lay_out(self._group, theirs, self._group.path, self._folder)
        report = self._place / "report"
        report.unlink(missing_ok=True)
        before = load.read(self._process.pid, self._cores)
        answer: _Answer = self._ask({"report": str(report), "seconds": SECONDS})
        outcome = suite.reported(self._group, self._seed, report, answer["seconds"])
        if answer["over"]:
            outcome = _cut_short(outcome)
        codes = _codes(outcome)
        if answer["killed"] or any(suite.was_silent(test) for test in outcome.tests):
            raise Killed("the process that ran the tests was ended")
        if "killed-from-outside" in codes:
            raise Killed("a process of the service was ended by the machine, which may be out of memory")
        if codes & {"limit-time", "limit-stall"}:
            share = load.share(before, load.read(self._process.pid, self._cores))
            if share < LEAST_SHARE:
                raise Starved(f"of {answer['seconds']:.0f} s the machine had {share:.0%} for it")
        return outcome

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def _ask(self, order: dict[str, object]) -> Any:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        except (OSError, ValueError):  # closed meanwhile, by end()
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            raise Killed("the process that judges, or the warm parent of its hosts, was ended")
        return json.loads(line)


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
