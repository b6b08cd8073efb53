"""What a learner has earned with a group: the reference beside theirs, others' mistakes, the trade-offs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from grader import curriculum
from grader.curriculum import Group, Trouble, mend_of
from grader.verify import handed_in
from grader.verify.handed_in import WrongFix

OWN = "TRADEOFFS.md"
"""Where a learner may write down what they chose, and what it costs. Offered; nothing asks for it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One file, from the learner's to the reference. Either may lack it."""

    name: str  # relative to the group's folder
    added: int  # lines
    removed: int
    diff: tuple[str, ...]  # unified; empty when they are the same


@dataclass(frozen=True, slots=True)
class Lesson:
    """A wrong fix, as it is explained to those who need it no longer."""

    name: str  # "timeout-per-call"
    title: str
    belief: str  # goes after "the belief that"
    truth: str
    diff: tuple[str, ...]  # unified, from the reference


@dataclass(frozen=True, slots=True)
class Solution:
    """Folders are relative to the workspace, and to the curriculum that has them alike."""

    reference: str
    designs: tuple[str, ...]
    files: tuple[Compared, ...]
    lessons: tuple[Lesson, ...]
    notes: str  # Markdown
    own: str  # Markdown, the learner's: OWN in the group's folder; empty if there is none

    def part(self, name: str, known: str) -> Compared | Lesson:
        """One file, or one mistake. Raises UnknownName, with the command `known` to see which there are."""
        parts: dict[str, Compared | Lesson] = {file.name: file for file in self.files}
        parts |= {lesson.name: lesson for lesson in self.lessons}
        alike = [name] if name in parts else [each for each in parts if each.endswith(f"/{name}")]
        if len(alike) != 1:
            raise curriculum.unknown("file or mistake", name, list(parts), known)
        return parts[alike[0]]


def compare(group: Group, source: Path) -> Solution:
    """`source` has the curriculum. Raises Trouble where the group's solution is missing."""
    solutions = handed_in.folder(group, source)
    reference = solutions / "reference"
    if not reference.is_dir():
        raise Trouble(f"solutions/{group.folder}/ is missing here", mend_of(solutions))
    names = sorted({*group.own_files(group.path), *group.own_files(reference)})
    wrong, _ = handed_in.read_wrong(solutions)
    notes = solutions / "NOTES.md"
    designs = sorted((solutions / "designs").glob("*/"))
    return Solution(
        reference=reference.relative_to(source).as_posix(),
        designs=tuple(folder.relative_to(source).as_posix() for folder in designs),
        files=tuple(_compared(name, group.path / name, reference / name) for name in names),
        lessons=tuple(_lesson(fix, solutions) for fix in sorted(wrong, key=lambda fix: fix.caught_by[0])),
        notes=notes.read_text("utf-8") if notes.is_file() else "",
        own="\n".join(_lines(group.path / OWN)),
    )


def begin_own(group: Group) -> Path:
    """The learner's own page of trade-offs, begun with its headings if there is none yet. Raises Trouble."""
    file = group.path / OWN
    headings = [f"## {pattern.title}\n\nChosen:\nIt costs:\nInstead, when:\n" for pattern in group.patterns.values()]
    lead = f"# Group {group.number}, {group.title}: my trade-offs\n\nFor you alone: nothing judges it.\n"
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write("\n".join([lead, *headings]))
    except FileExistsError:
        pass
    except OSError as error:
        raise Trouble(f"cannot write {curriculum.shown(file)}: {error.strerror}") from None
    return file


def _lesson(fix: WrongFix, solutions: Path) -> Lesson:
    patch = (solutions / "wrong" / f"{fix.name}.patch").read_text("utf-8").removeprefix(fix.patch.header)
    return Lesson(fix.name, fix.title, fix.belief, fix.truth, tuple(patch.splitlines()))


def _compared(name: str, yours: Path, reference: Path) -> Compared:
    lines = list(
        difflib.unified_diff(_lines(yours), _lines(reference), f"yours/{name}", f"reference/{name}", lineterm="")
    )
    body = lines[2:]
    added = sum(line.startswith("+") for line in body)
    return Compared(name, added, sum(line.startswith("-") for line in body), tuple(lines))


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
