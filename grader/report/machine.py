"""What every command answers to `--json`: one envelope a command, versioned.

The types here are the schema. `python -m grader.report.machine` prints it as JSON Schema; `schema.json`, beside this
file, is that output, and a test holds the two together. Within `brownout/1` fields are only ever added. With the word
`grades` it prints the schema of grades.json, which is `grades.schema.json` here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from grader.curriculum import Group, Place
from grader.outcome import GroupOutcome, TestOutcome, TriggerOutcome
from grader.progress import Course, Hint, Recorded
from grader.progress import Reset as Done
from grader.verify.bounds import Calibration
from grader.verify.proof import GroupProof
from grader.verify.signature import Mistake
from grader.verify.solution import Solution
from grader.workspace import Changes, Laid

if TYPE_CHECKING:
    from grader import serve as served
    from grader.grade.book import Book

SCHEMA: Final = "brownout/1"

State = Literal["solved", "open", "locked", "unwritten"]


class Error(Struct, kw_only=True):
    """Why a command could not do its work."""

    what: Annotated[str, Meta(description="what is wrong, in one line")]
    mend: Annotated[str, Meta(description="the command that mends it, or empty")] = ""


class Answer(Struct, kw_only=True, tag_field="command"):
    """What all answers have in common."""

    exit: Annotated[
        int,
        Meta(description="0 passed, 1 the learner's work fails, 2 usage, 3 locked, 4 the grader failed, 130 Ctrl-C"),
    ]
    schema: Literal["brownout/1"] = SCHEMA
    error: Error | None = None
    notes: Annotated[list[str], Meta(description="what went wrong beside the work, such as a read-only disk")] = []


class StagePattern(Struct, kw_only=True):
    id: str
    title: str
    verdict: Annotated[str | None, Meta(description="of the last check: see Verdict; null before the first")]


class StageStatus(Struct, kw_only=True):
    number: int
    title: str
    minutes: int
    green: Annotated[bool, Meta(description="in the last check")]
    patterns: list[StagePattern]


class GroupStatus(Struct, kw_only=True):
    id: str
    number: int
    title: str
    state: State
    waits_for: Annotated[list[str], Meta(description="ids of the groups that must pass first")]
    passed_at: Annotated[str | None, Meta(description="ISO 8601, UTC")]
    stages: list[StageStatus]


class NextStep(Struct, kw_only=True):
    command: Annotated[str, Meta(description="empty when everything is solved")]
    purpose: str


class StatusResult(Struct, kw_only=True):
    groups: Annotated[list[GroupStatus], Meta(description="in the recommended order")]
    current: Annotated[str | None, Meta(description="id of the group to work on")]
    next: NextStep
    changes: Annotated[Changes | None, Meta(description="what `learn` has not told yet of a new curriculum")] = None


class InitResult(Struct, kw_only=True):
    folder: Annotated[str, Meta(description="the workspace, as it was named")]
    laid: Laid


class CompletionResult(Struct, kw_only=True):
    shell: str
    script: str


class NextResult(Struct, kw_only=True):
    group: Annotated[str | None, Meta(description="null when everything is solved")]
    stage: int | None
    briefing: Annotated[str, Meta(description="Markdown")]
    files: Annotated[list[str], Meta(description="what the learner edits, from the workspace")]
    next: NextStep


class CheckResult(Struct, kw_only=True):
    group: str
    passed: bool
    first_pass: bool
    opened: Annotated[list[str], Meta(description="ids of the groups that this pass opened")]
    outcome: GroupOutcome
    looks_like: Annotated[list[Mistake], Meta(description="known wrong fixes that fail the same tests alike")] = []


class StoryResult(Struct, kw_only=True):
    group: str
    seed: int
    causes: Annotated[
        list[list[TestOutcome]], Meta(description="red tests, those of one cause together; the first is told")
    ]


class ServeTry(Struct, kw_only=True):
    line: Annotated[str, Meta(description="to type in a shell")]
    shows: str


class ServeResult(Struct, kw_only=True):
    group: str
    url: Annotated[str, Meta(description="of the learner's service, which listens")]
    neighbours: Annotated[dict[str, str], Meta(description="environment variable of the service -> URL")]
    data: Annotated[str, Meta(description="the data folder, DATA_DIR")]
    tries: list[ServeTry]


class HintResult(Struct, kw_only=True):
    group: str
    pattern: str
    title: str
    kind: Annotated[str, Meta(description="symptom, mechanism or shape")]
    text: str
    step: int
    steps: int
    again: Annotated[bool, Meta(description="there is no further hint: this one was shown before")]


class ResetResult(Struct, kw_only=True):
    group: str
    restored: Annotated[list[str], Meta(description="what was put back, from the group's folder")]
    removed: Annotated[list[str], Meta(description="what the learner had added")]
    kept: Annotated[str | None, Meta(description="the folder with the learner's copies, from the workspace")]


class SolutionResult(Struct, kw_only=True):
    group: str
    outcomes: Annotated[
        tuple[TriggerOutcome, ...], Meta(description="the incidents of all stages: as it ships, and yours")
    ]
    solution: Solution


class VerifyResult(Struct, kw_only=True):
    proofs: list[GroupProof]


class CalibrateResult(Struct, kw_only=True):
    calibrations: list[Calibration]


class GradeRow(Struct, kw_only=True):
    submission: Annotated[str, Meta(description="empty for a learner of the roster who handed in nothing")]
    learner: Annotated[str, Meta(description="id in the roster; empty where there is none")]
    points: Annotated[float | None, Meta(description="null where it was not judged")]
    most: Annotated[float | None, Meta(description="full marks; null where it was not judged")]
    not_judged: Annotated[
        str, Meta(description="why: “killed: …”, “starved: …”, “ours: …”, “not yet: …”; empty if it was judged")
    ]


class GradeResult(Struct, kw_only=True):
    group: str
    submissions: Annotated[int, Meta(description="how many are graded")]
    rows: list[GradeRow]
    files: Annotated[list[str], Meta(description="the reports; grades.json has the schema brownout-grade/1")]


class NewResult(Struct, kw_only=True):
    group: str
    folders: Annotated[list[str], Meta(description="what was made, from the workspace")]


class Status(Answer, tag="status"):
    """`learn`"""

    result: StatusResult | None = None


class Init(Answer, tag="init"):
    """`learn init`"""

    result: InitResult | None = None


class Completion(Answer, tag="completion"):
    """`learn completion`"""

    result: CompletionResult | None = None


class Next(Answer, tag="next"):
    """`learn next`"""

    result: NextResult | None = None


class Trigger(Answer, tag="trigger"):
    """`learn trigger`"""

    result: TriggerOutcome | None = None
    page: Annotated[str, Meta(description="the file that --html wrote, or empty")] = ""


class Check(Answer, tag="check"):
    """`learn check`"""

    result: CheckResult | None = None


class Watch(Answer, tag="watch"):
    """`learn watch`: one a run, each a line."""

    result: CheckResult | None = None


class StoryAnswer(Answer, tag="story"):
    """`learn story`"""

    result: StoryResult | None = None
    page: Annotated[str, Meta(description="the file that --html wrote, or empty")] = ""


class Serve(Answer, tag="serve"):
    """`learn serve`: a line, as soon as the service listens; it goes on until it is ended."""

    result: ServeResult | None = None


class HintAnswer(Answer, tag="hint"):
    """`learn hint`"""

    result: HintResult | None = None


class Reset(Answer, tag="reset"):
    """`learn reset`"""

    result: ResetResult | None = None


class SolutionAnswer(Answer, tag="solution"):
    """`learn solution`"""

    result: SolutionResult | None = None


class Verify(Answer, tag="verify"):
    """`learn verify`"""

    result: VerifyResult | None = None


class Calibrate(Answer, tag="calibrate"):
    """`learn calibrate`"""

    result: CalibrateResult | None = None


class Grade(Answer, tag="grade"):
    """`learn grade`"""

    result: GradeResult | None = None


class New(Answer, tag="new"):
    """`learn new`"""

    result: NewResult | None = None


AnyAnswer = (
    Status
    | Init
    | Next
    | Trigger
    | Check
    | Watch
    | StoryAnswer
    | Serve
    | HintAnswer
    | Reset
    | SolutionAnswer
    | Grade
    | Verify
    | Calibrate
    | New
    | Completion
)
ANSWERS: dict[str, type[AnyAnswer]] = {
    "status": Status,
    "init": Init,
    "next": Next,
    "trigger": Trigger,
    "check": Check,
    "watch": Watch,
    "story": StoryAnswer,
    "serve": Serve,
    "hint": HintAnswer,
    "reset": Reset,
    "solution": SolutionAnswer,
    "grade": Grade,
    "verify": Verify,
    "calibrate": Calibrate,
    "new": New,
    "completion": Completion,
}


def text(answer: AnyAnswer) -> str:
    """The answer as indented JSON with a line end."""
    return msgspec.json.format(_encoded(answer), indent=2).decode() + "\n"


def line(answer: AnyAnswer) -> str:
    """The answer as one line, of a command that has many."""
    return _encoded(answer).decode() + "\n"


def _encoded(answer: AnyAnswer) -> bytes:
    fields, order = msgspec.to_builtins(answer), ("schema", "command", "exit", "error", "notes", "result", "page")
    return msgspec.json.encode({name: fields[name] for name in order if name in fields})


def refused(command: str, code: int, what: str, mend: str = "") -> AnyAnswer:
    """The answer of a command that could not do its work."""
    return ANSWERS[command](exit=code, error=Error(what=what, mend=mend))


def status(course: Course, changes: Changes | None = None) -> StatusResult:
    current = course.current()
    return StatusResult(
        groups=[_group(course, place) for place in course.places],
        current=current.id if current else None,
        next=_next(course),
        changes=changes,
    )


def briefing(course: Course, group: Group | None, markdown: str) -> NextResult:
    stage = course.stage(group) if group else None
    return NextResult(
        group=group.id if group else None,
        stage=stage.number if stage else None,
        briefing=markdown,
        files=[f"groups/{group.folder}/{name}" for name in group.own_files(group.path)] if group else [],
        next=_next(course),
    )


def check(group: Group, outcome: GroupOutcome, recorded: Recorded, looks_like: Sequence[Mistake] = ()) -> CheckResult:
    return CheckResult(
        group=group.id,
        passed=recorded.passed,
        first_pass=recorded.first_pass,
        opened=[other.id for other in recorded.opened],
        outcome=outcome,
        looks_like=list(looks_like),
    )


def serve(group: Group, place: served.Place) -> ServeResult:
    return ServeResult(
        group=group.id,
        url=place.url,
        neighbours=dict(place.neighbours),
        data=str(place.data),
        tries=[ServeTry(line=each.line, shows=each.shows) for each in place.tries],
    )


def hint(group: Group, given: Hint) -> HintResult:
    return HintResult(
        group=group.id,
        pattern=given.pattern,
        title=given.title,
        kind=given.kind,
        text=given.text,
        step=given.step,
        steps=given.steps,
        again=given.again,
    )


def reset(course: Course, group: Group, done: Done) -> ResetResult:
    kept = done.kept.relative_to(course.workspace).as_posix() if done.kept else None
    return ResetResult(group=group.id, restored=list(done.restored), removed=list(done.removed), kept=kept)


def grade(graded: Book, files: list[str]) -> GradeResult:
    rows = [
        GradeRow(
            submission=row.submission,
            learner=row.learner,
            points=row.marks.points if row.marks else None,
            most=row.marks.most if row.marks else None,
            not_judged=row.not_judged,
        )
        for row in graded.rows
    ]
    return GradeResult(
        group=graded.terms.group,
        submissions=sum(bool(row.marks and row.submission) for row in graded.rows),
        rows=rows,
        files=files,
    )


def new(group: Group) -> NewResult:
    return NewResult(group=group.id, folders=[f"groups/{group.folder}", f"solutions/{group.folder}"])


def schema() -> dict[str, Any]:
    """The JSON Schema of every answer."""
    return _schema(SCHEMA, AnyAnswer)


def schema_of_grades() -> dict[str, Any]:
    """The JSON Schema of grades.json."""
    from grader.grade import book

    return _schema(book.SCHEMA, book.Book)


def _schema(title: str, of: Any) -> dict[str, Any]:
    document = msgspec.json.schema(of)
    for definition in document["$defs"].values():
        if "description" in definition:  # a docstring: Python 3.13 takes its indentation away, earlier ones do not
            definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **document}


def _group(course: Course, place: Place) -> GroupStatus:
    group = place.group
    if group is None:
        return GroupStatus(
            id=place.id,
            number=place.number,
            title=place.title,
            state="unwritten",
            waits_for=[],
            passed_at=None,
            stages=[],
        )
    kept = course.of(group)
    waits_for = course.waits_for(group)
    state: State = "solved" if kept.passed_at else "locked" if waits_for else "open"
    stages = [
        StageStatus(
            number=stage.number,
            title=stage.title,
            minutes=stage.minutes,
            green=stage.number in kept.stages,
            patterns=[
                StagePattern(id=name, title=group.patterns[name].title, verdict=kept.patterns.get(name))
                for name in stage.patterns
            ],
        )
        for stage in group.stages
    ]
    return GroupStatus(
        id=group.id,
        number=group.number,
        title=group.title,
        state=state,
        waits_for=list(waits_for),
        passed_at=kept.passed_at or None,
        stages=stages,
    )


def _next(course: Course) -> NextStep:
    step = course.next_step()
    return NextStep(command=step.command, purpose=step.purpose)


if __name__ == "__main__":
    wanted = schema_of_grades() if sys.argv[1:] == ["grades"] else schema()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(wanted), indent=2).decode() + "\n")
