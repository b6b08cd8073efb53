"""What pytest gets from us: the fixtures `scene`, `incident` and `probes`, marks, `expect`, an outcome for each test.

Registered as an entry point, it does nothing but in a group's folder. Running a suite on a copy and on all cores is for
`suite.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import sys
import time
import traceback
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from grader.outcome import UNREADABLE, Failure, Metric, Place, Step, TestOutcome, Verdict

if TYPE_CHECKING:
    from grader.sim import Forkserver, Tape
    from grader.sim.history import Answered
    from grader.world.scene import Scene

REAL_SECONDS = 60
"""A test may take this long in real time; a suite is meant to take five."""

_MISTAKES = frozenset(
    [
        "NameError",
        "AttributeError",
        "TypeError",
        "ImportError",
        "ModuleNotFoundError",
        "UnboundLocalError",
        "RecursionError",
        "MemoryError",
    ]
)
"""Exceptions that mean a slip in the learner's code rather than the outside's doing."""

PATIENCE = 5.0
"""Real seconds that a host may take for one turn, which is meant to take a few milliseconds."""

BRIEF = 1.25
"""The same, in a run in which as many tests as HANGS have come to that end already."""

HANGS = 3

_KINDS = {
    "todo": Verdict.TODO,
    "limit-time": Verdict.LIMIT,
    "limit-stall": Verdict.LIMIT,
    "limit-cpu": Verdict.LIMIT,
    "limit-memory": Verdict.LIMIT,
    "killed-from-outside": Verdict.LIMIT,
    "flood": Verdict.LIMIT,
    "garbage": Verdict.TAMPERED,
    "deadlock": Verdict.FAILED,
    "horizon": Verdict.FAILED,
    "busy": Verdict.FAILED,
    "unannounced": Verdict.FAILED,
}
"""What the end of a host means, by its kind; every other kind is an error of the learner's."""

_group_key = pytest.StashKey[Any]()
_metrics_key: pytest.StashKey[list[Metric]] = pytest.StashKey()
_scene_key = pytest.StashKey[Any]()
_began_key = pytest.StashKey[float]()
_outcome_key = pytest.StashKey[TestOutcome]()
_hangs_key = pytest.StashKey[int]()
_without_key = pytest.StashKey[tuple[Collection[str], Mapping[str, "Answered"]]]()
_error_key = pytest.StashKey[BaseException]()
_instead_key = pytest.StashKey[Path | None]()
_current: list[pytest.Item] = []


class ProductionFailure(AssertionError):
    """The incident still happens. `code` is short and stable, `sees` is what production sees."""

    def __init__(
        self,
        code: str,
        sees: str,
        about: Sequence[str] = ("",),
        since: float = 0.0,
        story: Sequence[tuple[float, str]] = (),
        calls: Sequence[str] = (),
    ) -> None:
        super().__init__(sees)
        self.code = code
        self.sees = sees
        self.about = about
        self.since = since
        self.story = story
        self.calls = calls


def expect(
    metric: str,
    value: float,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    code: str,
    sees: str,
    unit: str = "",
    about: str | Sequence[str] = "",
    since: float = 0.0,
    story: Sequence[tuple[float, str]] = (),
    calls: Sequence[str] = (),
) -> None:
    """State a bound on a measured figure, and record how far the figure lies from it.

    Exactly one of `at_most` and `at_least`. `code` is a short and stable name for the failure, `sees` what production
    sees when the bound does not hold. The story is that of the requests in whose method, path and body `about` stands
    (one for each text, if there are several) and which came at `since` or later; or, where the tape does not know it,
    `story`: seconds, and what happened. With both, what is wrong is what was said, and no call is to blame for it: the
    line that is shown is the requests' route. `calls`: it is these that are wrong, the calls of others in whose method
    and URL one of the texts stands: shown are their lines. Where nobody asked for anything, it is the pattern's stub.
    Raises ProductionFailure.
    """
    if (at_most is None) == (at_least is None):
        raise TypeError("expect() takes either at_most or at_least")
    bound = at_most if at_most is not None else at_least
    assert bound is not None
    relation = "at_most" if at_most is not None else "at_least"
    holds = value <= bound if relation == "at_most" else value >= bound
    if _current:
        _current[-1].stash[_metrics_key].append(Metric(metric, float(value), float(bound), relation, unit, code))
    if not holds:
        about = (about,) if isinstance(about, str) else tuple(about)
        raise ProductionFailure(code, sees, about, since, story, calls)


# ------------------------------------------------------------------------------------------------ pytest's hooks


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("brownout")
    group.addoption("--seed", type=int, help="replay the run of this seed (groups only; default: random)")
    group.addoption(
        "--real-limits",
        choices=["on", "off"],
        default="on",
        help="off: none in real time, for a debugger (with -s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "stage(number): the stage that the test belongs to; 0 for sanity")
    config.addinivalue_line("markers", "pattern(*ids): the patterns that the test judges")
    if config.getoption("seed") is None:
        config.option.seed = random.SystemRandom().randrange(1_000_000)
    if _group_tomls(config):
        _warm_up(config)  # while pytest collects


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.stash.get(_forkserver_key, None) is None:
        return []
    return [f"brownout: run seed {config.option.seed} (replay with --seed {config.option.seed})"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = _group_of(item)
        if group is not None:
            item.stash[_group_key] = group
            item.repr_failure = _plain  # type: ignore[method-assign]
            if item.config.getoption("real_limits") == "on" and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(REAL_SECONDS))


def _plain(excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> str:
    """What pytest is to make of a failure before `explain` does. Its own way parses the test's source, and on CPython
    3.11 that ends in a SystemError when a task's exception is told of meanwhile."""
    return excinfo.typename


def pytest_unconfigure(config: pytest.Config) -> None:
    forkserver = config.stash.get(_forkserver_key, None)
    if forkserver is not None:
        forkserver.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[_metrics_key] = []
    item.stash[_began_key] = time.monotonic()
    _current.append(item)
    try:
        return (yield)
    finally:
        _current.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.stash.get(_group_key, None) is None:
        return report
    if call.excinfo is not None:
        outcome = _judge(item, call.excinfo.value)
        report.longrepr = explain(outcome, item.config.option.seed)
    elif report.when == "call":
        outcome = _outcome(item, Verdict.PASSED, None)
    else:
        return report
    item.stash[_outcome_key] = outcome
    return report


def outcome_of(item: pytest.Item) -> TestOutcome | None:
    """What became of a test that has run; None if nothing was recorded."""
    return item.stash.get(_outcome_key, None)


# ------------------------------------------------------------------------------------------------ fixtures

_forkserver_key = pytest.StashKey["Forkserver"]()


def _warm_up(config: pytest.Config) -> Forkserver:
    forkserver = config.stash.get(_forkserver_key, None)
    if forkserver is None:
        from grader.sim import Forkserver

        terminal = _terminal(config)
        if terminal:
            from grader.sim.forkserver import keep_terminal

            config.add_cleanup(keep_terminal())
        forkserver = config.stash[_forkserver_key] = Forkserver.launch(
            config.option.seed, terminal=terminal, allowed=_allowed(config)
        )
    return forkserver


def _terminal(config: pytest.Config) -> str:
    """The type of the terminal that a debugger in a host may use: with --real-limits off and -s, where there is one."""
    wanted = config.getoption("real_limits") == "off" and config.getoption("capture") == "no"
    return os.environ.get("TERM", "dumb") if wanted and sys.stdin.isatty() else ""


def use_forkserver(config: pytest.Config, forkserver: Forkserver) -> None:
    """Let the tests fork their hosts from this warm parent."""
    config.stash[_forkserver_key] = forkserver


def hung(config: pytest.Config) -> None:
    """One more test has ended because a host computed without end: after some, the others wait less long for that."""
    config.stash[_hangs_key] = config.stash.get(_hangs_key, 0) + 1


def steps_of(item: pytest.Item) -> tuple[Step, ...]:
    """The story of a red test that has just run, as a sequence; empty where the test tells its story itself."""
    from grader.story import sequence

    made: Scene | None = item.stash.get(_scene_key, None)
    error = item.stash.get(_error_key, None)
    if made is None or not made.tapes or (isinstance(error, ProductionFailure) and error.story):
        return ()
    about, since = (error.about, error.since) if isinstance(error, ProductionFailure) else (("",), 0.0)
    return sequence.steps(made.tapes[-1], about, since)


def leave_out(config: pytest.Config, parts: Collection[str], answers: Mapping[str, Answered]) -> None:
    """Tests that run from now on do without these parts of their scenes; requests among them are answered so."""
    config.stash[_without_key] = (parts, answers)


def put_instead(config: pytest.Config, root: Path | None) -> None:
    """Tests that run from now on judge the service below `root`; None for that of their group's folder."""
    config.stash[_instead_key] = root


def parts_of(item: pytest.Item) -> tuple[str, ...]:
    """The parts of a test's scene, once it has run: what could be left out."""
    made: Scene | None = item.stash.get(_scene_key, None)
    return made.parts if made else ()


def answered_in(item: pytest.Item) -> Mapping[str, Answered]:
    """What the requests of a test came to, once it has run."""
    made: Scene | None = item.stash.get(_scene_key, None)
    return made.answered if made else {}


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Scene:
    """The group's service, not yet running, and the run's seed."""
    from grader.sim import Service
    from grader.world.scene import Scene

    group = request.node.stash[_group_key]
    patience = None
    if request.config.getoption("real_limits") == "on":
        patience = BRIEF if request.config.stash.get(_hangs_key, 0) >= HANGS else PATIENCE
    service = Service(request.config.stash.get(_instead_key, None) or group.path, group.app, dict(group.ports))
    without, answers = request.config.stash.get(_without_key, ((), {}))
    made = Scene(_warm_up(request.config), service, request.config.option.seed, patience, without, answers)
    request.node.stash[_scene_key] = made
    return made


@pytest.fixture
def incident(request: pytest.FixtureRequest) -> ModuleType:
    """The group's `incident.py`."""
    return load(request.node.stash[_group_key].path / "incident.py")


@pytest.fixture
def probes(request: pytest.FixtureRequest) -> ModuleType:
    """The group's `tests/probes.py`, whose functions `Host.probe` takes into the host."""
    return load(request.node.stash[_group_key].path / "tests" / "probes.py")


def load(path: Path) -> ModuleType:
    """Import a file of a group's folder, under a name that no other group's has."""
    name = "brownout_" + re.sub(r"\W", "_", str(path.with_suffix("")))
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_groups: dict[Path, Any] = {}


def _group_toml(path: Path) -> Path | None:
    """The group.toml of the group that `path` lies in."""
    path = path.absolute()
    folders = (folder / "group.toml" for folder in (path, *path.parents))
    return next((file for file in folders if file.is_file()), None)


def _group_tomls(config: pytest.Config) -> set[Path]:
    """Those of the groups that pytest was started for, or in."""
    found: set[Path] = set()
    for path in (Path(config.invocation_params.dir), *(Path(arg.split("::")[0]) for arg in config.args)):
        own = _group_toml(path)
        found |= {own} if own else set(path.absolute().glob("*/group.toml")) if path.name == "groups" else set()
    return found


def _allowed(config: pytest.Config) -> list[str]:
    """What the services of these groups may import."""
    from grader import curriculum

    return sorted({name for file in _group_tomls(config) for name in curriculum.read_group(file).imports})


def _group_of(item: pytest.Item) -> Any:
    from grader import curriculum

    found = _group_toml(item.path)
    if found is None:
        return None
    if found not in _groups:
        _groups[found] = curriculum.read_group(found)
    return _groups[found]


# ------------------------------------------------------------------------------------------------ judging


def pending(item: pytest.Item, failure: Failure) -> TestOutcome:
    """The outcome of a test that is yet to run: `failure`, should nothing better be heard of it."""
    item.stash[_metrics_key] = []
    item.stash[_began_key] = time.monotonic()
    return replace(_outcome(item, Verdict.FAILED, failure), seconds=0.0)


def broken(item: pytest.Item, error: Exception) -> TestOutcome:
    """The outcome of a test that pytest itself could not run or report."""
    return _outcome(item, Verdict.OURS, Failure("ours", f"{type(error).__name__}: {error}", detail=_traceback(error)))


def _outcome(item: pytest.Item, verdict: Verdict, failure: Failure | None) -> TestOutcome:
    group = item.stash[_group_key]
    doc = (getattr(getattr(item, "obj", None), "__doc__", None) or item.name).strip().splitlines()[0].rstrip(".")
    case = getattr(item, "callspec", None)
    metrics: list[Metric] = item.stash[_metrics_key]
    stage = item.get_closest_marker("stage")
    patterns = tuple(name for mark in item.iter_markers("pattern") for name in mark.args)
    return TestOutcome(
        id=f"{item.path.relative_to(group.path).as_posix()}::{item.name}",
        title=f"{doc} ({case.id})" if case else doc,
        stage=int(stage.args[0]) if stage else 0,
        patterns=patterns,
        verdict=verdict,
        seconds=time.monotonic() - item.stash[_began_key],
        metrics=tuple(metrics),
        failure=failure,
        digest=_digest(item),
    )


def _digest(item: pytest.Item) -> str:
    made: Scene | None = item.stash.get(_scene_key, None)
    return " ".join(tape.digest() for tape in made.tapes) if made else ""


def _judge(item: pytest.Item, error: BaseException) -> TestOutcome:
    """What the exception that ended a test means for the learner."""
    from grader.curriculum import Trouble
    from grader.sim import HostFailed, ProbeFailed
    from grader.sim.forkserver import ForkserverGone
    from grader.story import timeline
    from grader.world.provider import TooManyCalls

    item.stash[_error_key] = error
    made: Scene | None = item.stash.get(_scene_key, None)
    tapes = made.tapes if made else []
    todo, mistake = _unfinished(tapes), _mistake(tapes)
    if isinstance(error, ProductionFailure):
        told = timeline.lines(error.story) if error.story else _story(tapes, error.about, error.since)
        said_wrong = bool(error.story) and any(error.about)
        where = (
            _made(tapes, error.calls)
            or _blame(tapes, error.about, calls=not said_wrong)
            or _front_door(made, error.about)
            or _routes(made, error.about)
            or _stub(item, made)
        )
        failure = Failure(error.code, error.sees, where, told, detail=_raised(tapes, where))
        verdict = Verdict.FAILED
    elif isinstance(error, HostFailed):
        verdict = _KINDS.get(error.kind, Verdict.LEARNER_ERROR)
        failure = Failure(error.kind, error.text, _places(error.places), _story(tapes), detail=error.detail)
        if error.kind in ("breakpoint", "debugger-quit"):
            debug = f"learn check {item.stash[_group_key].id} --debug"
            failure = Failure(error.kind, error.text, _places(error.places), next=debug)
    elif isinstance(error, ProbeFailed):
        verdict = Verdict.TODO if error.kind == "NotImplementedError" else Verdict.LEARNER_ERROR
        code = "todo" if verdict is Verdict.TODO else "probe-error"
        failure = Failure(code, f"{error.kind}: {error.text}", _places(error.places), detail=error.detail)
    elif isinstance(error, TooManyCalls):
        verdict = Verdict.LIMIT
        failure = Failure("limit-calls", str(error), _blame(tapes), _story(tapes))
    elif isinstance(error, pytest.fail.Exception) and "Timeout" in str(error):
        verdict = Verdict.LIMIT
        failure = Failure("limit-time", f"the test did not end within {REAL_SECONDS} s of real time", _blame(tapes))
    elif isinstance(error, AssertionError):
        verdict = Verdict.FAILED
        sees = str(error).splitlines()[0] if str(error) else "the check does not hold"
        where = _blame(tapes)
        failure = Failure("assertion", sees, where, _story(tapes), detail=_raised(tapes, where))
    elif isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
        raise error
    elif tapes and _unreadable(item, error):
        verdict = Verdict.FAILED
        sees = f"an answer is not what was agreed: {type(error).__name__}: {error}"
        where = _blame(tapes) or _front_door(made, ("",)) or _routes(made, ("",))
        failure = Failure(UNREADABLE, sees, where, _story(tapes), detail=_traceback(error))
    else:
        verdict = Verdict.OURS
        mend = f"; {error.mend}" if isinstance(error, Trouble) and error.mend else ""
        kind = "" if isinstance(error, (Trouble, ForkserverGone)) else f"{type(error).__name__}: "
        failure = Failure("ours", f"{kind}{error}{mend}", detail=_traceback(error))
    failure = replace(failure, printed=_printed(made), **_costs(tapes))
    if verdict is Verdict.FAILED and todo is not None:
        verdict, failure = Verdict.TODO, todo
    elif verdict is Verdict.FAILED and mistake is not None:
        starved = mistake.code == "MemoryError"
        verdict = Verdict.LIMIT if starved else Verdict.LEARNER_ERROR
        code = "limit-memory" if starved else failure.code
        failure = replace(failure, code=code, where=mistake.where, detail=mistake.detail)
    return _outcome(item, verdict, failure)


def _unreadable(item: pytest.Item, error: BaseException) -> bool:
    """Could the suite's own code not read what the service has answered? `learn verify` allows it no group."""
    in_vain = isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration)  # next() of nothing
    if not (in_vain or isinstance(error, (LookupError, TypeError, ValueError, AttributeError))):
        return False
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    while codes and (Path(codes[-1].co_filename).parent == Path(json.__file__).parent or codes[-1].co_name == "json"):
        codes.pop()
    return bool(codes) and Path(codes[-1].co_filename).is_relative_to(item.stash[_group_key].path)


def _costs(tapes: list[Tape]) -> dict[str, Any]:
    from grader.story import damage

    return {"damage": damage.costs(tapes), "broken": damage.first_broken(tapes[-1])} if tapes else {}


def _unfinished(tapes: list[Tape]) -> Failure | None:
    """An untouched stub that a request ran into."""
    for tape in tapes:
        for entry in tape.of("unhandled"):
            if entry.data["error"] == "NotImplementedError":
                text = entry.data["text"] or "an untouched stub"
                return Failure("todo", f"not written yet: {text}", _parse(entry.data["where"]))
    return None


def _mistake(tapes: list[Tape]) -> Failure | None:
    for tape in tapes:
        for entry in tape.of("unhandled"):
            if entry.data["error"] in _MISTAKES and entry.data["where"]:
                return Failure(entry.data["error"], "", _parse(entry.data["where"]), detail=entry.data["detail"])
    return None


def _raised(tapes: list[Tape], where: tuple[Place, ...]) -> str:
    """The traceback of the unhandled error that `where` is blamed for; empty if it is blamed for something else."""
    found = (entry for tape in tapes for entry in tape.of("unhandled") if entry.data.get("where"))
    return next((str(entry.data["detail"]) for entry in found if _parse(entry.data["where"]) == where), "")


def _blame(tapes: list[Tape], about: Sequence[str] = ("",), *, calls: bool = True) -> tuple[Place, ...]:
    """The lines that most likely matter: unhandled errors, refusals, what blocked the loop, then slow calls."""
    for kind in ("unhandled", "escape", "blocked"):
        found = [e for tape in tapes for e in tape.of(kind) if e.data.get("where")]
        if found:
            worst = max(found, key=lambda e: float(e.data.get("seconds", 0.0)))
            return _parse(worst.data["where"])
    if not calls:
        return ()
    asked = _asked(tapes, about)
    made = [e for tape in tapes for e in tape.of("call") if e.data.get("where") and e.data["cause"] in asked]
    return _parse(made[-1].data["where"]) if made else ()


def _made(tapes: list[Tape], texts: Sequence[str]) -> tuple[Place, ...]:
    """Where the calls of others stand that a failure names: the last one for each text."""
    made = [e.data for tape in tapes for e in tape.of("call") if e.data.get("where")]
    named = [[call for call in made if text in f"{call['method']} {call['url']}"] for text in texts]
    return tuple(dict.fromkeys(place for calls in named if calls for place in _parse(calls[-1]["where"])[:1]))


def _asked(tapes: list[Tape], about: Sequence[str]) -> set[int]:
    """The requests that a failure is about."""
    from grader.story import timeline

    requests = (entry for tape in tapes for entry in tape.of("request"))
    return {entry.data["id"] for entry in requests if any(timeline.is_about(entry, text) for text in about)}


def _front_door(made: Scene | None, about: Sequence[str]) -> tuple[Place, ...]:
    """Where the application is made, if it knows no such route as was asked for."""
    if made is None:
        return ()
    unknown = {e.data["id"] for tape in made.tapes for e in tape.of("response") if e.data["status"] in (404, 405)}
    unknown &= _asked(made.tapes, about)
    asked = [e.data for tape in made.tapes for e in tape.of("request") if e.data["id"] in unknown]
    routes = _all_routes(made)
    if not any(not any(_is_for(route, data) for route in routes) for data in asked):
        return ()  # a route that is there has said so
    module, _, factory = made.service.app.partition(":")
    file = Path(*module.split(".")).with_suffix(".py")
    try:
        lines = (made.service.root / file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    at = next((at for at, line in enumerate(lines, 1) if re.match(rf"\s*(async\s+)?def {factory}\b", line)), 1)
    return (Place(file.as_posix(), at, factory),)


def _routes(made: Scene | None, about: Sequence[str]) -> tuple[Place, ...]:
    """Where the routes stand that were asked for, writes first: for what goes wrong without a call or an error."""
    from grader.story import timeline

    if made is None or not made.tapes:
        return ()
    asked = [e.data for e in made.tapes[-1].of("request") if any(timeline.is_about(e, text) for text in about)]
    found = {route: place for route, place in _all_routes(made).items() if any(_is_for(route, data) for data in asked)}
    writes_first = sorted(found.items(), key=lambda item: (item[0][0] == "get", item[1].file, item[1].line))
    return tuple(place for _, place in writes_first)[:2]


def _all_routes(made: Scene) -> dict[tuple[str, str], Place]:
    """(method, path) -> where that route stands, of all that the service has."""
    found: dict[tuple[str, str], Place] = {}
    for file in sorted((made.service.root / Path(made.service.app.partition(".")[0])).rglob("*.py")):
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            if route := _ROUTE.search(line):
                found.setdefault((route[1], route[2]), Place(file.relative_to(made.service.root).as_posix(), number))
    return found


def _is_for(route: tuple[str, str], request: Mapping[str, Any]) -> bool:
    return route[0] == request["method"].lower() and _leads_to(route[1], request["path"].partition("?")[0])


def _stub(item: pytest.Item, made: Scene | None) -> tuple[Place, ...]:
    """The file in which the test's pattern is, where its contract stands: for what no request has led to."""
    group = item.stash[_group_key]
    names = [name for mark in item.iter_markers("pattern") for name in mark.args]
    found = []
    for stub in dict.fromkeys(group.patterns[name].stub for name in names):
        file = made.service.root / stub if made and stub else None
        if file is None or not file.is_file():
            continue
        ports = [port.rpartition(":")[2] for port in group.ports.values() if _module(port) == stub]
        begins = re.compile(rf"(async )?(def|class) ({'|'.join(map(re.escape, ports)) or 'none'})\b")
        lines = file.read_text("utf-8", "replace").splitlines()
        found.append(Place(stub, next((at for at, line in enumerate(lines, 1) if begins.match(line)), 1)))
    return tuple(found)


def _module(port: str) -> str:
    """The file of "package.module:name"."""
    return f"{port.partition(':')[0].replace('.', '/')}.py"


def _leads_to(route: str, path: str) -> bool:
    """Is `path` one of those that "/jobs/{id}" stands for?"""
    segments, given = route.split("/"), path.split("/")
    pairs = zip(segments, given, strict=False)
    return len(segments) == len(given) and all("{" in segment or segment == each for segment, each in pairs)


_ROUTE = re.compile(r"""@\w+\.(get|post|put|patch|delete)\(\s*["']([^"']*)["']""")


def _parse(places: list[str]) -> tuple[Place, ...]:
    return tuple(Place(file, int(line)) for file, _, line in (place.rpartition(":") for place in places))


def _places(places: tuple[Any, ...]) -> tuple[Place, ...]:
    return tuple(Place(place.file, place.line, place.function) for place in places)


def _story(tapes: list[Tape], about: Sequence[str] = ("",), since: float = 0.0) -> tuple[str, ...]:
    from grader.story import timeline

    return timeline.tell(tapes[-1], about, since) if tapes else ()


def _printed(made: Scene | None) -> tuple[str, ...]:
    """What the service itself has to say: the last lines that it printed or logged."""
    return tuple(made.runs[-1].printed[-10:]) if made and made.runs else ()


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def explain(outcome: TestOutcome, seed: int) -> str:
    """A red test in plain text, for those who run pytest itself."""
    failure = outcome.failure
    assert failure is not None
    from grader.story import measure

    lines = [f"{outcome.verdict.value.upper()} [{failure.code}] {outcome.title}"]
    told = [*measure.facts(outcome), ("story", failure.story), ("printed", failure.printed)]
    lines += [f"{'' if at else name:<17}{line}" for name, texts in told for at, line in enumerate(texts)]
    hint = failure.next or (f"learn hint {outcome.patterns[0]}" if outcome.patterns else "learn next")
    lines.append(f"next             {hint}; replay with --seed {seed}")
    if failure.detail:
        lines += ["", failure.detail.rstrip()]
    return "\n".join(lines)
