"""`learn grade`: marks for many submissions that nobody trusts."""

from __future__ import annotations

import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from grader.cli import desk
from grader.cli.ending import Exit, Usage, warn
from grader.curriculum import Trouble


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
    from grader.grade.journal import NAME, CannotKeep, Journal, OtherTerms
    from grader.grade.judge import end
    from grader.grade.roster import read_roster
    from grader.report import folder
    from grader.report.grade import Progress, screen
    from grader.report.ink import ink

    if resume and regrade:
        raise Usage("--resume goes on with a batch, and --regrade forgets it: which is it?", _again("--resume"))
    if not unsafe and (why := sandbox.refusal()):
        raise Usage(f"there is no sandbox here ({why}), and this work is nobody's to trust", _again("--unsafe"))
    if not (resume or regrade) and (out / NAME).exists():
        raise Usage(f"{out} has a batch in it already: go on with it, or --regrade", _again("--resume"))
    points = marks.read_weights(weights, chosen)
    learners = read_roster(roster) if roster else []
    submissions = ingest.collect(paths, chosen)
    began = time.monotonic()
    with course.store.as_shipped(chosen) as pristine:
        plan = batch.plan(chosen, pristine, private, confined=not unsafe)
    drawn = tuple(seeds) or (random.SystemRandom().randrange(batch.MOST_SEED),)
    terms = plan.terms(drawn)
    works = {submission.digest for submission in submissions}
    try:
        opened = Journal.go_on(out, terms) if resume else Journal.begin(out, terms)
    except OtherTerms as error:
        raise Usage(error.what, _again("--regrade")) from None
    cut: KeyboardInterrupt | Trouble | None = None
    with opened as journal:
        executor = batch.cluster(scheduler) if scheduler else batch.local()
        known = len(works & journal.known.keys())
        with Progress(sys.stderr, ink(sys.stderr), len(works), known) as progress, executor as running:
            try:
                found = batch.run(plan, submissions, journal, running, progress.done)
            except (KeyboardInterrupt, CannotKeep, batch.SchedulerGone) as error:
                end()
                found, cut = dict(journal.known), error
            except sandbox.Unconfined as error:
                end()
                raise Usage(f"there is no sandbox on a worker ({error})", _again("--unsafe")) from None
        graded = book(submissions, found, journal.terms, points, learners)
    try:
        files = folder.write(chosen, graded, out)
    except OSError as error:
        cut, files = cut or CannotKeep(f"cannot write the reports to {out}: {error.strerror or error}"), []
    code = Exit.OURS if graded.not_judged else Exit.PASSED if graded.whole else Exit.FAILED
    if cut is not None:
        what = f"{cut.what}: " if isinstance(cut, Trouble) else ""
        warn(f"{what}{len(graded.rows)} of {len(submissions)} are graded, and kept. Run: {_again('--resume')}")
        code = Exit.OURS if isinstance(cut, Trouble) else Exit.INTERRUPTED
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.Grade(exit=code, result=machine.grade(graded, files)))
    return desk.finish(course, screen(chosen, graded, files, time.monotonic() - began, ink(sys.stdout)), code)


def _again(flag: str) -> str:
    """The command that was typed, with another word."""
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--regrade")]
    return shlex.join(["learn", *words, flag])
