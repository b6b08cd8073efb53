"""Judge one submission: the work of a batch, cut so that it can be done by any thread on any machine.

`judge` takes a Job and returns outcomes, values only. Each thread that calls it keeps warm sessions (`session.py`), one
for each seed and set of tests.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from grader import sandbox, suite
from grader.curriculum import Group, read_group
from grader.outcome import Failure, GroupOutcome, Verdict

SECONDS = 90.0
"""Of real time for one submission and one seed; a suite is meant to take five."""


class SessionDied(Exception):
    """The process that judged has ended, by whatever hand: the submission has to be judged again."""


class Job(msgspec.Struct, frozen=True):
    """One submission, and all that its outcomes depend on. Plain, so that it can be sent."""

    digest: str  # of the submission's files
    files: Mapping[str, bytes]
    group: str  # its folder's name
    tests: str  # SHA-256 of `pristine`
    pristine: Mapping[str, bytes]  # the group as it ships, with the private tests
    seeds: tuple[int, ...]
    confined: bool


_here = threading.local()
_benches: set[_Bench] = set()  # of all threads
_threads = itertools.count()


def judge(job: Job) -> tuple[GroupOutcome, ...]:
    """The outcomes of a submission, one for each seed. Raises SessionDied, and Unconfined where there is no sandbox."""
    bench = _bench(job)
    return tuple(bench.session(seed).judge(job) for seed in job.seeds)


def keep_to_a_core() -> None:
    """What this thread judges runs on one core, another for each thread: so nobody slows down his neighbour."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        _here.core = cores[next(_threads) % len(cores)]


def end() -> None:
    """End all sessions of this process, and whatever they judge: their threads hear of a SessionDied."""
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


class _Session:
    """A warm pytest for one seed, in a process of its own."""

    def __init__(self, group: Group, place: Path, seed: int, core: int | None, *, confined: bool) -> None:
        self._group = group
        self._place = place
        self._seed = seed
        arguments = ["-m", "grader.grade.session", str(seed), str(int(confined)), str(-1 if core is None else core)]
        if confined and (refused := sandbox.refusal()):
            raise sandbox.Unconfined(refused)
        command = sandbox.enclose(arguments, writable=[place]) if confined else [sys.executable, "-P", *arguments]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def judge(self, job: Job) -> GroupOutcome:
        """Raises SessionDied."""
        work = self._place / "work"
        shutil.rmtree(work, ignore_errors=True)
        folder = work / self._group.folder
        theirs = work / "theirs"
        for name, data in job.files.items():
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs / name).write_bytes(data)
        theirs.mkdir(parents=True, exist_ok=True)
        suite.lay_out(self._group, theirs, self._group.path, folder)
        report = work / "report"
        answer = self._ask({"folder": str(folder), "report": str(report), "seconds": SECONDS})
        outcome = suite.reported(self._group, self._seed, report, float(answer["seconds"]))
        return _cut_short(outcome) if answer["over"] else outcome

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def _ask(self, order: dict[str, object]) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            raise SessionDied(f"the session of seed {self._seed} has ended")
        found: dict[str, float] = json.loads(line)
        return found


def _cut_short(outcome: GroupOutcome) -> GroupOutcome:
    """The outcome of a run that was ended: what it had not come to is over a limit."""
    over = Failure("limit-time", f"the submission was not done after {SECONDS:.0f} s of real time: this was not tried")
    tests = tuple(
        replace(test, verdict=Verdict.LIMIT, failure=over) if suite.was_silent(test) else test for test in outcome.tests
    )
    return replace(outcome, tests=tests)
