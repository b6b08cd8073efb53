"""What instructors and learners are shown, letter for letter: the snapshots beside this file are the golden ones.

After a change that is meant: pytest tests/grade/test_reports.py --snapshot-update, and read the difference.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from grader.curriculum import Group
from grader.grade.batch import NotJudged, Plan
from grader.grade.book import Book, Row, book
from grader.grade.ingest import Submission
from grader.grade.journal import Terms
from grader.grade.roster import Learner
from grader.outcome import Failure, GroupOutcome, Metric, Place, TestOutcome, Verdict
from grader.report import classroom, folder, gradescope, junit, machine, sheet
from grader.report.grade import feedback, screen
from grader.report.ink import Ink
from tests.attacks.target import make

PLAIN = Ink(coloured=False, unicode=True, width=80)
TERMS = Terms("group-1", "7e57" * 16, {"brownout": "0.1.0", "python": "3.13.1"}, (7,), True)

SANITY = TestOutcome("test_sanity.py::test_it_starts", "It starts", 0, (), Verdict.PASSED, 0.2)
GOOD = TestOutcome(
    "test_kettle.py::test_it_adds", "Two numbers and their sum", 1, ("lid",), Verdict.PASSED, 0.3,
    (Metric("sums", 1, 1, "at_least"),),
)  # fmt: skip
BAD = TestOutcome(
    "test_kettle.py::test_it_remembers", "What was put is there", 1, ("lid",), Verdict.FAILED, 0.4,
    (Metric("kept", 0, 1, "at_least", code="forgotten"),),
    Failure(
        "forgotten", "the value 1f is gone", (Place("service/app.py", 12, "put"),),
        ("00:00.0 PUT /kept", "00:01.0 restart", "00:01.2 GET /kept: 404"), printed=("kept 1f",),
    ),
)  # fmt: skip
EVIL = replace(
    BAD,
    failure=Failure("x", "=cmd|' /C calc'!A0 <script>alert(1)</script> \x1b[31m\u202e", story=("]]>&\0",)),
)


PRIVATE = replace(BAD, id="tests/private_ab12cd/test_mine.py::test_secret", title="What nobody may know", patterns=())


def outcome(*tests: TestOutcome) -> GroupOutcome:
    return GroupOutcome("group-1", 7, (SANITY, *tests), 1.5)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return make(tmp_path)


@pytest.fixture
def graded(group: Group) -> Book:
    def handed(name: str, text: str, *odd: str) -> Submission:
        return Submission(name, {"service/app.py": text.encode()}, odd)

    submissions = [
        handed("ada", "right"),
        handed("bob-final", "half"),
        handed("carol", "half"),
        handed("eve", "evil", "service/<b>.py is a link: not followed", "=1+1 leads out of it: left out"),
        handed("fay", "hungry"),
        handed("gus", "broke us"),
    ]
    ada, bob, _, eve, fay, gus = submissions
    found: dict[str, tuple[GroupOutcome, ...] | NotJudged] = {
        ada.digest: (outcome(GOOD, replace(BAD, verdict=Verdict.PASSED, failure=None)),),
        bob.digest: (outcome(GOOD, BAD, PRIVATE),),
        eve.digest: (outcome(replace(GOOD, verdict=Verdict.TAMPERED, failure=BAD.failure), EVIL),),
        fay.digest: "killed: the process that ran the tests was ended (tried 3 times)",
        gus.digest: (GroupOutcome("group-1", 7, (), 0.1, ours="the suite did not run: ERROR tests/test_kettle.py"),),
    }
    roster = [Learner(name, name.title()) for name in ("ada", "bob", "carol", "dora", "fay", "gus")]
    return book(submissions, found, Plan(group, {}, confined=True), TERMS, {"lid": 100.0}, roster)


def test_the_screen(group: Group, graded: Book, snapshot: SnapshotAssertion) -> None:
    text = screen(group, graded, ["report/grades.csv", "report/learners/"], 83.0, PLAIN)
    assert text == snapshot
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["ada", "bob-final", "eve", "fay", "gus", ""])
def test_what_each_learner_gets(group: Group, graded: Book, name: str, snapshot: SnapshotAssertion) -> None:
    row = next(row for row in graded.rows if row.submission == name)
    assert feedback(group, graded, row) == snapshot(name="feedback.txt")
    assert gradescope.results(graded, row) == snapshot(name="results.json")
    assert classroom.classroom(row) == snapshot(name="classroom.json")


def test_learners_hear_no_more_of_a_private_test_than_whether_it_passed(group: Group, graded: Book) -> None:
    row = next(row for row in graded.rows if row.submission == "bob-final")
    for text in (feedback(group, graded, row), classroom.classroom(row)):
        assert "a private test" in text
        assert "secret" not in text
        assert "nobody may know" not in text
    hidden = [test for test in json.loads(gradescope.results(graded, row))["tests"] if test["visibility"] == "hidden"]
    assert [test["name"] for test in hidden] == ["What nobody may know"]


def test_the_sheet(graded: Book, snapshot: SnapshotAssertion) -> None:
    assert sheet.sheet(graded, folder.folders_of(graded)) == snapshot


def test_junit(graded: Book, snapshot: SnapshotAssertion) -> None:
    assert junit.junit(graded) == snapshot


def test_grades_json_is_as_its_schema_says(group: Group, graded: Book, tmp_path: Path) -> None:
    folder.write(group, graded, tmp_path / "report")
    text = (tmp_path / "report" / "grades.json").read_text()
    assert msgspec.json.decode(text, type=Book) == graded
    assert json.loads(text)["schema"] == "brownout-grade/1"
    file = Path(machine.__file__).with_name("grades.schema.json")
    assert json.loads(file.read_text()) == json.loads(msgspec.json.encode(machine.schema_of_grades())), (
        "run: python -m grader.report.machine grades > grader/report/grades.schema.json"
    )


def test_every_name_has_a_folder_of_its_own_and_its_own_where_it_can(group: Group, graded: Book) -> None:
    names = ["a b", "a/b", "a_b", "A_B", "..", "李明", "Björn Å", "x\u202ey", "CON."]
    rows = [replace_name(graded, name) for name in names]
    found = folder.folders_of(Book(terms=TERMS, weights={}, rows=rows, strangers=[]))
    assert found == ["a b", "a_b-2", "a_b", "A_B", "_", "李明", "Björn Å", "x_y", "CON"]


def replace_name(graded: Book, name: str) -> Row:
    return msgspec.structs.replace(graded.rows[0], submission=name)


def test_what_an_earlier_batch_told_others_goes(group: Group, graded: Book, tmp_path: Path) -> None:
    folder.write(group, graded, tmp_path)
    (tmp_path / "learners" / "bob-final" / "my notes.txt").write_text("kept")
    fewer = Book(terms=TERMS, weights=graded.weights, rows=graded.rows[:1], strangers=[])
    folder.write(group, fewer, tmp_path)
    assert sorted(path.name for path in (tmp_path / "learners").iterdir()) == ["ada", "bob-final"]
    assert [path.name for path in (tmp_path / "learners" / "bob-final").iterdir()] == ["my notes.txt"]
