"""A new group boots, one of its tests is red, and its proof says what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grader import suite
from grader.curriculum import Trouble, read_groups
from grader.outcome import Verdict
from grader.progress import Course
from grader.story import trigger
from grader.verify import prove, scaffold, signature

ROOT = Path(__file__).parents[2]
TITLE = "Queues overflow & nobody sees it"


@pytest.fixture
def begun(workspace: Path) -> Path:
    """A workspace with a new group 13."""
    shutil.copytree(ROOT / "templates", workspace / "templates")
    scaffold.write(workspace, 13, TITLE)
    return workspace


def test_it_has_its_own_name_everywhere(begun: Path) -> None:
    group = read_groups(begun)["group-13"]
    assert (group.number, group.title, group.folder) == (13, TITLE, "group-13-queues-overflow-nobody-sees-it")
    folders = [begun / parent / group.folder for parent in ("groups", "solutions")]
    texts = [file.read_text("utf-8") for folder in folders for file in folder.rglob("*.*") if file.is_file()]
    assert not [text for text in texts if "roup 0" in text or "roup-0" in text or "Untitled" in text]
    assert (group.path / "README.md").read_text("utf-8").startswith(f"# Group 13 — {TITLE}\n")


def test_it_boots_and_one_test_is_red(begun: Path) -> None:
    group = read_groups(begun)["group-13"]
    outcome = suite.run(group, root=group.path, pristine=group.path, seed=3)
    assert not outcome.ours
    assert [test.verdict for test in outcome.tests] == [Verdict.PASSED, Verdict.FAILED, Verdict.TODO]
    only = [outcome.tests[1].id]
    assert [test.id for test in suite.run(group, root=group.path, pristine=group.path, seed=3, only=only).tests] == only


def test_its_incident_plays(begun: Path) -> None:
    group = read_groups(begun)["group-13"]
    reference = begun / "solutions" / group.folder / "reference"
    outcome = trigger.play(group, root=reference, pristine=group.path, seed=3, stage=1, settings={})
    assert [figure.reached for figure in outcome.broken.figures] == [False]
    assert [figure.reached for figure in outcome.yours.figures] == [True]


def test_its_proof_says_what_it_lacks_and_finds_what_gets_through(begun: Path) -> None:
    course = Course(begun)
    group = course.groups["group-13"]
    wrong = begun / "solutions" / group.folder / "wrong"
    belief = "Belief: a kind word helps\nIn truth: no\nCaught by: tests/test_stage_1_the_first_green.py::test_{}\n\n"
    nothing = "--- a/service/new.py\n+++ b/service/new.py\n@@ -1 +1 @@\n-a\n+b\n"
    harmless = '--- /dev/null\n+++ b/service/kind.py\n@@ -0,0 +1 @@\n+"""A kind word."""\n'
    at_once = "a_greeting_comes_at_once"
    cures = f"Cures: tests/test_stage_1_the_first_green.py::test_{at_once}\n--- a"
    (wrong / "kind-word.patch").write_text(belief.format("greeting_greets") + cures[:-5] + harmless)
    (wrong / "misfit.patch").write_text(belief.format("greeting_greets") + cures[:-5] + nothing)
    (wrong / "unread.patch").write_text("Fixes everything.\n" + harmless)
    steps: list[tuple[int, int]] = []
    proved = prove.prove(course, group, quick=True, seed=5, on_step=lambda *step: steps.append(step))
    assert [row.number for row in proved.proofs if row.passed] == [1, 4, 5, 8]
    assert not proved.sound
    assert steps == [(done, 4) for done in range(5)]
    said = "\n".join(proved.proofs[2].findings)
    assert "there are 2 wrong fixes, and 8 is the least" in said
    assert "kind-word: seed 5: tests/test_stage_1_the_first_green.py::test_greeting_greets does not catch it" in said
    assert "misfit: it does not apply: there is no service/new.py to change" in said
    assert "wrong/unread.patch: its header begins with “Fixes everything.”" in said


def test_the_full_proof_repeats_times_measures_and_keeps_signatures(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, least in (("proof.WRONG_FIXES", 0), ("proof.DESIGNS", 1), ("prove.SEEDS", 2)):
        monkeypatch.setattr(f"grader.verify.{name}", least)
    course = Course(begun)
    group = course.groups["group-13"]
    proved = prove.prove(course, group)
    assert [(row.number, row.findings) for row in proved.proofs if not row.passed] == []
    assert proved.proofs[5].figures["runs repeated"] == 6
    assert proved.notes == (f"solutions/{group.folder}/wrong/signatures.json is brought up to date",)
    assert signature.is_current(group, begun)


@pytest.mark.parametrize(
    ("number", "title", "why"),
    [
        (1, "Again", "group 1 exists"),
        (0, "Nothing", "a number from 1 to 99"),
        (100, "Too many", "a number from 1 to 99"),
        (14, "…", "is no title"),
        (14, 'A "quoted" one', "is no title"),
        (14, "Two\nlines", "is no title"),
    ],
)
def test_what_cannot_be_begun_is_refused(begun: Path, number: int, title: str, why: str) -> None:
    before = sorted(begun.rglob("*"))
    with pytest.raises(Trouble, match=why):
        scaffold.write(begun, number, title)
    assert sorted(begun.rglob("*")) == before
