"""A grade book as CSV: a row for each submission, points for each pattern. Safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from grader.grade.book import Book
from grader.report.ink import clean

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet(book: Book, folders: Sequence[str]) -> str:
    """RFC 4180, UTF-8. No cell begins like a formula. `folders`: where each row's feedback is."""
    patterns = list(book.weights)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(
        ["id", "name", "submission", "points", "of", *patterns, "same work as", "odd", "not judged", "sha256", "folder"]
    )
    for row, folder in zip(book.rows, folders, strict=True):
        points = {each.pattern: f"{each.points:.2f}" for each in row.marks.patterns} if row.marks else {}
        whole = [f"{row.marks.points:.2f}", f"{row.marks.most:.2f}"] if row.marks else ["", ""]
        cells = [row.learner, row.name, row.submission, *whole, *(points.get(name, "") for name in patterns)]
        cells += ["; ".join(row.same_as), "; ".join(row.odd), row.not_judged, row.digest, folder]
        writer.writerow([_plain(cell) for cell in cells])
    return stream.getvalue()


def _plain(cell: str) -> str:
    cell = clean(cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
