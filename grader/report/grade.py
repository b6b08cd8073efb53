"""A graded batch as a screen for the instructor, and as a text for each learner."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from statistics import mean
from typing import TextIO

from grader.curriculum import Group
from grader.grade.book import Book, Row
from grader.grade.marks import is_private
from grader.outcome import GroupOutcome, TestOutcome, Verdict
from grader.report.causes import by_cause
from grader.report.ink import Ink, StatusLine, clean

_BANDS = ((100.0, "100 %"), (75.0, "75–99 %"), (50.0, "50–74 %"), (25.0, "25–49 %"), (0.0, "0–24 %"))
_MOST_NAMED = 8
_MOST_LISTED = 12  # submissions; more are drawn as bars
_WIDE = 100  # columns of a text for a learner
_BAR = 40  # columns


def screen(group: Group, book: Book, files: Sequence[str], seconds: float, ink: Ink) -> str:
    """How the batch has done, what an instructor has to look at, and where the rest is."""
    handed = [row for row in book.rows if row.submission]
    graded = [row for row in handed if row.marks is not None]
    left = f"Group {group.number} · {group.title}"
    count = f"{len(handed)} {'submission' if len(handed) == 1 else 'submissions'}"
    if len(graded) < len(handed):
        count = f"{len(graded)} of {count}"
    right = f"{count} · {_span(seconds)}"
    lines = [ink.bold(left) + " " * max(2, ink.width - len(left) - len(right)) + ink.dim(right), ""]
    if len(book.rows) <= _MOST_LISTED:
        lines += [_listed(row, ink) for row in book.rows]
    else:
        lines += _histogram(graded, ink)
    lines += ["", *_patterns(group, graded, ink)]
    lines += _remarks(book, ink)
    lines += ["", f"  seeds    {' '.join(map(str, book.terms.seeds))}"]
    lines += [f"  files    {files[0]}", *(f"           {file}" for file in files[1:])] if files else []
    if not book.terms.sandbox:
        lines += ["", ink.warn("! Graded without a sandbox (--unsafe): this work could read and change anything here.")]
    return "\n".join(lines) + "\n"


def _listed(row: Row, ink: Ink) -> str:
    name = clean(row.name or row.learner or row.submission)
    if row.marks is None:
        return f"  {name:<30.30} {ink.warn('not judged')}"
    tests = [test for outcome in row.outcomes for test in outcome.tests]
    red = sum(test.verdict is not Verdict.PASSED for test in tests)
    rest = "nothing was handed in" if not row.submission else f"{red} of {len(tests)} tests are red" if red else ""
    return f"  {name:<30.30} {row.marks.points:>7.2f} of {row.marks.most:.2f}  {ink.dim(rest)}".rstrip()


def _histogram(rows: Sequence[Row], ink: Ink) -> list[str]:
    counts = [0] * len(_BANDS)
    for row in rows:
        assert row.marks is not None
        share = 100 * row.marks.points / row.marks.most if row.marks.most else 0.0
        counts[next(at for at, (least, _) in enumerate(_BANDS) if share >= least - 1e-9)] += 1
    top = max(counts, default=0) or 1
    block = "█" if ink.unicode else "#"
    return [
        f"  {label:>8}  {ink.good(block * round(_BAR * count / top))}{' ' if count else ''}{count}"
        for (_, label), count in zip(_BANDS, counts, strict=True)
    ]


def _patterns(group: Group, rows: Sequence[Row], ink: Ink) -> list[str]:
    lines = []
    for name in dict.fromkeys(each.pattern for row in rows if row.marks for each in row.marks.patterns):
        shares = [
            each.passed / each.tests
            for row in rows
            if row.marks
            for each in row.marks.patterns
            if each.pattern == name and each.tests
        ]
        title = group.patterns[name].title if name in group.patterns else name
        lines.append(f"  {title:<34.34} {ink.dim('tests passed, on average')} {mean(shares or [0.0]):>4.0%}")
    return lines


def _remarks(book: Book, ink: Ink) -> list[str]:
    lines: list[str] = []

    def remark(what: str, named: Sequence[str]) -> None:
        if named:
            more = f", and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            lines.extend(["", f"{ink.warn('!')} {what}:"])
            lines.extend(f"    {clean(name)}" for name in named[:_MOST_NAMED])
            lines.extend([f"    {more[2:]}"] if more else [])

    for what, kind in (
        ("Not judged, by no fault of the learner's; --resume tries again", ("killed: ", "starved: ")),
        ("Not judged, by a fault of ours, or of the tests", ("ours: ",)),
    ):
        rows = [row for row in book.not_judged if row.not_judged.startswith(kind)]
        remark(what, [f"{row.submission}: {row.not_judged}" for row in rows])
    alike = {tuple(sorted([row.submission, *row.same_as])) for row in book.rows if row.same_as}
    remark("The very same work", [", ".join(names) for names in sorted(alike)])
    remark("Odd", [f"{row.submission or row.learner}: {each}" for row in book.rows for each in row.odd])
    tampered = [row.submission for row in book.rows if any(_tampered(outcome) for outcome in row.outcomes)]
    remark("Spoke to the simulation as no service does", tampered)
    remark("In no roster", book.strangers)
    handed: dict[str, list[str]] = {}
    for row in book.rows:
        handed.setdefault(row.learner, []).append(row.submission)
    several = {learner: names for learner, names in handed.items() if learner and len(names) > 1}
    remark("Handed in more than once, and graded each time", [", ".join(names) for names in several.values()])
    return lines


def _tampered(outcome: GroupOutcome) -> bool:
    return any(test.verdict is Verdict.TAMPERED for test in outcome.tests)


def feedback(group: Group, book: Book, row: Row) -> str:
    """What a learner is told: points, and for each red test what production sees, where, and the story."""
    who = clean(row.name or row.learner)
    handed = clean(row.submission)
    lines = [f"Group {group.number} · {group.title}"]
    lines += [f"For {who} ({handed})" if who and handed else f"For {who or handed}", ""]
    if row.marks is None:
        lines += [f"Not judged, by no fault of yours: {clean(row.not_judged)}", ""]
    else:
        lines += [f"{row.marks.points:.2f} of {row.marks.most:.2f} points", ""]
        for each in row.marks.patterns:
            title = group.patterns[each.pattern].title if each.pattern in group.patterns else each.pattern
            tests = f"{each.passed:>3} of {each.tests:<3} tests"
            lines.append(f"  {title:<34} {tests}   {each.points:6.2f} of {each.most:.2f}")
    lines += [f"  ! {clean(each)}" for each in row.odd]
    for outcome in row.outcomes:
        red = [test for test in outcome.tests if test.verdict is not Verdict.PASSED]
        private = [test for test in red if is_private(test.id)]
        for same in by_cause(test for test in red if not is_private(test.id)):
            lines += ["", *_told(same, outcome.seed)]
        if private:
            count = "a private test" if len(private) == 1 else f"{len(private)} private tests"
            verdicts = ", ".join(sorted({test.verdict.value for test in private}))
            lines += ["", f"✗ {count}, seed {outcome.seed}: {verdicts}"]
    lines += ["", f"The work: {row.digest}" if row.digest else "There is no work.", f"The tests: {book.terms.tests}"]
    lines += [f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(book.terms.versions.items()))}"]
    lines += [f"Again: learn check {group.id} --all --seed {seed}" for seed in book.terms.seeds]
    return "\n".join(lines) + "\n"


def _told(same: Sequence[TestOutcome], seed: int) -> list[str]:
    """Tests that are red for one and the same reason."""
    test = same[0]
    lines = [f"✗ {clean(test.title)}", f"  {clean(test.id)}, seed {seed}: {test.verdict.value}"]
    if len(same) > 1:
        lines.append(f"  and {len(same) - 1} more for the same reason")
    if test.failure is not None:
        parts = [("production sees", test.failure.sees)]
        parts += [("where", f"{place.file}:{place.line}") for place in test.failure.where]
        parts += [("" if at else "story", line) for at, line in enumerate(test.failure.story)]
        parts += [("printed", line) for line in test.failure.printed]
        for label, text in parts:
            lines += textwrap.wrap(
                clean(text), _WIDE, initial_indent=f"  {label:<15}  ", subsequent_indent=" " * 19, tabsize=4
            ) or [f"  {label}"]
    return lines


class Progress:
    """One line that says how far the batch is, with the time that is left. Silent where nobody watches."""

    def __init__(self, stream: TextIO, ink: Ink, works: int, known: int) -> None:
        self._line = StatusLine(stream, ink)
        self._ink = ink
        self._works = works
        self._done = known
        self._known = known  # judged before
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        self._line.draw("warming up …")
        return self

    def __exit__(self, *_: object) -> None:
        self._line.draw("")

    def done(self) -> None:
        """One more is judged."""
        self._done += 1
        spent = time.monotonic() - self._began
        judged = self._done - self._known
        left = spent / judged * (self._works - self._done)
        width = 24
        full = round(width * self._done / self._works)
        bar = ("█" if self._ink.unicode else "#") * full + ("░" if self._ink.unicode else ".") * (width - full)
        self._line.draw(f"{bar} {self._done} of {self._works}   {_span(left)} left")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
