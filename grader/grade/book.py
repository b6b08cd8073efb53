"""The grade book of a batch: who has handed in what, what it is worth, and what all that depends on. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from grader.grade.batch import NotJudged, Plan, fault
from grader.grade.ingest import Submission
from grader.grade.journal import Terms
from grader.grade.marks import Marks, marks_of
from grader.grade.roster import Learner, whose
from grader.outcome import GroupOutcome

SCHEMA: Final = "brownout-grade/1"

NOT_YET = "not yet: the batch was ended before it came to this"
UNTOUCHED = "nothing in it differs from what ships"


class Row(msgspec.Struct, kw_only=True):
    """One submission, or a learner of the roster who has handed in nothing."""

    submission: str  # its name; empty where there is none
    learner: str  # id in the roster; empty where there is no roster, or nobody's
    name: str  # of the learner, if the roster has it
    digest: str  # SHA-256 of the work
    files: list[str]
    odd: list[str]  # what was left out of what was handed in, and why
    same_as: list[str]  # other submissions of the very same work
    marks: Marks | None  # None: it was not judged, which is no fault of the learner's
    not_judged: str  # why it was not judged: "killed: …", "starved: …", "ours: …", "not yet: …"; empty if it was
    outcomes: tuple[GroupOutcome, ...]  # one for each seed; none if it was not judged


class Book(msgspec.Struct, kw_only=True):
    """All rows, by name, then those of the roster who handed in nothing; and what they depend on."""

    terms: Terms
    weights: Mapping[str, float]
    rows: list[Row]
    strangers: list[str]  # submissions of nobody in the roster
    schema: Literal["brownout-grade/1"] = SCHEMA

    @property
    def whole(self) -> bool:
        """Has everybody full marks?"""
        return all(row.marks is not None and row.marks.points >= row.marks.most - 1e-9 for row in self.rows)

    @property
    def not_judged(self) -> list[Row]:
        return [row for row in self.rows if row.not_judged]


def book(
    submissions: Sequence[Submission],
    found: Mapping[str, tuple[GroupOutcome, ...] | NotJudged],
    plan: Plan,
    terms: Terms,
    weights: Mapping[str, float],
    roster: Sequence[Learner] = (),
) -> Book:
    """The book of all submissions: those of which nothing was found out yet, too."""
    alike: dict[str, list[str]] = {}
    for submission in submissions:
        if submission.files:
            alike.setdefault(submission.digest, []).append(submission.name)
    rows, strangers, seen = [], [], set()
    for submission in submissions:
        learner = whose(submission.name, list(roster)) if roster else None
        if roster and learner is None:
            strangers.append(submission.name)
        if learner is not None:
            seen.add(learner.id)
        judged = found.get(submission.digest, NOT_YET)
        outcomes, why = ((), judged) if isinstance(judged, str) else (judged, fault(judged))
        untouched = [UNTOUCHED] if submission.files and plan.ships(submission.files) else []
        rows.append(
            Row(
                submission=submission.name,
                learner=learner.id if learner else "",
                name=learner.name if learner else "",
                digest=submission.digest,
                files=sorted(submission.files),
                odd=[*untouched, *submission.odd],
                same_as=[name for name in alike.get(submission.digest, ()) if name != submission.name],
                marks=None if why else marks_of(outcomes, weights, plan.group),
                not_judged=why,
                outcomes=outcomes,
            )
        )
    nothing = marks_of((), weights, plan.group)
    rows += [_missing(learner, nothing) for learner in roster if learner.id not in seen]
    return Book(terms=terms, weights=weights, rows=rows, strangers=strangers)


def _missing(learner: Learner, marks: Marks) -> Row:
    return Row(
        submission="",
        learner=learner.id,
        name=learner.name,
        digest="",
        files=[],
        odd=["nothing was handed in"],
        same_as=[],
        marks=marks,
        not_judged="",
        outcomes=(),
    )
