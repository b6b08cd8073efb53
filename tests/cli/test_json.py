"""The JSON that programs read: versioned, and as its schema says."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from grader.curriculum import read_groups
from grader.outcome import Verdict
from grader.progress import Course
from grader.report import machine
from tests import workspaces

SCHEMA_FILE = Path(machine.__file__).with_name("schema.json")


def test_the_schema_file_is_what_the_types_say() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(msgspec.json.encode(machine.schema())), (
        "run: python -m grader.report.machine > grader/report/schema.json"
    )


def test_an_answer_begins_with_its_schema_and_command(workspace: Path) -> None:
    answer = machine.Status(exit=0, result=machine.status(Course(workspace)))
    assert list(json.loads(machine.text(answer)))[:3] == ["schema", "command", "exit"]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_check_survives_the_way_there_and_back(workspace: Path, verdict: Verdict) -> None:
    course = Course(workspace)
    group = read_groups(workspace)["group-1"]
    outcome = workspaces.outcome(1, 7, verdict)
    answer = machine.Check(exit=0, result=machine.check(group, outcome, course.record(group, outcome)))
    back = msgspec.json.decode(machine.text(answer), type=machine.Check)
    assert back == answer
