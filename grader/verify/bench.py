"""Many runs of one group's suite on all cores: suites stand by for each seed, and judge one service after another.

`suite.run` is for one run and starts everything anew.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader import suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome
from grader.warm import Ended, Warm


@dataclass(frozen=True, slots=True)
class Run:
    """One run: of which variant, with which seed, and which tests (None for all).

    `again` tells repetitions apart, which share no process.
    """

    variant: str
    seed: int
    only: tuple[str, ...] | None = None
    again: int = 0


def run_all(
    group: Group,
    variants: Mapping[str, Path],
    pristine: Path,
    runs: Sequence[Run],
    on_run: Callable[[Run], None] = lambda _: None,
) -> dict[Run, GroupOutcome]:
    """Judge the learner's files of each variant with the tests of `pristine`.

    `on_run` hears of each run as it ends, of one at a time. KeyboardInterrupt ends what runs, and passes on.
    """
    turn = threading.Lock()

    def told(run: Run) -> None:
        with turn:
            on_run(run)

    files = {
        variant: {name: (root / name).read_bytes() for name in group.own_files(root)}
        for variant, root in variants.items()
    }
    with tempfile.TemporaryDirectory(prefix="brownout-") as scratch, _Suites(group, pristine, Path(scratch)) as suites:

        def play(session: Sequence[Run]) -> dict[Run, GroupOutcome]:
            ours = "the process that judges has ended"
            found = {run: GroupOutcome(group.id, run.seed, (), 0.0, ours=ours) for run in session}
            warm = suites.start(session[0].seed)
            with suppress(Ended):
                for run in session:
                    warm.put(files[run.variant])
                    found[run] = warm.judge(only=run.only).outcome
                    told(run)
            suites.end(warm)
            return found

        with ThreadPoolExecutor(suite.cores()) as pool:
            futures = [pool.submit(play, session) for session in _sessions(runs)]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                return {run: outcome for future in futures for run, outcome in future.result().items()}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                suites.stop()
                raise


def _sessions(runs: Sequence[Run]) -> list[Sequence[Run]]:
    """What one suite after the other judges, the longest first; at least as many as there are cores."""
    alike: dict[tuple[int, int], list[Run]] = {}
    for run in dict.fromkeys(runs):
        alike.setdefault((run.seed, run.again), []).append(run)
    parts = max(1, suite.cores() // max(1, len(alike)))
    sessions = [session[part::parts] for session in alike.values() for part in range(min(parts, len(session)))]
    return sorted(sessions, key=_weight, reverse=True)


def _weight(session: Sequence[Run]) -> int:
    """Roughly how long a session takes."""
    return sum(20 if run.only is None else len(run.only) for run in session)


class _Suites:
    """The suites that stand by; all end with the block."""

    def __init__(self, group: Group, pristine: Path, scratch: Path) -> None:
        self._group = group
        self._pristine = pristine
        self._scratch = scratch
        self._lock = threading.Lock()
        self._running: list[Warm] = []
        self._stopped = False

    def __enter__(self) -> _Suites:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, seed: int) -> Warm:
        with self._lock:
            if self._stopped:
                raise RuntimeError("no further suite: the proof was stopped")
            place = Path(tempfile.mkdtemp(dir=self._scratch))
            warm = Warm(self._group, self._pristine, place, seed, confined=False)
            self._running.append(warm)
            return warm

    def end(self, warm: Warm) -> None:
        with self._lock:
            if warm in self._running:
                self._running.remove(warm)
                warm.close()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            while self._running:
                self._running.pop().close()
