"""Run one group's suite over one copy of the learner's files, on all cores, and say what happened: GroupOutcome.

The tests are the shipped ones; of the learner's folder only the files that the group names take part. `run` starts a
process that imports pytest once, collects once, and forks a worker a core; each takes the next test when it is free. A
test that left no outcome is a failure: silence proves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.outcome import Failure, GroupOutcome, Metric, Place, TestOutcome, Verdict

if TYPE_CHECKING:
    import pytest

    from grader.curriculum import Group
    from grader.sim import Forkserver


def run(
    group: Group,
    *,
    root: Path,
    pristine: Path,
    seed: int,
    stage: int | None = None,
    on_test: Callable[[TestOutcome], None] | None = None,
) -> GroupOutcome:
    """Judge the learner's files below `root` with the tests of `pristine`, the group's folder as it ships.

    `stage`: only the tests up to this stage; 0 for sanity alone. `on_test` hears each outcome as it comes. Nothing of the
    learner's enters this process. KeyboardInterrupt ends the workers and passes on.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="brownout-") as folder:
        judged = Path(folder) / group.folder
        lay_out(group, root, pristine, judged)
        reader, writer = os.pipe()
        command = [
            sys.executable,
            "-P",
            "-m",
            "grader.suite",
            str(judged),
            str(seed),
            str(-1 if stage is None else stage),
            str(writer),
        ]
        with os.fdopen(reader, "rb") as lines:
            process = subprocess.Popen(
                command,
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            os.close(writer)
            try:
                expected, tests = _collect(lines, on_test)
                printed, _ = process.communicate()
            except BaseException:
                _end(process)
                raise
    ours = ""
    if expected is None:
        ours = (
            "the suite did not run: " + (printed.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1]
        )
    missing = [test for test in expected or [] if test.id not in tests]
    found = [tests.get(test.id, test) for test in expected or []]
    for test in missing:
        if on_test:
            on_test(test)
    return GroupOutcome(group.id, seed, tuple(found), time.monotonic() - began, ours)


def lay_out(group: Group, root: Path, pristine: Path, judged: Path) -> None:
    """Make `judged`: the shipped folder, with the learner's own files in place of the shipped ones."""
    shutil.copytree(pristine, judged, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    for name in group.own_files(judged):
        (judged / name).unlink()
    for name in group.own_files(root):
        (judged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, judged / name)


def _collect(
    lines: Any, on_test: Callable[[TestOutcome], None] | None
) -> tuple[list[TestOutcome] | None, dict[str, TestOutcome]]:
    """Read what the workers report: first the tests that must run, then one outcome a line."""
    expected: list[TestOutcome] | None = None
    tests: dict[str, TestOutcome] = {}
    for line in lines:
        message = json.loads(line)
        if "expected" in message:
            expected = [_decode(test) for test in message["expected"]]
        else:
            test = _decode(message)
            tests[test.id] = test
            if on_test:
                on_test(test)
    return expected, tests


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _decode(table: dict[str, Any]) -> TestOutcome:
    failure = table["failure"]
    if failure is not None:
        where = tuple(Place(**place) for place in failure.pop("where"))
        failure = Failure(**failure | {"where": where, "story": tuple(failure["story"])})
    return TestOutcome(
        **table
        | {
            "patterns": tuple(table["patterns"]),
            "verdict": Verdict(table["verdict"]),
            "metrics": tuple(Metric(**metric) for metric in table["metrics"]),
            "failure": failure,
        }
    )


# ------------------------------------------------------------------------------------------------ inside the process


class _Workers:
    """A pytest plug-in that runs the collected tests in forked workers and reports outcomes on a pipe."""

    def __init__(self, forkserver: Forkserver, stage: int, report: int) -> None:
        self._forkserver = forkserver
        self._stage = stage
        self._report = report
        self._turn = os.pipe()
        os.write(self._turn[1], b"T")

    def pytest_configure(self, config: pytest.Config) -> None:
        from grader import plugin

        plugin.use_forkserver(config, self._forkserver)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from grader import plugin

        items = session.items
        silence = Failure("no-outcome", "the test ended without an outcome")
        expected = [plugin.pending(item, silence) for item in items]
        if self._stage >= 0:
            items = [i for i, test in zip(items, expected, strict=True) if test.stage <= self._stage]
            expected = [test for test in expected if test.stage <= self._stage]
        self._write({"expected": [asdict(test) for test in expected]})
        # a pipe holds the numbers of the tests still to run: whoever is free takes the next
        queue, feed = os.pipe()
        os.write(feed, b"".join(number.to_bytes(2, "big") for number in range(len(items))))
        os.close(feed)
        count = min(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, len(items)
        )
        clients = [self._forkserver.another() for _ in range(count)]
        children = []
        for client in clients:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    plugin.use_forkserver(session.config, client)
                    self._work(items, queue)
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
            client.close()
        for pid in children:
            os.waitpid(pid, 0)
        return True

    def _work(self, items: list[pytest.Item], queue: int) -> None:
        from grader import plugin

        while number := os.read(queue, 2):
            item = items[int.from_bytes(number, "big")]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            outcome = plugin.outcome_of(item)
            if outcome is not None:
                self._write(asdict(outcome))

    def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        token = os.read(self._turn[0], 1)  # one writer at a time: a long line is no single write
        try:
            while data:
                data = data[os.write(self._report, data) :]
        finally:
            os.write(self._turn[1], token)


def main() -> None:
    """`python -m grader.suite FOLDER SEED STAGE FD`: the process that `run` starts. STAGE -1 is all stages."""
    folder, seed, stage, report = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    from grader.sim.forkserver import Forkserver

    forkserver = Forkserver.launch(seed)  # warms up beside us
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(folder)
    arguments = [
        "--rootdir", folder, "-c", os.devnull, "--import-mode=importlib", "--seed", str(seed), "-p", "grader.plugin",
        "-p", "pytest_timeout", "-p", "no:cacheprovider", "-q", "--no-header", "tests",
    ]  # fmt: skip
    code = pytest.main(arguments, plugins=[_Workers(forkserver, stage, report)])
    sys.exit(int(code))


if __name__ == "__main__":
    main()
