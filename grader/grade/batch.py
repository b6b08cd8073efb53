"""A batch: every work that was handed in is judged once, on whatever executes, and what is found out is kept at once.

An executor is one of `concurrent.futures`: threads here, each with a core, or a Dask cluster. There is no queue of
ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version

from grader import sandbox, suite
from grader.curriculum import Group, Trouble
from grader.grade.ingest import Submission
from grader.grade.journal import Journal, Terms
from grader.grade.judge import Job, SessionDied, judge, keep_to_a_core
from grader.outcome import GroupOutcome

ATTEMPTS = 3
"""How often a submission is judged before it is our fault that nobody can."""

MOST_SEED = 2**62
"""Of a batch's seeds: too many to be tried out by whoever would like to know what the tests will draw."""


class NoScheduler(Trouble):
    """There is no cluster to compute on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch's results depend on, and the tests: the group's files as it ships, with the private tests."""

    group: Group
    pristine: Mapping[str, bytes]
    confined: bool

    @property
    def digest(self) -> str:
        whole = hashlib.sha256()
        for name, data in sorted(self.pristine.items()):
            whole.update(f"{len(name.encode())}:{len(data)}:".encode() + name.encode() + data)
        return whole.hexdigest()

    def terms(self, seeds: Sequence[int]) -> Terms:
        named = ("brownout", "fastapi", "pydantic", "starlette", "httpx", "pytest")
        versions = {name: _version(name) for name in named}
        versions["python"] = python_version()
        return Terms(self.group.id, self.digest, versions, tuple(seeds), self.confined)


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
            raise Trouble(f"there are no test_*.py in {private}", "learn grade --help")
        for file in found:
            files[f"tests/private_{hashlib.sha256(file.name.encode()).hexdigest()[:6]}/{file.name}"] = file.read_bytes()
    return Plan(group, files, confined)


def local() -> AbstractContextManager[Executor]:
    """An executor on this machine's cores."""
    return ThreadPoolExecutor(suite.cores(), initializer=keep_to_a_core)


def cluster(address: str) -> AbstractContextManager[Executor]:
    """An executor on a Dask cluster. Raises NoScheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise NoScheduler("the extra “cluster” is not installed", "pip install 'brownout[cluster]'") from None
    try:
        client = Client(address, timeout="10s")
    except OSError as error:
        raise NoScheduler(f"there is no scheduler at {address}: {error}", "learn grade --help") from None
    executor: AbstractContextManager[Executor] = client.get_executor(retries=ATTEMPTS)
    return executor


def run(
    plan: Plan,
    submissions: Sequence[Submission],
    journal: Journal,
    executor: Executor,
    on_result: Callable[[], None] = lambda: None,
) -> dict[str, tuple[GroupOutcome, ...]]:
    """The outcomes of each work, by its digest: those that the journal knows, and those that are judged now.

    `on_result` hears of each that is judged now. What nobody can judge has an outcome that is ours, and is not
    kept. Raises Unconfined.
    """
    works = {submission.digest: submission for submission in submissions}
    found = {digest: journal.known[digest] for digest in works if digest in journal.known}
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
                except (Exception, CancelledError) as error:
                    if isinstance(error, SessionDied) and attempts[digest] < ATTEMPTS:
                        submit(digest)
                        continue
                    outcomes = _ours(plan, journal, f"{type(error).__name__}: {error}")
                else:
                    if not any(outcome.ours for outcome in outcomes):
                        journal.keep(digest, outcomes)
                found[digest] = outcomes
                on_result()
    except BaseException:
        for future in waiting:
            future.cancel()
        raise
    return found


def _ours(plan: Plan, journal: Journal, why: str) -> tuple[GroupOutcome, ...]:
    return tuple(GroupOutcome(plan.group.id, seed, (), 0.0, ours=why) for seed in journal.terms.seeds)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
