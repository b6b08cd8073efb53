"""A graded batch as a folder: every report of it, and what each learner is told."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec

from grader.curriculum import Group
from grader.grade.book import Book
from grader.report import classroom, gradescope, junit, sheet
from grader.report.grade import feedback

_LEARNERS = "learners"
_FOR_A_LEARNER = ("feedback.txt", "results.json", "classroom.json")


def write(group: Group, graded: Book, out: Path) -> list[str]:
    """Write the reports, each whole or not at all; their names, as one would type them here.

    Raises OSError where the disk does not take them.
    """
    folders = folders_of(graded)
    reports = {
        "grades.csv": sheet.sheet(graded, [f"{_LEARNERS}/{name}" for name in folders]),
        "grades.json": msgspec.json.format(msgspec.json.encode(graded)).decode(),
        "junit.xml": junit.junit(graded),
    }
    for row, name in zip(graded.rows, folders, strict=True):
        told = feedback(group, graded, row), gradescope.results(graded, row), classroom.classroom(row)
        reports |= {f"{_LEARNERS}/{name}/{file}": text for file, text in zip(_FOR_A_LEARNER, told, strict=True)}
    for name, text in reports.items():
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(text, "utf-8", "backslashreplace")
        fresh.replace(file)
    _clear(out / _LEARNERS, set(folders))
    return [str(out / name) for name in ("grades.csv", "grades.json", "junit.xml", f"{_LEARNERS}/")]


def folders_of(graded: Book) -> list[str]:
    """A folder's name for each row: the submission's where it can be one, whatever others are called."""
    names = [row.submission or row.learner for row in graded.rows]
    plain = [re.sub(r"[^\w.@+ -]", "_", name)[:100].strip(" .") or "_" for name in names]
    taken = {name.casefold() for name, safe in zip(names, plain, strict=True) if name == safe}
    folders = []
    for name, safe in zip(names, plain, strict=True):
        folder, number = safe, 1
        while folder != name and folder.casefold() in taken:
            number += 1
            folder = f"{safe}-{number}"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def _clear(learners: Path, kept: set[str]) -> None:
    """Take away what an earlier batch told others. What else lies there is somebody's own."""
    for folder in learners.iterdir():
        if folder.is_dir() and folder.name not in kept:
            for file in _FOR_A_LEARNER:
                (folder / file).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
