"""Each row of the proof turns red for its own reason, and says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader.curriculum import read_groups
from grader.outcome import UNREADABLE, Failure, GroupOutcome, Metric, Place, TestOutcome, Verdict
from grader.verify import proof
from grader.verify.bench import Run
from grader.verify.handed_in import NOT_APPLICABLE, Band, HandedIn, WrongFix
from grader.verify.patch import Patch
from grader.verify.proof import SHIPPED, Evidence, Proof

SANITY, STEAM, WHISTLE = "tests/t.py::test_tea", "tests/t.py::test_steam", "tests/t.py::test_whistle"
PASSED, FAILED, TODO = Verdict.PASSED, Verdict.FAILED, Verdict.TODO
FIXES = (*(f"mistake-{number}" for number in range(8)), "without-lid", "without-whistle")


def made(ident: str, verdict: Verdict = PASSED, value: float = 0.0) -> TestOutcome:
    stage = {SANITY: 0, STEAM: 1, WHISTLE: 2}[ident]
    failure = None
    if verdict is not PASSED:
        code = "todo" if verdict is TODO else "steam"
        failure = Failure(code, "steam everywhere", (Place("service/app.py", 1),), ("00:01.0  it boils",))
    value = value or (12.0 if verdict is FAILED else 1.0)
    metrics = () if verdict is TODO or not stage else (Metric("tea_p99", value, 5.0, "at_most", "s", "steam"),)
    patterns = ((), ("lid",), ("whistle",))[stage]
    return TestOutcome(ident, ident, stage, patterns, verdict, 0.1, metrics, failure, digest="d")


def stumbled() -> TestOutcome:
    """A test that could not read an answer."""
    return replace(made(STEAM, FAILED), failure=Failure(UNREADABLE, "'cups'", (), ()))


def run(seed: int, *tests: TestOutcome) -> GroupOutcome:
    return GroupOutcome("group-1", seed, tests, 0.1)


def fix(name: str) -> WrongFix:
    caught = WHISTLE if name == "without-whistle" else STEAM
    return WrongFix(name, "it is so", "it is not", (caught,), (), Patch("", ()))


@pytest.fixture
def evidence(workspace: Path) -> Evidence:
    """A sound group: the shipped service fails one test by its figure, and another is to do."""
    group = read_groups(workspace)["group-1"]
    designs = {name: workspace / name for name in ("reference", "one", "other")}
    good = run(1, made(SANITY), made(STEAM), made(WHISTLE))
    outcomes = {Run(name, 1): good for name in designs}
    outcomes |= {Run(name, 1, again=1): good for name in designs}
    outcomes[Run(SHIPPED, 1)] = run(1, made(SANITY), made(STEAM, FAILED), made(WHISTLE, TODO))
    for name in FIXES:
        outcomes[Run(name, 1)] = run(1, made(SANITY), made(STEAM, FAILED, 30.0), made(WHISTLE))
    outcomes[Run("without-whistle", 1)] = run(1, made(SANITY), made(STEAM), made(WHISTLE, FAILED))
    handed_in = HandedIn(
        designs=designs,
        wrong=tuple(map(fix, FIXES)),
        broken={"test_steam": Band("test_steam", "steam", "tea_p99", 10.0, 15.0)},
        short_cuts={"always-retry": "not applicable because tea", "always-deny": "mistake-1", "memorised": "mistake-2"},
        defects=(),
    )
    briefing = group.path / "README.md"
    briefing.write_text(briefing.read_text("utf-8") + "\n**Lid** and **whistle**.\n", "utf-8")
    return Evidence(group, handed_in, group.path, (1,), (1,), outcomes, {}, seconds={"reference": 2.0})


def judge(evidence: Evidence, **changes: Any) -> list[Proof]:
    return list(proof.judge(replace(evidence, **changes)))


def shipped(evidence: Evidence, *tests: TestOutcome) -> dict[Run, GroupOutcome]:
    return {**evidence.outcomes, Run(SHIPPED, 1): run(1, *tests)}


def handed(evidence: Evidence, **changes: Any) -> HandedIn:
    return replace(evidence.handed_in, **changes)


def test_a_sound_group_is_sound(evidence: Evidence) -> None:
    assert [(row.number, row.passed, row.findings) for row in judge(evidence)] == [(n, True, ()) for n in range(1, 9)]


def test_the_figures_count_what_was_done(evidence: Evidence) -> None:
    figures = [row.figures for row in judge(evidence)]
    assert figures[0] == {"sanity green": 1, "failed": 1, "to do": 1, "seeds": 1}
    assert figures[1] == {"designs": 3, "seeds": 1, "runs": 3}
    assert figures[2] == {"wrong fixes": 10, "caught": 10, "seeds": 1}
    assert figures[3] == {"patterns": 2, "needed": 2}
    assert figures[5]["bounds"] == 2


def test_the_quick_proof_leaves_out_what_it_cannot_know(evidence: Evidence) -> None:
    once = {run: outcome for run, outcome in evidence.outcomes.items() if not run.again}
    rows = judge(evidence, outcomes=once, seconds=None)
    assert [row.number for row in rows if row.passed is None] == [6, 7]


DEFECTS: dict[str, tuple[int, Callable[[Evidence], dict[str, Any]], str]] = {
    "sanity is red": (
        1,
        lambda e: {"outcomes": shipped(e, made(SANITY, FAILED), made(STEAM, FAILED), made(WHISTLE, TODO))},
        "sanity is failed as it ships",
    ),
    "an incident test is green": (
        1,
        lambda e: {"outcomes": shipped(e, made(SANITY), made(STEAM, FAILED), made(WHISTLE))},
        "it passes as it ships",
    ),
    "another code": (
        1,
        lambda e: {"handed_in": handed(e, broken={"test_steam": Band("test_steam", "heat", "tea_p99", 10, 15)})},
        "it fails with steam, and not with heat",
    ),
    "outside of its band": (
        1,
        lambda e: {"outcomes": shipped(e, made(SANITY), made(STEAM, FAILED, 99.0), made(WHISTLE, TODO))},
        "its tea_p99 is 99, and not within 10 and 15",
    ),
    "another figure": (
        1,
        lambda e: {"handed_in": handed(e, broken={"test_steam": Band("test_steam", "steam", "cups", 10, 15)})},
        "it does not fail by its cups",
    ),
    "no band": (1, lambda e: {"handed_in": handed(e, broken={})}, "[broken] does not say so"),
    "a band for nobody": (
        1,
        lambda e: {"handed_in": handed(e, broken={**e.handed_in.broken, "test_gone": Band("test_gone")})},
        "[broken] names test_gone, which is no test",
    ),
    "an error instead of a failure": (
        1,
        lambda e: {"outcomes": shipped(e, made(SANITY), made(STEAM, Verdict.LEARNER_ERROR), made(WHISTLE, TODO))},
        "it is learner-error",
    ),
    "too few designs": (
        2,
        lambda e: {"handed_in": handed(e, designs={"reference": e.shipped})},
        "there are 0 designs beside the reference",
    ),
    "a design fails": (
        2,
        lambda e: {"outcomes": {**e.outcomes, Run("other", 1): run(1, made(STEAM, FAILED))}},
        "other, seed 1: tests/t.py::test_steam is failed: steam everywhere",
    ),
    "too few wrong fixes": (
        3,
        lambda e: {"handed_in": handed(e, wrong=e.handed_in.wrong[1:])},
        "there are 7 wrong fixes, and 8 is the least",
    ),
    "a wrong fix gets through": (
        3,
        lambda e: {"outcomes": {**e.outcomes, Run("mistake-3", 1): run(1, made(SANITY), made(STEAM), made(WHISTLE))}},
        "mistake-3: seed 1: tests/t.py::test_steam does not catch it: passed",
    ),
    "a wrong fix breaks sanity": (
        3,
        lambda e: {"outcomes": {**e.outcomes, Run("mistake-3", 1): run(1, made(SANITY, FAILED), made(STEAM, FAILED))}},
        "it breaks tests/t.py::test_tea",
    ),
    "a test stumbles over a wrong fix": (
        3,
        lambda e: {"outcomes": {**e.outcomes, Run("mistake-3", 1): run(1, made(SANITY), stumbled(), made(WHISTLE))}},
        "mistake-3: seed 1: tests/t.py::test_steam takes for granted what it reads: 'cups'",
    ),
    "a wrong fix raises": (
        3,
        lambda e: {"outcomes": {**e.outcomes, Run("mistake-3", 1): run(1, made(STEAM, Verdict.LEARNER_ERROR))}},
        "tests/t.py::test_steam is learner-error",
    ),
    "a wrong fix names no test": (
        3,
        lambda e: {"handed_in": handed(e, wrong=[replace(f, caught_by=("t.py::no",)) for f in e.handed_in.wrong])},
        "mistake-0: there is no test t.py::no",
    ),
    "a straw man": (
        3,
        lambda e: {"handed_in": handed(e, wrong=[replace(f, cures=(STEAM,)) for f in e.handed_in.wrong])},
        "mistake-0: seed 1: it does not cure tests/t.py::test_steam",
    ),
    "nothing to cure": (
        3,
        lambda e: {"handed_in": handed(e, wrong=[replace(f, cures=(WHISTLE,)) for f in e.handed_in.wrong])},
        "it has nothing to cure in tests/t.py::test_whistle: todo as it ships",
    ),
    "a patch does not fit": (3, lambda e: {"misfits": {"mistake-3": "hunk 1"}}, "mistake-3: it does not apply: hunk 1"),
    "a patch cannot be read": (3, lambda e: {"handed_in": handed(e, defects=("wrong/x.patch: no",))}, "wrong/x.patch"),
    "old signatures": (3, lambda e: {"stale": True}, "run `learn verify group-1`"),
    "a pattern without a patch": (
        4,
        lambda e: {"handed_in": handed(e, wrong=e.handed_in.wrong[:-1])},
        "there is no wrong/without-whistle.patch",
    ),
    "a pattern that nothing needs": (
        4,
        lambda e: {"outcomes": {**e.outcomes, Run("without-lid", 1): run(1, made(SANITY), made(WHISTLE, FAILED))}},
        "no test of lid fails without it",
    ),
    "a patch for no pattern": (
        4,
        lambda e: {"handed_in": handed(e, wrong=(*e.handed_in.wrong, fix("without-spout")))},
        "wrong/without-spout.patch takes out what is no pattern",
    ),
    "a short cut forgotten": (
        5,
        lambda e: {"handed_in": handed(e, short_cuts={"always-deny": "mistake-1", "memorised": "mistake-1"})},
        "[short-cuts] says nothing of always-retry",
    ),
    "a short cut that is no patch": (
        5,
        lambda e: {"handed_in": handed(e, short_cuts={**e.handed_in.short_cuts, "memorised": "nowhere"})},
        "[short-cuts] memorised: there is no wrong/nowhere.patch",
    ),
    "a short cut without a reason": (
        5,
        lambda e: {"handed_in": handed(e, short_cuts={**e.handed_in.short_cuts, "memorised": NOT_APPLICABLE})},
        "[short-cuts] memorised",
    ),
    "another tape": (
        6,
        lambda e: {
            "outcomes": {**e.outcomes, Run("one", 1, again=1): run(1, replace(made(STEAM), digest="other"))},
        },
        "one, seed 1: tests/t.py::test_steam was another run the second time",
    ),
    "a bound without room": (
        6,
        lambda e: {"outcomes": {**e.outcomes, Run("one", 1): run(1, made(STEAM, value=4.99), made(STEAM, value=2.0))}},
        "tea_p99: a right design comes too near",
    ),
    "slow": (7, lambda e: {"seconds": {"reference": 6.0}}, "the suite takes 6.0 s on reference"),
    "a pattern without a test": (
        8,
        lambda e: {"outcomes": {**e.outcomes, Run("reference", 1): run(1, made(SANITY), made(STEAM))}},
        "no test is marked with whistle",
    ),
    "an old pin": (8, lambda e: {"unpinned": ("README.md",)}, "README.md is not as it is pinned: run `make pins`"),
    "a stage without a test": (
        8,
        lambda e: {"outcomes": {**e.outcomes, Run("reference", 1): run(1, made(SANITY), made(STEAM))}},
        "stage 2 has no test",
    ),
}


@pytest.mark.parametrize(("number", "changes", "said"), DEFECTS.values(), ids=list(DEFECTS))
def test_a_defect_is_found_and_named(
    evidence: Evidence, number: int, changes: Callable[[Evidence], dict[str, Any]], said: str
) -> None:
    row = judge(evidence, **changes(evidence))[number - 1]
    assert row.passed is False
    assert any(said in finding for finding in row.findings), row.findings


def test_a_guard_may_be_green_as_it_ships(evidence: Evidence) -> None:
    broken = {**evidence.handed_in.broken, "test_whistle": Band("test_whistle", green="nobody has to hear it yet")}
    outcomes = shipped(evidence, made(SANITY), made(STEAM, FAILED), made(WHISTLE))
    assert judge(evidence, outcomes=outcomes, handed_in=handed(evidence, broken=broken))[0].passed


def test_hints_and_briefing_are_asked_for(evidence: Evidence) -> None:
    (evidence.shipped / "hints.toml").write_text('[lid]\nsymptom = "a"\n[kettle]\nsymptom = "b"\n')
    (evidence.shipped / "README.md").write_text("nothing")
    said = "; ".join(judge(evidence)[7].findings)
    for part in ("no mechanism and no shape for lid", "hints for kettle", "the briefing has no line on “Whistle”"):
        assert part in said
