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
from grader.outcome import GroupOutcome


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
    from grader.grade.journal import NAME, CannotKeep, Journal, NoBatch, OtherBatch, OtherTerms
    from grader.grade.judge import end
    from grader.grade.roster import read_roster
    from grader.report import folder
    from grader.report.grade import Progress, screen
    from grader.report.ink import ink

    if resume and regrade:
        raise Usage("--resume goes on with a batch, and --regrade forgets it: which is it?", _again("--resume"))
    submissions = ingest.collect(paths, chosen)
    learners = read_roster(roster) if roster else []
    _check(out, paths, begun=(out / NAME).exists() and not (resume or regrade))
    if not unsafe and (why := sandbox.refusal()):
        raise Usage(f"there is no sandbox here ({why}), and this work is nobody's to trust", _again("--unsafe"))
    began = time.monotonic()
    with course.store.as_shipped(chosen) as pristine:
        plan = batch.plan(chosen, pristine, private, confined=not unsafe)
    points = marks.read_weights(weights, chosen, batch.patterns(plan))
    terms = plan.terms(tuple(seeds) or (random.SystemRandom().randrange(batch.MOST_SEED),))
    works = {submission.digest for submission in submissions}
    names = [submission.name for submission in submissions]
    try:
        opened = Journal.go_on(out, terms, names) if resume else Journal.begin(out, terms, names)
    except NoBatch as error:
        raise Usage(error.what, _again()) from None
    except OtherTerms as error:
        raise Usage(error.what, _again("--regrade")) from None
    except OtherBatch as error:
        raise Usage(error.what, _elsewhere(out)) from None
    cut: KeyboardInterrupt | Trouble | None = None
    found: dict[str, tuple[GroupOutcome, ...] | batch.NotJudged]
    with opened as journal:
        executor = batch.cluster(scheduler) if scheduler else batch.local()
        known = len(works & journal.known.keys())
        with Progress(sys.stderr, ink(sys.stderr), len(works), known) as progress, executor as running:
            try:
                found = batch.run(plan, submissions, journal, running, progress.done)
            except (KeyboardInterrupt, CannotKeep, batch.SchedulerGone) as error:
                end()
                found, cut = {**journal.known}, error
            except sandbox.Unconfined as error:
                end()
                raise Usage(f"there is no sandbox on a worker ({error})", _again("--unsafe")) from None
        graded = book(submissions, found, plan, journal.terms, points, learners)
    try:
        files = folder.write(chosen, graded, out)
    except OSError as error:
        cut, files = cut or CannotKeep(f"cannot write the reports to {out}: {error.strerror or error}"), []
    code = Exit.OURS if graded.not_judged else Exit.PASSED if graded.whole else Exit.FAILED
    if cut is not None:
        code = Exit.OURS if isinstance(cut, Trouble) else Exit.INTERRUPTED
    if as_json:
        from grader.report import machine

        desk.finish_json(course, machine.Grade(exit=code, result=machine.grade(graded, files)))
    else:
        desk.finish(course, screen(chosen, graded, files, time.monotonic() - began, ink(sys.stdout)))
    if cut is not None:  # last, where it is seen
        what = f"{cut.what}: " if isinstance(cut, Trouble) else ""
        count = sum(submission.digest in found for submission in submissions)
        warn(f"{what}{count} of {len(submissions)} are graded, and kept. Run: {_again('--resume')}")
    return code


def _check(out: Path, paths: Sequence[Path], *, begun: bool) -> None:
    """Is the folder one for a report? Raises Usage."""
    if out.exists() and not out.is_dir():
        raise Usage(f"{out} is no folder: the reports need one", _elsewhere(Path("report")))
    if any(out.resolve().parent == path.resolve() for path in paths if path.is_dir()):
        raise Usage(f"{out} would lie among the submissions", _elsewhere(Path("report")))
    if begun:
        raise Usage(
            f"{out} has a batch in it already: --resume goes on with that, --regrade forgets it", _elsewhere(out)
        )


def _again(*flags: str) -> str:
    """The command that was typed, with other flags."""
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--regrade")]
    return shlex.join(["learn", *words, *flags])


def _elsewhere(out: Path) -> str:
    """The command that was typed, with another folder for its reports."""
    words = [word for word in sys.argv[1:] if not word.startswith("--out=")]
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    fresh = next(other for number in range(2, 1000) if not (other := out.with_name(f"{out.name}-{number}")).exists())
    kept = [word for word in words if word not in ("--resume", "--regrade")]
    return shlex.join(["learn", *kept, "--out", str(fresh)])
