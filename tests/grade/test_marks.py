"""Points for patterns, weights and rosters."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.curriculum import Group, Trouble
from grader.grade.marks import BadWeights, marks_of, read_weights
from grader.grade.roster import BadRoster, Learner, read_roster, whose
from grader.outcome import GroupOutcome, TestOutcome, Verdict
from tests.attacks.target import make


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return make(tmp_path / "workspace")


def ended(name: str, verdict: Verdict, *patterns: str, **at: int) -> TestOutcome:
    return TestOutcome(name, name, at.get("stage", 1), patterns, verdict, 0.1)


def outcome(*tests: TestOutcome, seed: int = 1) -> GroupOutcome:
    return GroupOutcome("group-1", seed, tests, 1.0)


def test_a_pattern_s_points_are_shared_by_its_tests(group: Group) -> None:
    judged = outcome(
        ended("sanity", Verdict.PASSED, stage=0),
        ended("a", Verdict.PASSED, "timeout"),
        ended("b", Verdict.FAILED, "timeout", "retry"),
        ended("c", Verdict.PASSED, "retry"),
        ended("d", Verdict.TODO, "retry"),
    )
    marks = marks_of([judged], {"timeout": 60.0, "retry": 30.0}, group)
    assert [(each.pattern, each.passed, each.tests, each.points) for each in marks.patterns] == [
        ("timeout", 1, 2, 30.0),
        ("retry", 1, 3, 10.0),
    ]
    assert (marks.points, marks.most) == (40.0, 90.0)


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.PASSED])
def test_only_passed_is_worth_something(group: Group, verdict: Verdict) -> None:
    assert marks_of([outcome(ended("a", verdict, "timeout"))], {"timeout": 10.0}, group).points == 0.0


def test_a_test_counts_if_it_passed_with_every_seed(group: Group) -> None:
    good, bad = ended("a", Verdict.PASSED, "timeout"), ended("a", Verdict.FAILED, "timeout")
    for pair in ((good, bad), (bad, good)):
        runs = [outcome(each, seed=seed) for seed, each in enumerate(pair)]
        assert marks_of(runs, {"timeout": 10.0}, group).points == 0.0
    assert marks_of([outcome(good), outcome(good, seed=2)], {"timeout": 10.0}, group).points == 10.0


def test_a_pattern_whose_tests_did_not_run_is_worth_nothing(group: Group) -> None:
    assert marks_of([outcome()], {"timeout": 10.0}, group).points == 0.0


def test_a_private_test_is_weighed_as_its_pattern_or_as_private(group: Group) -> None:
    """Whatever stage it names, or none."""
    at = "tests/private_ab12cd/test_mine.py"
    judged = outcome(
        ended(f"{at}::test_one", Verdict.PASSED, stage=0),
        ended(f"{at}::test_two", Verdict.FAILED, "private", stage=1),
        ended(f"{at}::test_three", Verdict.PASSED, "lid", stage=0),
        ended("sanity", Verdict.PASSED, stage=0),
    )
    marks = marks_of([judged], {"lid": 8.0, "private": 6.0}, group)
    assert [(each.passed, each.tests, each.points) for each in marks.patterns] == [(1, 1, 8.0), (1, 2, 3.0)]


def test_weights_are_checked(group: Group, tmp_path: Path) -> None:
    file = tmp_path / "weights.toml"
    assert read_weights(None, group, {"lid", "private"}) == {"lid": 50.0, "private": 50.0}
    assert read_weights(None, group, {"lid"}) == {"lid": 100.0}
    file.write_text("private = 3")
    assert read_weights(file, group, {"lid", "private"}) == {"lid": 0.0, "private": 3.0}
    for text in ("lid = -1", "lid = true", "lid = 'many'", "lid = nan", "lid = inf", "lid = ", "\0"):
        file.write_text(text)
        with pytest.raises(BadWeights):
            read_weights(file, group, {"lid", "private"})
    file.write_text("lit = 1")
    file.write_text("lid = 0")
    with pytest.raises(BadWeights, match="nothing is worth"):
        read_weights(file, group, {"lid"})
    file.write_text("private = 1")
    with pytest.raises(BadWeights, match="private is worth 1 points, and has no tests"):
        read_weights(file, group, {"lid"})
    file.write_text("lit = 1")
    with pytest.raises(Trouble, match="lid"):
        read_weights(file, group, {"lid", "private"})
    with pytest.raises(BadWeights):
        read_weights(tmp_path, group, {"lid"})


def test_a_roster_is_read_as_a_spreadsheet_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes("\ufeffFull Name,E-Mail,Email\r\nAda L,x,ada@x.test\r\n,,\r\nBob,,bob@x.test\r\n".encode())
    assert read_roster(file) == [Learner("ada@x.test", "Ada L"), Learner("bob@x.test", "Bob")]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_roster_may_be_of_any_country(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(f"id{mark}name\nada{mark}Ada L\n")
    assert read_roster(file) == [Learner("ada", "Ada L")]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "id\nada\nada\n", "id\n\udcff\n"])
def test_a_bad_roster_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadRoster):
        read_roster(file)


def test_a_submission_belongs_to_whose_id_its_name_begins_with() -> None:
    ada, adam = Learner("ada", ""), Learner("Adam", "")
    both = [ada, adam]
    assert whose("ada", both) == ada
    assert whose("adam", both) == adam
    assert whose("ADA_final (2)", both) == ada
    assert whose("adam-late", both) == adam
    assert whose("adamant", both) is None
    assert whose("2026-ada", both) is None


def test_a_longer_id_goes_before_a_shorter_one() -> None:
    short, long = Learner("s1", ""), Learner("s1-b", "")
    assert whose("s1-b-final", [short, long]) == long
