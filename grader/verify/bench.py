"""Many runs of one group's suite on all cores: every seed has one warm parent and one pytest that all its runs share.

`suite.run` is for one run and starts everything anew. Here each run is a fork that collects and runs its tests, one
after another; as many go on at once as there are cores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome


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

    sessions: dict[tuple[int, int], list[Run]] = {}
    for run in dict.fromkeys(runs):
        sessions.setdefault((run.seed, run.again), []).append(run)
    in_order = sorted(sessions.values(), key=_weight, reverse=True)
    width = max(1, suite.cores() // max(1, len(in_order)))
    with tempfile.TemporaryDirectory(prefix="brownout-") as scratch, _Sessions() as processes:
        folders = {}
        for variant, root in variants.items():
            folders[variant] = Path(scratch) / variant / group.folder
            suite.lay_out(group, root, pristine, folders[variant])

        def play(session: Sequence[Run]) -> dict[Run, GroupOutcome]:
            return _session(group, session, folders, Path(scratch), width, processes, told)

        with ThreadPoolExecutor(suite.cores()) as pool:
            futures = [pool.submit(play, session) for session in in_order]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                return {run: outcome for future in futures for run, outcome in future.result().items()}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                processes.end()
                raise


def _weight(session: Sequence[Run]) -> int:
    """Roughly how long a session takes."""
    return sum(20 if run.only is None else len(run.only) for run in session)


class _Sessions:
    """The processes that run; all end with the block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def __enter__(self) -> _Sessions:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, command: Sequence[str], output: Any) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise RuntimeError("no further session: the proof was stopped")
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, start_new_session=True
            )
            self._running.add(process)
            return process

    def done(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _session(
    group: Group,
    runs: Sequence[Run],
    folders: Mapping[str, Path],
    scratch: Path,
    width: int,
    processes: _Sessions,
    on_run: Callable[[Run], None],
) -> dict[Run, GroupOutcome]:
    """All runs of one seed, in a process of their own."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder, tempfile.TemporaryFile() as output:
        reports = [Path(folder) / str(number) for number in range(len(runs))]
        order = {
            "seed": runs[0].seed,
            "width": width,
            "runs": [
                {"folder": str(folders[run.variant]), "only": run.only, "report": str(report)}
                for run, report in zip(runs, reports, strict=True)
            ],
        }
        process = processes.start([sys.executable, "-P", "-m", "grader.verify.bench"], output)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(order).encode())
            seconds = {}
            with process.stdout:
                for line in process.stdout:
                    ended, spent = line.split()
                    seconds[int(ended)] = float(spent)
                    on_run(runs[int(ended)])
            process.wait()
        finally:
            processes.done(process)
        output.seek(0)
        printed = output.read()
        found = {}
        for number, (run, report) in enumerate(zip(runs, reports, strict=True)):
            found[run] = suite.reported(group, run.seed, report, seconds.get(number, 0.0), printed)
        return found


# ------------------------------------------------------------------------------------------------ inside the process


def main() -> None:
    """`python -m grader.verify.bench`: an order on stdin; on stdout, as each run ends, its number and its seconds."""
    order = json.loads(sys.stdin.buffer.read())
    forkserver = suite.launch(order["seed"], Path(order["runs"][0]["folder"]), enclosed=False)
    suite.preload()

    running: dict[int, tuple[int, float]] = {}
    waiting = list(enumerate(order["runs"]))
    while waiting or running:
        while waiting and len(running) < order["width"]:
            number, run = waiting.pop(0)
            client = forkserver.another()
            pid = os.fork()
            if pid == 0:
                suite.play_apart(run["folder"], order["seed"], run["report"], client, only=run["only"])
            client.close()
            running[pid] = number, time.monotonic()
        pid, _ = os.wait()
        if pid in running:
            number, began = running.pop(pid)
            os.write(1, f"{number} {time.monotonic() - began:.3f}\n".encode())
    forkserver.close()


if __name__ == "__main__":
    main()
