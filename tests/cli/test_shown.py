"""What a learner is shown for each way in which a service can fail, word for word, at 80 columns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from syrupy.assertion import SnapshotAssertion

from grader import curriculum, suite
from grader.cli.line import run as learn
from grader.progress import Recorded
from grader.report.ink import Ink
from grader.report.terminal import screen
from grader.verify import patch

ROOT = Path(__file__).parents[2]
GROUPS = curriculum.read_groups(ROOT)
SEED = 7

HEALTH = "tests/test_sanity.py::test_health_is_well"
SUMMARISED = "tests/test_sanity.py::test_a_document_is_summarised[text]"
BLOCKED = "tests/test_stage_1_one_slow_answer.py::test_health_answers_while_a_question_waits"
CLICKS = "tests/test_stage_2_one_intent_one_effect.py::test_double_clicks_at_once_are_one_order"
DEAD = "tests/test_stage_1_every_restart_forgets.py::test_a_dead_replicas_job_is_taken_up"

Make = Callable[[curriculum.Group, Path], None]


class Style(NamedTuple):
    """A way to fail: a group, the test that tells, and what makes the learner's folder."""

    group: str
    test: str
    make: Make


def as_it_ships(group: curriculum.Group, work: Path) -> None:
    shutil.copytree(group.path, work)


def solved(group: curriculum.Group, work: Path) -> None:
    shutil.copytree(ROOT / "solutions" / group.folder / "reference", work)


def mistaken(name: str) -> Make:
    """The reference with a known wrong fix."""

    def make(group: curriculum.Group, work: Path) -> None:
        wrong = (ROOT / "solutions" / group.folder / "wrong" / f"{name}.patch").read_text("utf-8")
        patch.apply(patch.read(wrong), ROOT / "solutions" / group.folder / "reference", work)

    return make


def edited(file: str, old: str, new: str) -> Make:
    """The reference with one edit."""

    def make(group: curriculum.Group, work: Path) -> None:
        solved(group, work)
        text = (work / file).read_text("utf-8")
        assert text.count(old) == 1
        (work / file).write_text(text.replace(old, new), "utf-8")

    return make


def in_health(body: str) -> Make:
    return edited("service/app.py", '        return {"status": "ok"}', f"        {body}")


FIRST = "from contextlib import"  # a line of service/app.py
STYLES = {
    "a wrong result": Style(
        "group-1", SUMMARISED, edited("service/summary.py", "join(parts)", "join(reversed([*parts]))")
    ),
    "an exception in a handler": Style("group-1", HEALTH, in_health("return statsu")),
    "an import error": Style(
        "group-1", HEALTH, edited("service/app.py", FIRST, f"import nowhere_to_be_found\n{FIRST}")
    ),
    "a syntax error": Style("group-1", HEALTH, edited("service/app.py", FIRST, f"def broken(:\n{FIRST}")),
    "an infinite loop": Style("group-1", HEALTH, in_health("while True: pass")),
    "a service that never starts": Style(
        "group-1",
        HEALTH,
        edited(
            "service/app.py",
            "        yield\n",
            "        import asyncio\n\n        await asyncio.Event().wait()\n        yield\n",
        ),
    ),
    "a blocked event loop": Style("group-1", BLOCKED, as_it_ships),
    "a lost job": Style("group-3", DEAD, as_it_ships),
    "a race": Style("group-2", CLICKS, mistaken("check-then-act")),
}


@pytest.mark.parametrize("name", STYLES)
def test_a_failure_is_shown(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    style = STYLES[name]
    group = GROUPS[style.group]
    work = tmp_path / "work"
    style.make(group, work)
    outcome = suite.run(group, root=work, pristine=group.path, seed=SEED, only=[style.test])
    assert [test.id for test in outcome.tests] == [style.test]
    outcome = replace(outcome, unconfined="")  # where there is no sandbox
    recorded = Recorded(passed=False, first_pass=False, opened=())
    shown = screen(group, outcome, recorded, Ink(coloured=False, unicode=True, width=80))
    assert all(len(line) <= 80 for line in shown.splitlines())
    how_long = re.compile(r" +(seed \d+ ·) \d+\.\d s$", re.M)
    assert how_long.sub(r"  \1 … s", shown, count=1) == snapshot


def test_a_locked_group_is_shown(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    snapshot: SnapshotAssertion,
) -> None:
    monkeypatch.chdir(workspace)
    assert learn(["check", "group-2"]) == 3
    assert capsys.readouterr().err == snapshot
