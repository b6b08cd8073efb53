"""Who should hand in: a CSV file with a row for each learner."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from grader.curriculum import Trouble

_IDS = ("id", "student", "student_id", "username", "login", "email", "sis login id", "sis user id")
_NAMES = ("name", "full name", "student name")


class BadRoster(Trouble):
    """A roster that cannot be read."""


@dataclass(frozen=True, slots=True)
class Learner:
    id: str
    name: str


def read_roster(file: Path) -> list[Learner]:
    """The learners of a roster, in its order. Raises BadRoster."""
    try:
        text = file.read_text("utf-8-sig")
        mark = max(",;\t", key=text.partition("\n")[0].count)  # a spreadsheet's own, in some countries
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark))
    except OSError as error:
        raise BadRoster(f"cannot read {file}: {error.strerror}", "learn grade --help") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRoster(f"cannot read {file}: {error}", "learn grade --help") from None
    columns = {str(name).strip().lower(): name for name in (rows[0] if rows else {})}
    by = next((columns[name] for name in _IDS if name in columns), None)
    if by is None:
        found = ", ".join(map(str, columns.values())) or "nobody in it"
        raise BadRoster(f"{file} has no column {' or '.join(_IDS[:5])}, but {found}", "learn grade --help")
    called = next((columns[name] for name in _NAMES if name in columns), None)
    learners = [Learner(str(row[by] or "").strip(), str(row[called] or "").strip() if called else "") for row in rows]
    twice = {each.id for each in learners if [other.id for other in learners].count(each.id) > 1}
    if twice:
        raise BadRoster(f"{file} has {min(twice)} twice", "learn grade --help")
    return [each for each in learners if each.id]


def whose(submission: str, learners: list[Learner]) -> Learner | None:
    """The learner whose id a submission's name is, or begins with, before a letter that no id has."""
    exact = [each for each in learners if each.id.lower() == submission.lower()]
    begins = [
        each
        for each in learners
        if submission.lower().startswith(each.id.lower()) and not submission[len(each.id) : len(each.id) + 1].isalnum()
    ]
    found = exact or sorted(begins, key=lambda each: -len(each.id))[:1]
    return found[0] if found else None
