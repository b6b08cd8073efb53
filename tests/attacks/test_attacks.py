"""Each attack is handed in, between neighbours, and judged: it gains nothing, and nobody else loses anything."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.curriculum import Group
from grader.grade import batch, ingest, judge, load
from grader.grade.book import Book, Row, book
from grader.grade.journal import Journal
from grader.grade.marks import read_weights
from grader.outcome import Verdict
from grader.report import classroom, gradescope, junit, sheet
from grader.report.grade import feedback, screen
from grader.report.ink import Ink
from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.target import HONEST, TESTS, app, make
from tests.sandboxed import needs_sandbox

pytestmark = needs_sandbox

NEIGHBOURS = 6


@dataclass
class Judged:
    group: Group
    book: Book
    processes: set[int]  # that came, and stayed
    outside: tuple[str, str]  # what lies around, before and after
    seconds: float

    def row(self, name: str) -> Row:
        return next(row for row in self.book.rows if row.submission == name)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """All attacks in one batch, and honest neighbours between them."""
    workspace = tmp_path_factory.mktemp("workspace")
    group = make(workspace)
    handed = workspace / "handed in"
    handed.mkdir()
    (workspace / "grades.csv").write_text("nobody may read this")
    for attack in ATTACKS:
        _hand_in(attack, handed / attack.name)
    for number in range(NEIGHBOURS):  # in between, by their names
        folder = handed / f"{number * 15:02}-neighbour" / "service"
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(app(at_import=f"# neighbour {number}"))
    before, others = _outside(workspace), _processes()
    began = time.monotonic()
    submissions = ingest.collect([handed], group)
    plan = batch.plan(group, group.path, None, confined=True)
    with Journal.begin(workspace / "report", plan.terms([1])) as journal, batch.local() as executor:
        try:
            found = batch.run(plan, submissions, journal, executor)
        finally:
            judge.end()
    seconds = time.monotonic() - began
    time.sleep(0.5)
    left = _processes() - others
    graded = book(submissions, found, plan, journal.terms, read_weights(None, group, {"lid"}))
    return Judged(group, graded, left, (before, _outside(workspace)), seconds)


def _hand_in(attack: Attack, path: Path) -> None:
    if attack.build is not None:
        made = attack.build(path)
        assert made.exists()
        return
    for name, data in attack.files.items():
        file = path / "service" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))


def _outside(workspace: Path) -> str:
    """A fingerprint of what lies around: whatever is changed, added or taken away shows."""
    whole = hashlib.sha256()
    for file in sorted(workspace.rglob("*")):
        if file.is_file() and not file.is_symlink() and "report" not in file.parts and "handed in" not in file.parts:
            whole.update(str(file).encode() + file.read_bytes())
    for name in ("/tmp/slipped.py", "/tmp/report", "/tmp/results.json", "/tmp/disk", "/tmp/out", "/tmp/kept"):
        whole.update(f"{name} {os.path.lexists(name)}".encode())
    return whole.hexdigest()


def _processes() -> set[int]:
    """All below this one; orphans come to it, too."""
    assert ctypes.CDLL(None).prctl(36, 1) == 0  # PR_SET_CHILD_SUBREAPER
    with contextlib.suppress(ChildProcessError):  # those that have ended, and that nobody else waits for
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass
    return set(load.tree(os.getpid())) - {os.getpid()}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_gains_nothing(judged: Judged, attack: Attack) -> None:
    row = judged.row(attack.name)
    assert row.marks is not None, row.not_judged
    (outcome,) = row.outcomes
    passed = [test.id for test in outcome.tests if test.verdict is Verdict.PASSED]
    assert len(outcome.tests) == TESTS
    assert attack.least <= len(passed) <= attack.earns, (attack.tries, passed)
    assert row.marks.points == pytest.approx(100 * len(passed) / TESTS)
    for test in outcome.tests:
        assert test.verdict is not Verdict.OURS, test


def test_the_neighbours_have_what_they_earn(judged: Judged) -> None:
    rows = [row for row in judged.book.rows if "neighbour" in row.submission]
    assert len(rows) == NEIGHBOURS
    for row in rows:
        (outcome,) = row.outcomes
        assert sum(test.verdict is Verdict.PASSED for test in outcome.tests) == HONEST, row
        codes = [test.failure.code for test in outcome.tests if test.failure]
        assert codes == ["forgotten", "no-price", "no-secret"]


def test_nothing_outlives_the_batch(judged: Judged) -> None:
    assert judged.processes == set()


def test_nothing_outside_has_changed(judged: Judged) -> None:
    before, after = judged.outside
    assert before == after


def test_what_is_odd_is_said(judged: Judged) -> None:
    def odd(name: str) -> str:
        return " ".join(judged.row(name).odd)

    assert "service/passwd.py is a link" in odd("19-links")
    assert "service/more is a link" in odd("19-links")
    assert "service/pipe.py is no file" in odd("19-links")
    assert "service/hard.py is a hard link" in odd("19-links")
    assert odd("20-slip").count("leads out of it") == 3
    assert "has more than 512 KiB" in odd("20-bomb")
    assert "unpacks to more than 64 MiB" in odd("20-tar-bomb")
    assert odd("20-tar").count("is no file") == 3
    assert "more than 300 files" in odd("20-many")
    assert "is too long" in odd("20-long")
    assert odd("21-names").count("cannot be seen") == 2
    assert "another group" in odd("23-another-group")
    assert "no files of group-01-kettle" in odd("23-empty")


def test_no_report_passes_on_what_was_injected(judged: Judged) -> None:
    import xml.etree.ElementTree as ElementTree

    row = judged.row("33-injection")
    texts = [
        sheet.sheet(judged.book, [row.submission for row in judged.book.rows]),
        gradescope.results(judged.book, row),
        classroom.classroom(row),
        feedback(judged.group, judged.book, row),
        screen(judged.group, judged.book, [], 1.0, Ink(coloured=False, unicode=True, width=80)),
        junit.junit(judged.book),
    ]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
    ElementTree.fromstring(texts[-1])
    for line in texts[0].splitlines():
        assert not any(cell.strip('"').startswith(("=", "+", "@")) for cell in line.split(","))
