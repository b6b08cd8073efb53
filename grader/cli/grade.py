"""`learn grade`: marks for many submissions that nobody trusts."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from grader.cli import desk
from grader.cli.ending import Exit, Usage, warn


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
    from grader.report import folder
    from grader.report.grade import Progress, screen
    from grader.report.ink import ink

    if resume and regrade:
        raise Usage("--resume goes on with a batch, and --regrade forgets it: which is it?", "learn grade … --resume")
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
    works = {submission.digest for submission in submissions}
    opened = Journal.go_on(out, terms) if resume else Journal.begin(out, terms)
    stopped = False
    with opened as journal:
        executor = batch.cluster(scheduler) if scheduler else batch.local()
        known = len(works & journal.known.keys())
        with Progress(sys.stderr, ink(sys.stderr), len(works), known) as progress, executor as running:
            try:
                found = batch.run(plan, submissions, journal, running, progress.done)
            except KeyboardInterrupt:
                end()
                found, stopped = dict(journal.known), True
        graded = book(submissions, found, journal.terms, points, learners)
    files = folder.write(chosen, graded, out)
    code = Exit.OURS if graded.spoilt else Exit.PASSED if graded.whole else Exit.FAILED
    if stopped:
        warn(f"{len(graded.rows)} of {len(submissions)} are graded, and kept: go on with  learn grade … --resume")
        code = Exit.INTERRUPTED
    if as_json:
        from grader.report import machine

        result = machine.GradeResult(group=chosen.id, submissions=len(graded.rows), files=files)
        return desk.finish_json(course, machine.Grade(exit=code, result=result))
    return desk.finish(course, screen(chosen, graded, files, time.monotonic() - began, ink(sys.stdout)), code)
