"""A graded batch as a folder: every report of it, and what each learner is told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from grader.curriculum import Group
from grader.grade.book import Book
from grader.report import classroom, gradescope, junit, sheet
from grader.report.grade import feedback


def write(group: Group, graded: Book, out: Path) -> list[str]:
    """Write the reports, each whole or not at all; their names, as one would type them here."""
    reports = {
        "grades.csv": sheet.sheet(graded),
        "grades.json": msgspec.json.format(msgspec.json.encode(graded)).decode(),
        "junit.xml": junit.junit(graded),
    }
    taken: dict[str, int] = {}
    for row in graded.rows:
        name = re.sub(r"[^\w.@+-]", "_", row.submission or row.learner, flags=re.ASCII)[:100].lstrip(".") or "_"
        taken[name] = taken.get(name, 0) + 1
        folder = f"learners/{name}" + (f"-{taken[name]}" if taken[name] > 1 else "")
        reports[f"{folder}/feedback.txt"] = feedback(group, graded, row)
        reports[f"{folder}/results.json"] = gradescope.results(graded, row)
        reports[f"{folder}/classroom.json"] = classroom.classroom(row)
    for name, text in reports.items():
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(text, "utf-8", "backslashreplace")
        fresh.replace(file)
    return [str(out / name) for name in ("grades.csv", "grades.json", "junit.xml", "learners/")]
