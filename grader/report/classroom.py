"""One submission in the form of GitHub Classroom's autograding reporter, which its successors read.

Base64 of this stands in `result=` of $GITHUB_OUTPUT.
"""

from __future__ import annotations

import json

from grader.grade.book import Row
from grader.grade.marks import is_private
from grader.outcome import TestOutcome, Verdict
from grader.report.ink import clean

_STATUS = {Verdict.PASSED: "pass", Verdict.OURS: "error"}


def classroom(row: Row) -> str:
    """JSON, version 1. The points of a pattern are shared by its tests; a sanity test has none."""
    share: dict[str, float] = {}
    for each in row.marks.patterns if row.marks else ():
        share[each.pattern] = each.most / each.tests if each.tests else 0.0
    worst: dict[str, TestOutcome] = {}  # over the seeds: a test counts if it passed with all of them
    for outcome in row.outcomes:
        for test in outcome.tests:
            if test.id not in worst or worst[test.id].verdict is Verdict.PASSED:
                worst[test.id] = test
    tests = []
    for test in worst.values():
        status = _STATUS.get(test.verdict, "fail")
        worth = sum(share.get(pattern, 0.0) for pattern in test.patterns)
        file, _, name = test.id.partition("::")
        tests.append(
            {
                "name": "a private test" if is_private(test.id) else clean(test.title),
                "status": status,
                "message": clean(test.failure.sees) if test.failure and not is_private(test.id) else "",
                "test_code": "" if is_private(test.id) else name,
                "filename": "" if is_private(test.id) else file,
                "line_no": 0,
                "duration": round(test.seconds * 1000),
                "score": round(worth, 6) if status == "pass" else 0.0,
            }
        )
    passed = bool(tests) and all(test["status"] == "pass" for test in tests)
    whole = "error" if row.not_judged else "pass" if passed else "fail"
    most = round(row.marks.most, 2) if row.marks else 0.0
    return json.dumps({"version": 1, "status": whole, "max_score": most, "tests": tests}, indent=1) + "\n"
