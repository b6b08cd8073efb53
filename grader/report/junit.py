"""A grade book as JUnit XML: a suite for each submission and seed, a case for each test."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from grader.grade.book import Book
from grader.outcome import Verdict
from grader.report.ink import clean

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(book: Book) -> str:
    """What a CI server reads. A fault of the grader is an error, all else that is not passed a failure."""
    suites = ElementTree.Element("testsuites", name=_text(book.terms.group))
    for row in book.rows:
        if not row.outcomes:
            kind, why = ("error", row.not_judged) if row.not_judged else ("failure", "; ".join(row.odd))
            counts = {"tests": "1", "errors": str(int(kind == "error")), "failures": str(int(kind == "failure"))}
            suite = ElementTree.SubElement(
                suites, "testsuite", name=_text(row.submission or row.learner), attrib=counts
            )
            case = ElementTree.SubElement(suite, "testcase", name="the suite")
            ElementTree.SubElement(case, kind, message=_text(why))
        for outcome in row.outcomes:
            red = sum(test.verdict not in (Verdict.PASSED, Verdict.OURS) for test in outcome.tests)
            ours = sum(test.verdict is Verdict.OURS for test in outcome.tests) + bool(outcome.ours)
            suite = ElementTree.SubElement(
                suites,
                "testsuite",
                name=_text(f"{row.submission} (seed {outcome.seed})"),
                tests=str(len(outcome.tests)),
                failures=str(red),
                errors=str(ours),
                time=f"{outcome.seconds:.3f}",
            )
            if outcome.ours:
                case = ElementTree.SubElement(suite, "testcase", name="the suite")
                ElementTree.SubElement(case, "error", message=_text(outcome.ours))
            for test in outcome.tests:
                file, _, name = test.id.partition("::")
                case = ElementTree.SubElement(
                    suite, "testcase", classname=_text(file), name=_text(name), time=f"{test.seconds:.3f}"
                )
                if test.verdict is not Verdict.PASSED and test.failure is not None:
                    kind = "error" if test.verdict is Verdict.OURS else "failure"
                    told = ElementTree.SubElement(case, kind, type=test.failure.code, message=_text(test.failure.sees))
                    told.text = _text("\n".join(test.failure.story))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _text(value: str) -> str:
    return _NOT_XML.sub("�", clean(value))
