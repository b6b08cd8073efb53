"""A batch: every work that was handed in is judged once, on whatever executes, and what is found out is kept at once.

An executor is one of `concurrent.futures`: threads here, each with a core, or a Dask cluster. There is no queue of
ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from grader import sandbox, suite
from grader.curriculum import Group, Trouble
from grader.grade.ingest import Submission, digest_of
from grader.grade.journal import Journal, Terms
from grader.grade.judge import (
    BadTests,
    Job,
    Killed,
    Starved,
    Unjudged,
    judge,
    keep_to_a_core,
    patterns_of,
    versions,
)
from grader.grade.marks import PRIVATE, PRIVATE_FOLDER, is_private, weighed_as
from grader.outcome import GroupOutcome, Verdict

ATTEMPTS = 3
"""How often a submission is judged before it is our fault that nobody can."""

_SECONDS_TO_CONNECT = 10
_OWN_FOLDER = re.compile(re.escape(PRIVATE_FOLDER) + "[0-9a-f]{6}")

MOST_SEED = 2**62
"""Of a batch's seeds: too many to be tried out by whoever would like to know what the tests will draw."""


NotJudged = str
"""Why a work was not judged: "killed: …" and "starved: …", if the machine did not let it; otherwise "ours: …"."""


class BadPrivateTests(Trouble):
    """An instructor's own tests do not load, or are marked with what is no pattern."""


class NoScheduler(Trouble):
    """There is no cluster to compute on."""


class SchedulerGone(Trouble):
    """There is no cluster any more."""

    usage = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch's results depend on, and the tests: the group's files as it ships, with the private tests."""

    group: Group
    pristine: Mapping[str, bytes]
    confined: bool

    @property
    def digest(self) -> str:
        return digest_of(self.pristine)

    def ships(self, files: Mapping[str, bytes]) -> bool:
        """Are they, byte by byte, the learner's files as the group ships?"""
        own = {name for name in self.pristine if self.group.is_own(name)}
        return own == set(files) and all(self.pristine[name] == data for name, data in files.items())

    def terms(self, seeds: Sequence[int]) -> Terms:
        return Terms(self.group.id, self.digest, versions(), tuple(seeds), self.confined)


def plan(group: Group, pristine: Path, private: Path | None, *, confined: bool) -> Plan:
    """Read the tests. `private`: a folder of test_*.py, which are added to the group's."""
    files = {
        file.relative_to(pristine).as_posix(): file.read_bytes()
        for file in sorted(pristine.rglob("*"))
        if file.is_file()
        and not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(pristine).parts)
    }
    if private is not None:
        found = sorted(private.glob("test_*.py"))
        if not found:
            what = f"{private} is no folder" if not private.is_dir() else f"there are no test_*.py in {private}"
            raise BadPrivateTests(what, "learn grade --help")
        for file in found:
            folder = PRIVATE_FOLDER + hashlib.sha256(file.name.encode()).hexdigest()[:6]  # no module of the group's
            files[f"{folder}/{file.name}"] = file.read_bytes()
    return Plan(group, files, confined)


def patterns(plan: Plan) -> set[str]:
    """Those that have tests, by the names under which they are weighed. Raises BadPrivateTests."""
    if not any(map(is_private, plan.pristine)):
        return {name for stage in plan.group.stages for name in stage.patterns}  # as each group proves
    try:
        tests = patterns_of(plan.group.folder, plan.pristine, confined=plan.confined)
    except BadTests as error:
        raise BadPrivateTests(_OWN_FOLDER.sub("tests", str(error)), "learn grade --help") from None
    found: set[str] = set()
    for test, names in tests.items():
        for name in names:
            if name not in (*plan.group.patterns, PRIVATE):
                what = f"{_OWN_FOLDER.sub('tests', test)} is marked with {name}, which is no pattern of {plan.group.id}"
                raise BadPrivateTests(f"{what}: {', '.join(plan.group.patterns)}", "learn grade --help")
        found.update(weighed_as(test, names, plan.group))
    return found


def local() -> AbstractContextManager[Executor]:
    """An executor on this machine's cores."""
    return ThreadPoolExecutor(suite.cores(), initializer=keep_to_a_core)


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An executor on a Dask cluster. Raises NoScheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise NoScheduler("the extra “cluster” is not installed", "pip install 'brownout[cluster]'") from None
    for name in ("distributed", "distributed.client", "tornado"):  # what it would say to the terminal, we say in a line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise NoScheduler(f"there is no scheduler at {address}: {error}", "learn grade --help") from None
    with client, client.get_executor(pure=False) as executor:
        yield executor


def run(
    plan: Plan,
    submissions: Sequence[Submission],
    journal: Journal,
    executor: Executor,
    on_result: Callable[[], None] = lambda: None,
) -> dict[str, tuple[GroupOutcome, ...] | NotJudged]:
    """The outcomes of each work, by its digest: those that the journal knows, and those that are judged now.

    `on_result` hears of each that is judged now. What nobody can judge is not kept: --resume tries again. Raises
    Unconfined, CannotKeep and SchedulerGone; what the journal has by then is known.
    """
    works = {submission.digest: submission for submission in submissions}
    found: dict[str, tuple[GroupOutcome, ...] | NotJudged] = {
        digest: journal.known[digest] for digest in works if digest in journal.known
    }
    tests = plan.digest
    attempts: dict[str, int] = {}
    waiting: dict[Future[tuple[GroupOutcome, ...]], str] = {}

    def submit(digest: str) -> None:
        attempts[digest] = attempts.get(digest, 0) + 1
        job = Job(
            digest=digest,
            files=works[digest].files,
            group=plan.group.folder,
            tests=tests,
            pristine=plan.pristine,
            versions=journal.terms.versions,
            seeds=journal.terms.seeds,
            confined=plan.confined,
        )
        waiting[executor.submit(judge, job)] = digest

    for digest in works:
        if digest not in found:
            submit(digest)
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                digest = waiting.pop(future)
                try:
                    outcomes = future.result()
                except sandbox.Unconfined:
                    raise
                except CancelledError:
                    raise SchedulerGone("the cluster has lost its scheduler") from None
                except Exception as error:
                    if isinstance(error, Unjudged) and attempts[digest] < ATTEMPTS:
                        submit(digest)
                        continue
                    found[digest] = _not_judged(error)
                else:
                    found[digest] = outcomes
                    if not fault(outcomes):
                        journal.keep(digest, outcomes)
                on_result()
    except BaseException:
        for future in waiting:
            future.cancel()
        raise
    return found


def _not_judged(error: Exception) -> NotJudged:
    kind = "killed" if isinstance(error, Killed) else "starved" if isinstance(error, Starved) else "ours"
    what = str(error) if isinstance(error, Unjudged) else f"{type(error).__name__}: {error}"
    return f"{kind}: {what} (tried {ATTEMPTS} times)" if isinstance(error, Unjudged) else f"{kind}: {what}"


def fault(outcomes: Sequence[GroupOutcome]) -> NotJudged:
    """What of them is a fault of ours; empty if nothing is."""
    for outcome in outcomes:
        if outcome.ours:
            return f"ours: {outcome.ours}"
        for test in outcome.tests:
            if test.verdict is Verdict.OURS:
                return f"ours: {test.failure.sees if test.failure else 'a test broke'}"
    return ""
