"""A grade book as CSV: a row for each submission, points for each pattern. Safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

from grader.grade.book import Book
from grader.report.ink import clean

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet(book: Book) -> str:
    """RFC 4180, UTF-8. No cell begins like a formula."""
    patterns = list(book.weights)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(
        ["id", "name", "submission", "points", "of", *patterns, "same work as", "odd", "not judged", "sha256"]
    )
    for row in book.rows:
        points = {each.pattern: f"{each.points:.2f}" for each in row.marks.patterns} if row.marks else {}
        whole = [f"{row.marks.points:.2f}", f"{row.marks.most:.2f}"] if row.marks else ["", ""]
        cells = [row.learner, row.name, row.submission, *whole, *(points.get(name, "") for name in patterns)]
        cells += ["; ".join(row.same_as), "; ".join(row.odd), row.not_judged, row.digest]
        writer.writerow([_plain(cell) for cell in cells])
    return stream.getvalue()


def _plain(cell: str) -> str:
    cell = clean(cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
