"""A mistake is recognised when it fails exactly as a known one does, and never otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grader.curriculum import Group, read_groups
from grader.outcome import GroupOutcome, Verdict
from grader.verify import signature
from tests import workspaces

BAD, GOOD = Verdict.FAILED, Verdict.PASSED
STEAM_1 = "test_kettle.py::test_1"  # both of stage 1
STEAM_2 = "test_kettle.py::test_2"
HEARD = "test_kettle.py::test_3"  # of stage 2


@pytest.fixture
def group(workspace: Path) -> Group:
    group = read_groups(workspace)["group-1"]
    solutions = workspace / "solutions" / group.folder
    (solutions / "wrong").mkdir(parents=True)
    (solutions / "reference").mkdir()
    signature.write(
        group,
        workspace,
        {
            "lid-ajar": ("a lid that is ajar is a lid", [{STEAM_1: "steam-1"}, {STEAM_1: "steam-1", HEARD: "steam-3"}]),
            "no-lid": ("steam is harmless", [{STEAM_1: "steam-1", STEAM_2: "steam-2"}]),
            "deaf": ("nobody has to hear it", [{HEARD: "steam-3"}]),
        },
    )
    return group


def names(workspace: Path, group: Group, *verdicts: Verdict) -> list[str]:
    outcome = workspaces.outcome(1, 7, *verdicts)
    return [mistake.name for mistake in signature.recognise(workspace, group, outcome)]


def test_a_mistake_is_known_by_what_fails(workspace: Path, group: Group) -> None:
    (mistake,) = signature.recognise(workspace, group, workspaces.outcome(1, 7, GOOD, BAD, GOOD))
    assert mistake == signature.Mistake("lid ajar", "a lid that is ajar is a lid")
    assert names(workspace, group, GOOD, GOOD, GOOD, BAD, GOOD) == ["deaf"]


def test_later_stages_do_not_count(workspace: Path, group: Group) -> None:
    assert names(workspace, group, GOOD, BAD, BAD, Verdict.TODO) == ["no lid"]


@pytest.mark.parametrize(
    "verdicts",
    [
        (GOOD,),
        (BAD, BAD, GOOD),  # sanity fails too
        (GOOD, GOOD, BAD, GOOD),  # another test
        (GOOD, GOOD, GOOD, BAD, BAD),  # one more
    ],
)
def test_no_match_is_no_guess(workspace: Path, group: Group, verdicts: tuple[Verdict, ...]) -> None:
    assert names(workspace, group, *verdicts) == []


def test_another_code_is_no_match(workspace: Path, group: Group) -> None:
    outcome = workspaces.outcome(1, 7, GOOD, BAD, GOOD)
    tests = tuple(
        replace(test, failure=replace(test.failure, code="todo")) if test.failure else test for test in outcome.tests
    )
    assert signature.recognise(workspace, group, replace(outcome, tests=tests)) == ()


def test_too_many_candidates_are_a_guess(workspace: Path, group: Group) -> None:
    many = {f"mistake-{number}": ("so it is", [{STEAM_1: "steam-1"}]) for number in range(signature.MOST + 1)}
    signature.write(group, workspace, many)
    assert names(workspace, group, GOOD, BAD, GOOD) == []
    signature.write(group, workspace, dict(list(many.items())[1:]))
    assert len(names(workspace, group, GOOD, BAD, GOOD)) == signature.MOST


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"wrong": {"a": 1}}', '{"wrong": []}', "\x00"])
def test_a_file_that_says_nothing_helps_nobody(workspace: Path, group: Group, text: str | None) -> None:
    file = workspace / "solutions" / group.folder / "wrong" / "signatures.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    assert names(workspace, group, GOOD, BAD, GOOD) == []
    assert not signature.is_current(group, workspace)


def test_it_is_current_until_something_it_was_measured_on_changes(workspace: Path, group: Group) -> None:
    assert signature.is_current(group, workspace)
    (workspace / "solutions" / group.folder / "wrong" / "new.patch").write_text("Belief: more")
    assert not signature.is_current(group, workspace)


def test_writing_the_same_again_changes_nothing(workspace: Path, group: Group) -> None:
    measured = {"a": ("b", [{STEAM_1: "steam"}, {STEAM_1: "steam"}])}
    assert signature.write(group, workspace, measured)
    assert not signature.write(group, workspace, measured)
    file = workspace / "solutions" / group.folder / "wrong" / "signatures.json"
    assert json.loads(file.read_text())["wrong"]["a"]["signatures"] == [{STEAM_1: "steam"}]


def test_a_signature_is_what_is_not_green() -> None:
    outcome: GroupOutcome = workspaces.outcome(1, 7, GOOD, BAD, GOOD, Verdict.TODO)
    assert signature.of(outcome) == {STEAM_1: "steam-1", HEARD: "steam-3", "test_kettle.py::test_4": "steam-4"}
    assert signature.of(outcome, stages=1) == {STEAM_1: "steam-1"}
