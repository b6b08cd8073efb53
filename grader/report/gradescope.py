"""One submission as Gradescope's results.json: https://gradescope-autograders.readthedocs.io, “Output Format”."""

from __future__ import annotations

import json
from typing import Any

from grader.grade.book import Book, Row
from grader.grade.marks import is_private
from grader.outcome import TestOutcome, Verdict
from grader.report.ink import clean


def results(book: Book, row: Row) -> str:
    """JSON. Without marks it has no score: Gradescope then shows that the autograder failed."""
    tests = [_test(test, outcome.seed) for outcome in row.outcomes for test in outcome.tests]
    found: dict[str, Any] = {
        "execution_time": sum(outcome.seconds for outcome in row.outcomes),
        "output": clean(row.not_judged or "\n".join(row.odd)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"sha256": row.digest, "tests": book.terms.tests, "versions": dict(book.terms.versions)},
    }
    if row.marks is not None:
        found["score"] = round(row.marks.points, 2)
    return json.dumps(found, indent=1) + "\n"


def _test(test: TestOutcome, seed: int) -> dict[str, Any]:
    failure = test.failure
    told = [failure.sees, *failure.story, f"replay with --seed {seed}"] if failure else []
    return {
        "name": clean(test.title),
        "number": clean(test.id),
        "status": "passed" if test.verdict is Verdict.PASSED else "failed",
        "output": clean("\n".join(told)),
        "tags": list(test.patterns),
        "visibility": "hidden" if is_private(test.id) else "visible",
    }
