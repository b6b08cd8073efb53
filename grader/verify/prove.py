"""Run what the proof of a group needs, and have it judged. The quick proof is one seed and no timing.

All of it reads the bytes that ship, so it holds while a learner is half way through.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from grader import suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome
from grader.progress import SEEDS as ALL_SEEDS
from grader.progress import Course
from grader.verify import bench, handed_in, patch, proof, shipped, signature
from grader.verify.bench import Run
from grader.verify.bounds import Calibration, measure
from grader.verify.handed_in import HandedIn
from grader.verify.proof import SHIPPED, Evidence, GroupProof

SEEDS = 25  # of every right design
FEW = 5  # of the shipped service and of every wrong fix
COLD = 3  # times that a suite may be started before it counts as slow: the machine may be busy

OnStep = Callable[[int, int], None]
"""Hears how many steps are done, of how many."""


def prove(
    course: Course, group: Group, *, quick: bool = False, seed: int | None = None, on_step: OnStep = lambda *_: None
) -> GroupProof:
    """All eight proofs of a group. `seed` is the first of the seeds: by default 1, and a random one for a quick proof.

    The full proof brings wrong/signatures.json up to date when every wrong fix is caught. Raises Trouble when there is
    nothing to prove it with, or when no pristine copy is left of a file.
    """
    began = time.monotonic()
    first = seed if seed is not None else random.SystemRandom().randrange(ALL_SEEDS) if quick else 1
    seeds = (first,) if quick else tuple(range(first, first + SEEDS))
    few = seeds[:FEW]
    notes: list[str] = []
    with _Variants(course, group) as variants:
        wanted = variants.handed_in
        runs = [Run(design, seed) for seed in seeds for design in wanted.designs]
        runs += [Run(SHIPPED, seed) for seed in few]
        for fix in wanted.wrong:
            if fix.name in variants.folders:
                whole = () if quick else signature.SEEDS
                named = tuple(dict.fromkeys((*fix.caught_by, *fix.cures)))
                runs += [Run(fix.name, seed) for seed in whole]
                runs += [Run(fix.name, seed, named) for seed in few if seed not in whole]
        if not quick:
            runs += [Run(variant, first, again=1) for variant in (SHIPPED, *wanted.designs)]
        outcomes = variants.run(runs, on_step)
        evidence = Evidence(
            group=group,
            handed_in=wanted,
            shipped=variants.shipped,
            seeds=seeds,
            few=few,
            outcomes=outcomes,
            misfits=variants.misfits,
            unpinned=tuple(shipped.unpinned(group)),
            stale=quick and not signature.is_current(group, course.source),
            seconds=None if quick else {name: variants.cold(name, first) for name in (SHIPPED, *wanted.designs)},
        )
        proofs = proof.judge(evidence)
        if not quick and group.in_clone and proofs[2].passed and _write_signatures(course, group, evidence):
            notes.append(f"solutions/{group.folder}/wrong/signatures.json is brought up to date")
    return GroupProof(group.id, quick, seeds, proofs, time.monotonic() - began, tuple(notes))


def calibrate(course: Course, group: Group, *, seeds: Sequence[int], on_step: OnStep = lambda *_: None) -> Calibration:
    """Every variant's distance from every bound. Raises Trouble as `prove` does."""
    began = time.monotonic()
    with _Variants(course, group) as variants:
        runs = [Run(variant, seed) for seed in seeds for variant in variants.folders]
        outcomes = variants.run(runs, on_step)
        pairs = ((run.variant, outcome) for run, outcome in outcomes.items())
        distances = measure(pairs, variants.handed_in.designs, SHIPPED)
    return Calibration(group.id, tuple(seeds), distances, time.monotonic() - began)


class _Variants:
    """All services that a group is proved on, each in a folder: as it ships, the designs, the wrong fixes that fit."""

    handed_in: HandedIn
    shipped: Path

    def __init__(self, course: Course, group: Group) -> None:
        self.folders: dict[str, Path] = {}
        self.misfits: dict[str, str] = {}
        self._course = course
        self._group = group
        self._scratch = tempfile.TemporaryDirectory(prefix="brownout-")

    def __enter__(self) -> _Variants:
        try:
            self._lay_out(Path(self._scratch.name))
        except BaseException:
            self._scratch.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def _lay_out(self, scratch: Path) -> None:
        self.handed_in = handed_in.read_all(self._group, self._course.source)
        self.shipped = scratch / "shipped" / self._group.folder
        shipped.lay_out(self._course.store, self._group, self.shipped)
        self.folders = {SHIPPED: self.shipped, **self.handed_in.designs}
        for fix in self.handed_in.wrong:
            try:
                patch.apply(fix.patch, self.handed_in.reference, scratch / "wrong" / fix.name)
            except patch.BadPatch as error:
                self.misfits[fix.name] = str(error)
            else:
                self.folders[fix.name] = scratch / "wrong" / fix.name

    def run(self, runs: Sequence[Run], on_step: OnStep) -> dict[Run, GroupOutcome]:
        done = 0

        def step(_: Run) -> None:
            nonlocal done
            done += 1
            on_step(done, len(runs))

        on_step(0, len(runs))
        return bench.run_all(self._group, self.folders, self.shipped, runs, step)

    def cold(self, variant: str, seed: int) -> float:
        """Seconds that the suite takes as a learner starts it: the best of a few, unless the first is fast."""
        best = float("inf")
        for _ in range(COLD):
            outcome = suite.run(self._group, root=self.folders[variant], pristine=self.shipped, seed=seed)
            best = min(best, outcome.seconds)
            if best < proof.FAST:
                break
        return best


def _write_signatures(course: Course, group: Group, evidence: Evidence) -> bool:
    measured = {}
    for fix in evidence.handed_in.wrong:
        runs = [outcome for run, outcome in evidence.of(fix.name, *signature.SEEDS) if run.only is None]
        measured[fix.name] = (fix.belief, [signature.of(outcome) for outcome in runs])
    return signature.write(group, course.source, measured)
