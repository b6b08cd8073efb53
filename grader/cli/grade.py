"""`learn grade`: marks for many submissions that nobody trusts."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli import desk
from grader.cli.ending import Exit, Usage, warn

if TYPE_CHECKING:
    from grader.curriculum import Group
    from grader.grade.book import Book


def command(
    paths: Sequence[Path],
    *,
    group: str | None,
    out: Path,
    roster: Path | None = None,
    private: Path | None = None,
    weights: Path | None = None,
    seeds: Sequence[int] = (),
    resume: bool = False,
    regrade: bool = False,
    unsafe: bool = False,
    scheduler: str | None = None,
    as_json: bool = False,
) -> int:
    course = desk.course()
    if group is None:
        raise Usage("which group is it? Name it", "learn grade submissions/ --group group-2")
    (chosen,) = desk.any_groups(course, group)
    from grader import sandbox
    from grader.grade import batch, ingest, marks
    from grader.grade.book import book
    from grader.grade.journal import NAME, Journal
    from grader.grade.judge import end
    from grader.grade.roster import read_roster
    from grader.report.grade import Progress, screen
    from grader.report.ink import ink

    if not unsafe and (why := sandbox.refusal()):
        raise Usage(f"there is no sandbox here ({why}), and this work is nobody's to trust", "learn grade … --unsafe")
    if not (resume or regrade) and (out / NAME).exists():
        raise Usage(f"{out} has a batch in it already", "learn grade … --resume, or --regrade for a new one")
    points = marks.read_weights(weights, chosen)
    learners = read_roster(roster) if roster else []
    submissions = ingest.collect(paths, chosen)
    began = time.monotonic()
    with course.store.as_shipped(chosen) as pristine:
        plan = batch.plan(chosen, pristine, private, confined=not unsafe)
    drawn = tuple(seeds) or (random.SystemRandom().randrange(batch.MOST_SEED),)
    terms = plan.terms(drawn)
    works = len({submission.digest for submission in submissions})
    opened = Journal.go_on(out, terms) if resume else Journal.begin(out, terms)
    stopped = False
    with opened as journal:
        executor = batch.cluster(scheduler) if scheduler else batch.local()
        with Progress(sys.stderr, ink(sys.stderr), works) as progress, executor as running:
            try:
                found = batch.run(plan, submissions, journal, running, progress.done)
            except KeyboardInterrupt:
                end()
                found, stopped = dict(journal.known), True
        graded = book(submissions, found, journal.terms, points, learners)
    files = _write(chosen, graded, out)
    code = Exit.OURS if graded.spoilt else Exit.PASSED if _all_whole(graded) else Exit.FAILED
    if stopped:
        warn(f"{len(graded.rows)} of {len(submissions)} are graded, and kept: go on with  learn grade … --resume")
        code = Exit.INTERRUPTED
    if as_json:
        from grader.report import machine

        result = machine.GradeResult(group=chosen.id, submissions=len(graded.rows), files=files)
        return desk.finish_json(course, machine.Grade(exit=code, result=result))
    return desk.finish(course, screen(chosen, graded, files, time.monotonic() - began, ink(sys.stdout)), code)


def _all_whole(graded: Book) -> bool:
    return all(row.marks is not None and row.marks.points >= row.marks.most - 1e-9 for row in graded.rows)


def _write(group: Group, graded: Book, out: Path) -> list[str]:
    """Write the reports, each whole or not at all; their names, as one would type them here."""
    import msgspec

    from grader.report import classroom, gradescope, junit, sheet
    from grader.report.grade import feedback

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
