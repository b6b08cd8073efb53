"""The eight proofs of a group, judged from what the runs showed. Nothing is run here."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader import curriculum
from grader.curriculum import HINT_STEPS, Group, Trouble
from grader.outcome import UNREADABLE, GroupOutcome, TestOutcome, Verdict
from grader.verify import bounds
from grader.verify.handed_in import NOT_APPLICABLE, SHORT_CUTS, WITHOUT, Band, HandedIn, WrongFix, name_of

if TYPE_CHECKING:
    from grader.verify.bench import Run

SHIPPED = "as it ships"
"""The variant that is the shipped service."""

DESIGNS, WRONG_FIXES = 3, 8
"""A group has at least so many. The reference is a design; what takes out a pattern does not count as a wrong fix."""

FAST = 5.0
"""Seconds that a suite may take on an idle machine."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One row. `passed` is None when the quick proof leaves it out; `findings` say what is wrong, a line each."""

    number: int
    name: str
    passed: bool | None
    figures: dict[str, float]  # by what is counted: {"seeds": 25}
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupProof:
    """All rows of one group. A quick proof leaves rows out, and takes one seed where the full one takes many."""

    group: str
    quick: bool
    seeds: tuple[int, ...]
    proofs: tuple[Proof, ...]
    seconds: float
    notes: tuple[str, ...] = ()  # what was done beside the proof

    @property
    def sound(self) -> bool:
        return all(proof.passed is not False for proof in self.proofs)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rows are judged from. The runs of wrong fixes may be of some tests only."""

    group: Group
    handed_in: HandedIn
    shipped: Path
    seeds: tuple[int, ...]
    few: tuple[int, ...]  # those of the shipped service and of the wrong fixes
    outcomes: Mapping[Run, GroupOutcome]
    misfits: Mapping[str, str]  # wrong fix -> why it does not apply
    unpinned: tuple[str, ...] = ()
    stale: bool = False  # signatures.json is not of what is there now
    seconds: Mapping[str, float] | None = None  # of a suite that starts cold, by variant

    def of(self, variant: str, *seeds: int) -> Iterator[tuple[Run, GroupOutcome]]:
        """The first runs of a variant with these seeds, or with any."""
        for run, outcome in self.outcomes.items():
            if run.variant == variant and not run.again and (not seeds or run.seed in seeds):
                yield run, outcome

    def tests(self, variant: str, seed: int) -> dict[str, TestOutcome]:
        """All tests of a variant that were run with this seed, by id."""
        return {test.id: test for _, outcome in self.of(variant, seed) for test in outcome.tests}


def judge(evidence: Evidence) -> tuple[Proof, ...]:
    """All eight, in order."""
    rows: tuple[tuple[str, Callable[[Evidence, list[str]], dict[str, float] | None]], ...] = (
        ("broken for the right reason", _broken),
        ("several right designs pass", _designs),
        ("every wrong fix is caught", _wrong_fixes),
        ("every pattern is needed", _needed),
        ("no short cut", _short_cuts),
        ("deterministic, with room", _deterministic),
        ("fast", _fast),
        ("complete", _complete),
    )
    proofs = []
    for number, (name, row) in enumerate(rows, 1):
        findings: list[str] = []
        figures = row(evidence, findings)
        passed = None if figures is None else not findings
        proofs.append(Proof(number, name, passed, figures or {}, tuple(dict.fromkeys(findings))))
    return tuple(proofs)


def _broken(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    counts = dict.fromkeys(("sanity green", "failed", "to do"), 0)
    bands = evidence.handed_in.broken
    existing: set[str] = set()
    for run, outcome in evidence.of(SHIPPED, *evidence.few):
        counts = dict.fromkeys(counts, 0)
        if outcome.ours:
            findings.append(outcome.ours)
        for test in outcome.tests:
            existing.add(name_of(test.id))
            if test.stage == 0:
                if test.verdict is Verdict.PASSED:
                    counts["sanity green"] += 1
                else:
                    findings.append(f"{test.id}: sanity is {test.verdict.value} as it ships, on seed {run.seed}")
                continue
            defect = _defect(test, bands.get(name_of(test.id)))
            if defect:
                findings.append(f"{test.id}: {defect}, on seed {run.seed}")
            counts["to do"] += test.verdict is Verdict.TODO
            counts["failed"] += test.verdict is Verdict.FAILED
    if not counts["failed"]:
        findings.append("no incident test fails on the shipped service")
    findings += [f"[broken] names {test}, which is no test" for test in bands if existing and test not in existing]
    return {**counts, "seeds": len(evidence.few)}


def _defect(test: TestOutcome, band: Band | None) -> str:
    """What is wrong with how an incident test ends on the shipped service; empty when all is as it should be."""
    failure = test.failure
    if test.verdict is Verdict.PASSED:
        return "" if band and band.green else "it passes as it ships"
    assert failure is not None
    if not failure.sees:
        return "it is red without a word"
    if not failure.where:
        return "it names no line"
    if test.verdict is Verdict.TODO:
        return "it is to do, and [broken] says otherwise" if band else ""
    if test.verdict is not Verdict.FAILED:
        return f"it is {test.verdict.value} ({failure.code}: {failure.sees})"
    if failure.code == "assertion":
        return "it fails by an assert, not by expect()"
    if not failure.story:
        return "it has no story"
    if band is None or band.green:
        return f"it fails with {failure.code}, and [broken] does not say so"
    if failure.code != band.code:
        return f"it fails with {failure.code}, and not with {band.code}"
    values = [metric.value for metric in test.metrics if metric.name == band.metric and bounds.slack(metric) < 0]
    if not values:
        return f"it does not fail by its {band.metric}"
    if not band.low <= values[-1] <= band.high:
        return f"its {band.metric} is {values[-1]:.10g}, and not within {band.low:g} and {band.high:g}"
    return ""


def _designs(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    designs = evidence.handed_in.designs
    if len(designs) < DESIGNS:
        findings.append(f"there are {len(designs) - 1} designs beside the reference, and {DESIGNS - 1} is the least")
    runs = 0
    suites = set()
    for design in designs:
        for run, outcome in evidence.of(design, *evidence.seeds):
            runs += 1
            suites.add(frozenset(test.id for test in outcome.tests))
            if outcome.ours:
                findings.append(f"{design}, seed {run.seed}: {outcome.ours}")
            findings += [
                f"{design}, seed {run.seed}: {test.id} is {test.verdict.value}{_why(test)}"
                for test in outcome.tests
                if test.verdict is not Verdict.PASSED
            ]
    if len(suites) > 1:
        findings.append("not every run had the same tests")
    return {"designs": len(designs), "seeds": len(evidence.seeds), "runs": runs}


def _why(test: TestOutcome) -> str:
    return f": {test.failure.sees}" if test.failure else ""


def _wrong_fixes(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    own = [fix for fix in evidence.handed_in.wrong if not fix.name.startswith(WITHOUT)]
    findings += evidence.handed_in.defects
    if len(own) < WRONG_FIXES:
        findings.append(f"there are {len(own)} wrong fixes, and {WRONG_FIXES} is the least")
    caught = 0
    for fix in evidence.handed_in.wrong:
        found = list(_uncaught(evidence, fix))
        caught += not found
        findings += [f"{fix.name}: {finding}" for finding in found]
    if evidence.stale:
        findings.append(f"wrong/signatures.json was measured on something else: run `learn verify {evidence.group.id}`")
    return {"wrong fixes": len(evidence.handed_in.wrong), "caught": caught, "seeds": len(evidence.few)}


def _uncaught(evidence: Evidence, fix: WrongFix) -> Iterator[str]:
    """What keeps a wrong fix from being caught for the right reason, while it mends what the learner saw."""
    if fix.name in evidence.misfits:
        yield f"it does not apply: {evidence.misfits[fix.name]}"
        return
    for run, outcome in evidence.of(fix.name):
        if outcome.ours:
            yield f"seed {run.seed}: {outcome.ours}"
        for test in outcome.tests:
            if test.verdict not in (Verdict.PASSED, Verdict.FAILED, Verdict.TODO):
                yield f"seed {run.seed}: {test.id} is {test.verdict.value}{_why(test)}"
            elif test.failure and test.failure.code == UNREADABLE:
                yield f"seed {run.seed}: {test.id} takes for granted what it reads: {test.failure.sees}"
            elif test.stage == 0 and test.verdict is not Verdict.PASSED:
                yield f"seed {run.seed}: it breaks {test.id}, which nobody would hand in"
    for seed in evidence.few:
        tests, shipped = evidence.tests(fix.name, seed), evidence.tests(SHIPPED, seed)
        for name in (*fix.caught_by, *fix.cures):
            if name not in tests:
                yield f"there is no test {name}"
        for name in fix.caught_by:
            if name in tests and tests[name].verdict is not Verdict.FAILED:
                yield f"seed {seed}: {name} does not catch it: {tests[name].verdict.value}"
        for name in fix.cures:
            if name in tests and tests[name].verdict is not Verdict.PASSED:
                yield f"seed {seed}: it does not cure {name}"
            elif name in shipped and shipped[name].verdict is not Verdict.FAILED:
                yield f"seed {seed}: it has nothing to cure in {name}: {shipped[name].verdict.value} as it ships"


def _needed(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    fixes = {fix.name: fix for fix in evidence.handed_in.wrong}
    needed = 0
    for pattern in evidence.group.patterns:
        fix = fixes.get(f"{WITHOUT}{pattern}")
        if fix is None:
            findings.append(f"there is no wrong/{WITHOUT}{pattern}.patch")
        elif fix.name not in evidence.misfits:
            seed = evidence.few[0]
            red = [
                test
                for test in evidence.tests(fix.name, seed).values()
                if test.verdict is Verdict.FAILED and pattern in test.patterns
            ]
            needed += bool(red)
            if not red:
                findings.append(f"seed {seed}: no test of {pattern} fails without it")
    strays = [
        name for name in fixes if name.startswith(WITHOUT) and name[len(WITHOUT) :] not in evidence.group.patterns
    ]
    findings += [f"wrong/{name}.patch takes out what is no pattern of the group" for name in strays]
    return {"patterns": len(evidence.group.patterns), "needed": needed}


def _short_cuts(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    names = {fix.name for fix in evidence.handed_in.wrong}
    taken = 0
    for short_cut, answer in evidence.handed_in.short_cuts.items():
        if short_cut not in SHORT_CUTS and answer not in names:
            findings.append(f"[short-cuts] {short_cut}: there is no wrong/{answer}.patch")
        taken += answer in names
    for short_cut in SHORT_CUTS:
        answer = evidence.handed_in.short_cuts.get(short_cut, "")
        reason = answer.removeprefix(NOT_APPLICABLE) if answer.startswith(NOT_APPLICABLE) else ""
        if not answer:
            findings.append(f"[short-cuts] says nothing of {short_cut}: a wrong fix, or “{NOT_APPLICABLE}…”")
        elif answer not in names and not reason.strip():
            findings.append(f"[short-cuts] {short_cut}: there is no wrong/{answer}.patch")
    return {"short cuts": len({*SHORT_CUTS, *evidence.handed_in.short_cuts}), "tried": taken}


def _deterministic(evidence: Evidence, findings: list[str]) -> dict[str, float] | None:
    repeated = 0
    for run, outcome in evidence.outcomes.items():
        if not run.again:
            continue
        first = evidence.tests(run.variant, run.seed)
        for test in outcome.tests:
            repeated += 1
            before = first.get(test.id)
            if before is None or not _same(before, test):
                findings.append(f"{run.variant}, seed {run.seed}: {test.id} was another run the second time")
    if not repeated:
        return None
    distances = measured(evidence)
    findings += [f"{one.test}: {one.metric}: {one.cramped}" for one in distances if one.cramped]
    beyond = [one for one in distances if one.wrong]
    return {"runs repeated": repeated, "bounds": len(distances), "of them broken by a wrong fix": len(beyond)}


def measured(evidence: Evidence) -> tuple[bounds.Distance, ...]:
    """How far everything that was run lies from every bound."""
    runs = ((run.variant, outcome) for run, outcome in evidence.outcomes.items() if not run.again)
    return bounds.measure(runs, evidence.handed_in.designs, SHIPPED)


def _same(one: TestOutcome, other: TestOutcome) -> bool:
    return _outcome(one) == _outcome(other)


def _outcome(test: TestOutcome) -> object:
    """What a run shows of a test, but for real time and for what names a process or a folder."""
    failure = test.failure and (test.failure.code, test.failure.sees, test.failure.where, test.failure.story)
    return test.digest, test.verdict, test.metrics, failure


def _fast(evidence: Evidence, findings: list[str]) -> dict[str, float] | None:
    if not evidence.seconds:
        return None
    findings += [
        f"the suite takes {seconds:.1f} s on {variant}, and {FAST:g} s is the most"
        for variant, seconds in evidence.seconds.items()
        if seconds >= FAST
    ]
    return {"s at most": round(max(evidence.seconds.values()), 2), "suites": len(evidence.seconds)}


def _complete(evidence: Evidence, findings: list[str]) -> dict[str, float]:
    group, shipped = evidence.group, evidence.shipped
    tests = evidence.tests("reference", evidence.seeds[0])
    judged = {name for test in tests.values() for name in test.patterns}
    stages = {test.stage for test in tests.values()}
    briefing = _read(shipped / "README.md").lower()
    for name, pattern in group.patterns.items():
        if name not in judged:
            findings.append(f"no test is marked with {name}")
        if pattern.title.lower() not in briefing and name.replace("-", " ") not in briefing:
            findings.append(f"the briefing has no line on “{pattern.title}”")
        if pattern.stub and not (shipped / pattern.stub).is_file():
            findings.append(f"the stub of {name} is missing: {pattern.stub}")
        try:
            curriculum.read_hints(replace(group, path=shipped), name)
        except Trouble as error:
            findings.append(error.what)
    findings += [
        f"a test is marked with {name}, which is no pattern" for name in sorted(judged - group.patterns.keys())
    ]
    findings += [f"hints.toml has hints for {name}, which is no pattern" for name in _strays(group, shipped)]
    in_stages = [name for stage in group.stages for name in stage.patterns]
    findings += [f"{name} is in no stage, or in two" for name in group.patterns if in_stages.count(name) != 1]
    findings += [f"stage {stage.number} has no test" for stage in group.stages if stage.number not in stages]
    findings += [f"two tests have one name: {name}" for name in _twice(map(name_of, tests))]
    findings += [f"{name} is not as it is pinned: run `make pins`" for name in evidence.unpinned]
    return {"patterns": len(group.patterns), "tests": len(tests), "hints": len(HINT_STEPS) * len(group.patterns)}


def _strays(group: Group, shipped: Path) -> list[str]:
    try:
        return sorted(tomllib.loads(_read(shipped / "hints.toml")).keys() - group.patterns.keys())
    except tomllib.TOMLDecodeError:
        return []  # reading the hints of a pattern tells


def _read(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
