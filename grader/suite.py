"""Run one group's suite over one copy of the learner's files, on all cores, and say what happened: GroupOutcome.

The tests are the shipped ones; of the learner's folder only the files that the group names take part. `run` starts a
process that imports pytest once, collects once, and forks a worker a core; each takes the next test when it is free. A
test that left no outcome is a failure: silence proves nothing. Suites that judge many services are in `warm.py`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from grader import sandbox
from grader.outcome import Failure, GroupOutcome, Metric, Place, Step, TestOutcome, Verdict

if TYPE_CHECKING:
    import pytest

    from grader.curriculum import Group
    from grader.sim import Forkserver

    _Test = tuple[pytest.Item, TestOutcome]


class Judge(Protocol):
    """Runs the tests with the ids `only` (None for all), `first` before the others, as many at once as there are
    clients; outcomes go to `report`."""

    def __call__(
        self,
        report: int,
        clients: Sequence[Forkserver],
        first: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None: ...


class Retell(Protocol):
    """Tells of a red test, which has just run, in another way. `play` runs it once more."""

    def __call__(self, item: pytest.Item, test: TestOutcome, play: Callable[[], TestOutcome | None]) -> TestOutcome: ...


_NOT_NEEDED = ("cacheprovider", "logging", "warnings", "unraisableexception", "threadexception", "faulthandler")
"""Of pytest's own plug-ins, what every test would pay for, and no outcome tells of."""

_SILENCE = "no-outcome"
_MOST_TO_COMPILE = 1024 * sandbox.MIB
_LONGEST_COMPILE = 10  # seconds: what takes longer is compiled by the host that imports it, below its limits


def run(
    group: Group,
    *,
    root: Path,
    pristine: Path,
    seed: int,
    stage: int | None = None,
    only: Sequence[str] | None = None,
    retell: bool = False,
    reference: Path | None = None,
    on_test: Callable[[TestOutcome], None] | None = None,
) -> GroupOutcome:
    """Judge the learner's files below `root` with the tests of `pristine`, the group's folder as it ships.

    `stage`: only the tests up to this stage; 0 for sanity alone. `only`: only the tests with these ids. `retell`: red
    tests are told with the sequence of their story; and, if there is a `reference`, the folder above a service that
    passes, the story is that of the shortest history that fails. `on_test` hears each outcome as it comes. Nothing of
    the learner's enters this process. KeyboardInterrupt ends the workers and passes on.
    """
    began = time.monotonic()
    _keep_byte_code()
    with tempfile.TemporaryDirectory(prefix="brownout-") as folder:
        judged = Path(folder) / group.folder
        lay_out(group, root, pristine, judged)
        reader, writer = os.pipe()
        refused = sandbox.refusal()
        words: list[object] = [judged, seed, -1 if stage is None else stage, writer, int(not refused)]
        if reference is not None:
            lay_out(group, reference, pristine, Path(folder) / "reference")
        if retell:
            words += ["--retell", Path(folder) / "reference" if reference else ""]
        words += ["--only", *only] if only is not None else []
        arguments = ["-m", "grader.suite", *map(str, words)]
        command = [sys.executable, "-P", *arguments] if refused else sandbox.enclose(arguments, writable=[Path(folder)])
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
                expected, tests = collect(lines, on_test)
                printed, _ = process.communicate()
            except BaseException:
                _end(process)
                raise
    outcome = complete(group, seed, expected, tests, time.monotonic() - began, printed, on_test)
    return replace(outcome, unconfined=refused)


def debug(
    group: Group, *, root: Path, pristine: Path, seed: int, patterns: Mapping[str, str], terminal: str
) -> GroupOutcome:
    """Judge one test after the other, up to the first that is red, with this terminal for a debugger in the service.

    Outside the sandbox and without limits: whoever debugs trusts the service, and takes their time. `patterns`: how
    each ended in the last check; what was red comes first, what is to do last. `terminal`: its type. The outcome has
    the tests that ran. KeyboardInterrupt ends all, and passes on.
    """
    from grader.sim.forkserver import keep_terminal

    began = time.monotonic()
    alive, hold = os.pipe()
    right_again, stopped = keep_terminal(), signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    with tempfile.TemporaryDirectory(prefix="brownout-") as folder:
        judged, report = Path(folder) / group.folder, Path(folder) / "report"
        lay_out(group, root, pristine, judged)
        words = [judged, seed, report, alive, terminal, json.dumps(dict(patterns))]
        command = [sys.executable, "-P", "-m", "grader.suite", "--debug", *map(str, words)]
        process = subprocess.Popen(command, pass_fds=[alive], start_new_session=True)
        try:
            process.wait()
        finally:
            os.close(hold)
            os.close(alive)
            _end(process)
            right_again()
            signal.signal(signal.SIGTSTP, stopped)
        return reported(group, seed, report, time.monotonic() - began)


def _keep_byte_code() -> None:
    """Leave the byte code of our own modules beside them, where it is missing or old: what runs in the sandbox can
    write none, and would compile them on each run."""
    import compileall

    compileall.compile_dir(Path(__file__).parent, quiet=2)


def complete(
    group: Group,
    seed: int,
    expected: list[TestOutcome] | None,
    tests: dict[str, TestOutcome],
    seconds: float,
    printed: bytes,
    on_test: Callable[[TestOutcome], None] | None = None,
) -> GroupOutcome:
    """What the reports amount to, in the order of the suite; a test that was expected and not heard of is a failure."""
    if expected is None:
        return GroupOutcome(group.id, seed, (), seconds, ours=what_failed(printed))
    for test in expected:
        if test.id not in tests and on_test:
            on_test(test)
    return GroupOutcome(group.id, seed, tuple(tests.get(test.id, test) for test in expected), seconds)


def what_failed(printed: bytes) -> str:
    """Of what a suite that did not run has printed, the line that says why."""
    said = printed.decode("utf-8", "replace").strip().splitlines() or ["no output"]
    what = next((line.partition(" - ")[0] for line in said if line.startswith("ERROR ")), said[-1])
    why = [line[1:].strip() for line in said if line.startswith("E  ")]
    return f"the suite did not run: {what}{f': {why[-1]}' if why else ''}"


def was_silent(test: TestOutcome) -> bool:
    """Was a test expected, and not heard of?"""
    return test.failure is not None and test.failure.code == _SILENCE


def lay_out(group: Group, root: Path, pristine: Path, judged: Path) -> None:
    """Make `judged`: the shipped folder, with the learner's own files in place of the shipped ones.

    If there is one already, nothing of it stays but the folder itself, in which a process may be at work.
    """
    for old in judged.iterdir() if judged.exists() else ():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    shutil.copytree(pristine, judged, ignore=ignored, dirs_exist_ok=True)
    for name in group.own_files(judged):
        (judged / name).unlink()
    for name in group.own_files(root):
        (judged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, judged / name)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files by name, relative to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def collect(
    lines: Iterable[bytes], on_test: Callable[[TestOutcome], None] | None = None
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
        texts = {name: tuple(failure[name]) for name in ("story", "printed", "damage")}
        where = tuple(Place(**place) for place in failure["where"])
        failure = Failure(**failure | texts | {"where": where, "steps": tuple(Step(**s) for s in failure["steps"])})
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


class _Collected:
    """A pytest plug-in that has the tests run as they were collected, in forks of this process."""

    def __init__(self, forkserver: Forkserver) -> None:
        self._forkserver = forkserver

    def pytest_configure(self, config: pytest.Config) -> None:
        from grader import plugin

        plugin.use_forkserver(config, self._forkserver)

    def _tests(self, session: pytest.Session) -> list[_Test]:
        """Each with the outcome that it has until it is heard of."""
        from grader import plugin

        if session.testsfailed:  # as pytest's own loop does: without a file of tests, the rest proves nothing
            raise session.Interrupted("a file of tests does not load")
        silence = Failure(_SILENCE, "the test ended without an outcome")
        return [(item, plugin.pending(item, silence)) for item in session.items]


class _Once(_Collected):
    """Some of the tests, once. Outcomes go to a pipe."""

    def __init__(
        self,
        forkserver: Forkserver,
        report: int,
        stage: int,
        only: Collection[str] | None,
        width: int,
        retell: Retell | None,
    ) -> None:
        super().__init__(forkserver)
        self._report = report
        self._stage = stage
        self._only = only
        self._width = width
        self._retell = retell

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        wanted = [(item, test) for item, test in self._tests(session) if self._is_wanted(test)]
        clients = [self._forkserver.another() for _ in range(min(self._width, len(wanted)))]
        _run(wanted, self._report, clients, retell=self._retell)
        return True

    def _is_wanted(self, test: TestOutcome) -> bool:
        return (self._stage < 0 or test.stage <= self._stage) and (self._only is None or test.id in self._only)


class _UntilRed(_Collected):
    """One test after the other, up to the first that is red. Outcomes go to a file."""

    def __init__(self, forkserver: Forkserver, report: int, patterns: Mapping[str, str]) -> None:
        super().__init__(forkserver)
        self._report = report
        self._patterns = patterns

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        begun: list[dict[str, Any]] = []
        heard: list[dict[str, Any]] = []
        for item, test in sorted(self._tests(session), key=lambda each: self._turn(each[1])):
            begun.append(asdict(test))
            _write(self._report, {"expected": begun})
            _play(item, self._forkserver, heard.append)
            for outcome in heard[len(begun) - 1 :]:
                _write(self._report, outcome)
            if len(heard) < len(begun) or heard[-1]["verdict"] != Verdict.PASSED:
                break
        return True

    def _turn(self, test: TestOutcome) -> int:
        last = [self._patterns.get(name, Verdict.PASSED) for name in test.patterns]
        if Verdict.TODO in last:
            return 2
        return 0 if any(verdict != Verdict.PASSED for verdict in last) else 1


class _OnCall(_Collected):
    """All tests, once for each service that takes the place of the one before."""

    def __init__(self, forkserver: Forkserver, serve: Callable[[list[TestOutcome], Judge], None]) -> None:
        super().__init__(forkserver)
        self._serve = serve

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from grader import plugin

        tests = self._tests(session)
        folder = session.config.rootpath
        for name in ("incident.py", "tests/probes.py"):  # what nearly every test imports
            if (folder / name).exists():
                plugin.load(folder / name)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)  # what judges one service is short-lived

        def judge(
            report: int,
            clients: Sequence[Forkserver],
            first: Collection[str] = (),
            only: Collection[str] | None = None,
        ) -> None:
            _run([each for each in tests if only is None or each[1].id in only], report, clients, first)

        self._serve([test for _, test in tests], judge)
        return True


def _run(
    tests: Sequence[_Test],
    report: int,
    clients: Sequence[Forkserver],
    first: Collection[str] = (),
    *,
    retell: Retell | None = None,
) -> None:
    """Run the tests, those with the ids `first` before the others, as many at once as there are clients."""
    _write(report, {"expected": [asdict(test) for _, test in tests]})
    if not tests:
        return
    _compile(tests[0][0].config.rootpath / "service")
    items = [item for item, _ in sorted(tests, key=lambda each: each[1].id not in first)]
    if len(clients) == 1:
        for item in items:
            _play(item, clients[0], partial(_write, report), retell=retell)
        return
    queue, feed = os.pipe()  # holds the numbers of the tests still to run: whoever is free takes the next
    os.write(feed, b"".join(number.to_bytes(2, "big") for number in range(len(items))))
    os.close(feed)
    turns = os.pipe()
    os.write(turns[1], b"T")
    children = []
    for client in clients:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                while number := os.read(queue, 2):
                    write = partial(_write_in_turn, report, turns)
                    _play(items[int.from_bytes(number, "big")], client, write, retell=retell)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
        client.close()
    for pid in children:
        os.waitpid(pid, 0)
    for fd in (queue, *turns):
        os.close(fd)


def _play(
    item: pytest.Item, client: Forkserver, write: Callable[[dict[str, Any]], None], *, retell: Retell | None = None
) -> None:
    """Run one test on hosts of this client."""
    from grader import plugin

    plugin.use_forkserver(item.config, client)

    def once() -> TestOutcome | None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return plugin.outcome_of(item)

    try:
        outcome = once()
        if retell is not None and outcome is not None:
            outcome = retell(item, outcome, once)
    except Exception as error:  # pytest's own machinery: the other tests still have to run
        outcome = plugin.broken(item, error)
    if outcome is not None:
        if outcome.failure is not None and outcome.failure.code == "limit-time":
            plugin.hung(item.config)
        write(asdict(outcome))


def _write_in_turn(report: int, turns: tuple[int, int], message: dict[str, Any]) -> None:
    token = os.read(turns[0], 1)  # one writer at a time: a long line is no single write
    try:
        _write(report, message)
    finally:
        os.write(turns[1], token)


def _write(report: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(report, data) :]


def _compile(service: Path) -> None:
    """Leave the byte code of the learner's modules beside them: a host is started a hundred times, and writes none.

    In a process of its own, since to compile what nobody trusts may end it.
    """
    pid = os.fork()
    if pid == 0:
        try:
            import compileall
            import resource

            signal.alarm(_LONGEST_COMPILE)
            resource.setrlimit(resource.RLIMIT_AS, (_MOST_TO_COMPILE, _MOST_TO_COMPILE))
            compileall.compile_dir(service, quiet=2)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def launch(seed: int, folder: Path, *, enclosed: bool) -> Forkserver:
    """The warm parent of hosts for the group in `folder`, warming up beside us; in the sandbox its hosts are confined,
    on disks of limited size."""
    from grader.host import confine
    from grader.sim.forkserver import Forkserver

    if enclosed:
        confine.limited_disk(sandbox.DISKS)
    return Forkserver.launch(seed, sandbox.system() if enclosed else (), allowed=_allowed(folder))


def _allowed(folder: Path) -> tuple[str, ...]:
    from grader.curriculum import read_group

    return read_group(folder / "group.toml").imports


def preload() -> None:
    """Import what every run of a suite needs, for all forks of this process."""
    for module in ("pytest", "pytest_timeout", "grader.plugin", "grader.story.timeline", "grader.world.scene"):
        importlib.import_module(module)


def opened(report: str) -> int:
    """A file that outcomes are written to, as a descriptor."""
    return os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def reported(group: Group, seed: int, report: Path, seconds: float) -> GroupOutcome:
    """What was written to the file; what was printed on the way lies beside it, if it does."""
    lines = report.read_bytes().split(b"\n")[:-1] if report.exists() else []  # what it did not end is no line
    expected, tests = collect(lines)
    own = report.with_name(f"{report.name}.out")
    return complete(group, seed, expected, tests, seconds, own.read_bytes() if own.exists() else b"")


def cores() -> int:
    """How many processes can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def play(
    folder: str,
    seed: int,
    report: int,
    forkserver: Forkserver,
    *,
    stage: int,
    only: Collection[str] | None,
    width: int,
    retell: Retell | None = None,
) -> int:
    """Collect and run the tests of FOLDER, `width` at once; outcomes go to the descriptor `report`. Once a process."""
    return _pytest(folder, seed, _Once(forkserver, report, stage, only, width, retell))


def play_for_a_debugger(
    folder: str, seed: int, report: str, alive: int, terminal: str, patterns: Mapping[str, str]
) -> int:
    """Run tests whose hosts have the terminal that our standard streams are, while the pipe `alive` is held open."""
    from grader.sim.forkserver import Forkserver

    def end_with_it() -> None:
        os.read(alive, 1)
        os._exit(1)

    forkserver = Forkserver.launch(seed, terminal=terminal, allowed=_allowed(Path(folder)))
    threading.Thread(target=end_with_it, daemon=True).start()
    printed, null = opened(f"{report}.out"), os.open(os.devnull, os.O_RDONLY)
    for target, fd in ((0, null), (1, printed), (2, printed)):
        os.dup2(fd, target)
    return _pytest(folder, seed, _UntilRed(forkserver, opened(report), patterns), "--real-limits=off")


def stand_by(folder: str, seed: int, forkserver: Forkserver, serve: Callable[[list[TestOutcome], Judge], None]) -> int:
    """Collect the tests of FOLDER once, then call `serve` with them, and with what judges the service that lies in
    FOLDER at that moment. That is to be called in forks of this process: one judges one. Once a process; what pytest
    returns.
    """
    return _pytest(folder, seed, _OnCall(forkserver, serve))


def _pytest(folder: str, seed: int, suite: _Collected, *words: str) -> int:
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(folder)
    arguments = [
        "--rootdir", folder, "--confcutdir", folder, "-c", os.devnull, "--import-mode=importlib", "--seed", str(seed),
        "-p", "pytest_timeout", "--assert=plain", "--capture=no", "-q", "--no-header", "tests",
        *(word for name in _NOT_NEEDED for word in ("-p", f"no:{name}")), *words,
    ]  # fmt: skip
    # The last is asked first: the plug-in that starts a warm parent for every other pytest finds ours.
    return int(pytest.main(arguments, plugins=["grader.plugin", suite]))


def main() -> None:
    """The process that `run` starts: `python -m grader.suite FOLDER SEED STAGE FD ENCLOSED [--retell REFERENCE]
    [--only ID…]`. STAGE -1 is all; ENCLOSED is 1 in the sandbox, and 0 outside. With --debug FOLDER SEED REPORT FD TERM
    PATTERNS, the one that `debug` starts."""
    if sys.argv[1] == "--debug":
        folder, seed, report, alive, terminal, patterns = sys.argv[2:]
        sys.exit(play_for_a_debugger(folder, int(seed), report, int(alive), terminal, json.loads(patterns)))
    folder, seed, stage, report, enclosed, *rest = sys.argv[1:]
    forkserver = launch(int(seed), Path(folder), enclosed=bool(int(enclosed)))
    retell = None
    if rest[:1] == ["--retell"]:
        retell, rest = _retelling(rest[1]), rest[2:]
    only = rest[1:] if rest else None
    width = cores()
    sys.exit(play(folder, int(seed), int(report), forkserver, stage=int(stage), only=only, width=width, retell=retell))


def _retelling(reference: str) -> Retell:
    from grader.shorten import retold

    if reference:
        _compile(Path(reference) / "service")
    return partial(retold, reference=Path(reference) if reference else None)


if __name__ == "__main__":
    main()
