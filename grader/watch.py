"""Judge a learner's service again whenever it is saved: when a save is one, what runs first, and with which seed.

Two threads: one hears of the disk, one judges. What they find out comes out of `Watch.events`, in one order, for
whoever shows it. A save while a run is under way ends that run: it would tell of what is no longer there.
"""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from grader import sandbox, suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome, TestOutcome, Verdict
from grader.progress import Course, Recorded
from grader.warm import Ended, Warm

QUIET = 20
"""Milliseconds without a further change, after which a save is complete: editors write, rename and remove."""

LONGEST = 200
"""Milliseconds after which it is, whatever goes on."""

ATTEMPTS = 2
"""How often a run is begun whose process is ended by somebody."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A run begins. `files`: what differs from the run before, relative to the group's folder; empty for the first."""

    files: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Tested:
    """A test has ended. `before`: how it ended in the last whole run, if there was one."""

    outcome: TestOutcome
    before: Verdict | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A run has come to its end. `seconds`: since the save."""

    outcome: GroupOutcome
    recorded: Recorded
    seconds: float


@dataclass(frozen=True, slots=True)
class Key:
    """The learner has pressed a key."""

    letter: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread of ours could not go on."""

    error: Exception


Event = Saved | Tested | Judged | Key | Broken


class Watch:
    """A group under watch, with the tests of `pristine`. `seed`: the one of all runs; None for the course's."""

    def __init__(self, course: Course, group: Group, pristine: Path, seed: int | None) -> None:
        self._course = course
        self._group = group
        self._pristine = pristine
        self._fixed = seed
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._forced = True  # the first run needs no save
        self._files: Mapping[str, bytes] = {}  # of the last run that began
        self._tests: dict[str, TestOutcome] = {}  # of the last whole run, by id
        self._confined = not sandbox.refusal()
        self._scratch = tempfile.TemporaryDirectory(prefix="brownout-")
        self._count = 0
        self._warm = self._begin()
        self._threads = [
            threading.Thread(target=self._guarded, args=[work], daemon=True) for work in (self._hear, self._judge)
        ]

    def __enter__(self) -> Watch:
        self._wanted.set()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._wanted.set()
        self._warm.close()
        for thread in self._threads:
            thread.join(5.0)
        with contextlib.suppress(OSError):
            self._scratch.cleanup()

    def events(self) -> Iterator[Event]:
        """What happens, as it happens; without an end."""
        while True:
            yield self._events.get()

    def press(self, letter: str) -> None:
        self._events.put(Key(letter))

    def again(self) -> None:
        """Judge once more what is there."""
        self._forced = True
        self._wanted.set()

    # ------------------------------------------------------------------------------------------ the threads

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if not self._closing.is_set():
                self._events.put(Broken(error))

    def _hear(self) -> None:
        from watchfiles import watch

        for _ in watch(
            self._group.path,
            stop_event=self._closing,
            debounce=LONGEST,
            step=QUIET,
            rust_timeout=500,
            raise_interrupt=False,
        ):
            if self._group.read_own() != self._files:
                self._wanted.set()
                self._warm.cancel()

    def _judge(self) -> None:
        while True:
            self._wanted.wait()
            if self._closing.is_set():
                return
            self._wanted.clear()
            began = time.monotonic()
            files = self._group.read_own()
            if files == self._files and not self._forced:
                continue
            changed = tuple(sorted(name for name in {*files, *self._files} if files.get(name) != self._files.get(name)))
            self._events.put(Saved(changed if self._files else (), self._warm.seed))
            self._files, self._forced = files, False
            outcome = self._run(files, changed)
            if outcome is not None:
                self._end(outcome, time.monotonic() - began)

    def _run(self, files: Mapping[str, bytes], changed: tuple[str, ...]) -> GroupOutcome | None:
        """None for a run that was cancelled. Raises Ended."""
        for attempt in range(ATTEMPTS):
            try:
                self._warm.put(files)
                run = self._warm.judge(width=suite.cores(), first=self._first(changed), on_test=self._tested)
            except Ended:
                if self._closing.is_set() or attempt + 1 == ATTEMPTS:
                    raise
                self._warm = self._begin()
                continue
            return None if run.cancelled else run.outcome
        return None

    def _end(self, outcome: GroupOutcome, seconds: float) -> None:
        self._tests = {test.id: test for test in outcome.tests}
        recorded = self._course.record(self._group, outcome)
        self._events.put(Judged(outcome, recorded, seconds))
        if self._seed() != self._warm.seed:
            self._warm.close()
            self._warm = self._begin()

    def _tested(self, test: TestOutcome) -> None:
        before = self._tests.get(test.id)
        self._events.put(Tested(test, before.verdict if before else None))

    # ------------------------------------------------------------------------------------------ what, and with what

    def _first(self, changed: tuple[str, ...]) -> list[str]:
        """The tests that were red, or whose pattern's stub was changed: what the save is most likely about."""
        touched = {name for name, pattern in self._group.patterns.items() if pattern.stub in changed}
        tests = self._tests.values()
        return [test.id for test in tests if test.verdict is not Verdict.PASSED or touched & {*test.patterns}]

    def _seed(self) -> int:
        """One that failed stays until it passes; then a fresh one comes."""
        if self._fixed is not None:
            return self._fixed
        kept = self._course.of(self._group).failed_seed
        return kept if kept is not None else self._course.seed(self._group)

    def _begin(self) -> Warm:
        self._count += 1
        place = Path(self._scratch.name) / str(self._count)
        place.mkdir()
        return Warm(self._group, self._pristine, place, self._seed(), confined=self._confined)
