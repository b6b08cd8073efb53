"""What every group in groups/ must prove, on the bytes that ship: the quick proof of `learn verify`, row by row.

Reads shipped files only, so it is green while a learner is half way through.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from grader import suite
from grader.curriculum import Group
from grader.outcome import Verdict
from grader.progress import Course
from grader.story import trigger
from grader.verify import handed_in, prove, shipped
from grader.verify.proof import GroupProof

ROOT = Path(__file__).parents[1]
COURSE = Course(ROOT)
SEED = 20_261
ROWS = {
    1: "broken for the right reason",
    2: "several right designs pass",
    3: "every wrong fix is caught",
    4: "every pattern is needed",
    5: "no short cut",
    8: "complete",
}
"""What the quick proof proves; `make verify` proves the rest."""

pytestmark = [pytest.mark.group, pytest.mark.timeout(900)]  # the first test makes the whole proof
every_group = pytest.mark.parametrize("group", COURSE.groups.values(), ids=list(COURSE.groups))


@cache
def proved(name: str) -> GroupProof:
    """The quick proof of a group on a seed of the whole proof, so that a commit has one result."""
    return prove.prove(COURSE, COURSE.groups[name], quick=True, seed=1)


@every_group
@pytest.mark.parametrize("number", list(ROWS), ids=[name.replace(" ", "-") for name in ROWS.values()])
def test_a_group_is(group: Group, number: int) -> None:
    proof = proved(group.id)
    row = proof.proofs[number - 1]
    assert (row.number, row.name) == (number, ROWS[number])
    assert row.passed, "\n".join((f"learn verify {group.id} --quick --seed {proof.seeds[0]}", *row.findings))


@every_group
def test_the_quick_proof_leaves_nothing_else_out_than_it_says(group: Group) -> None:
    assert {row.number for row in proved(group.id).proofs if row.passed is not None} == set(ROWS)


NONSENSE = """\
from fastapi import FastAPI
from fastapi.responses import Response


def create_app():
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def anything(path: str):
        return Response("%s", status_code=%d, media_type="application/json")

    return app
"""


@every_group
@pytest.mark.parametrize(("body", "status"), [("no", 500), ("null", 200)])
def test_what_is_answered_without_sense_is_no_fault_of_the_suite(
    group: Group, body: str, status: int, tmp_path: Path
) -> None:
    shipped.lay_out(COURSE.store, group, tmp_path / group.folder)
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "app.py").write_text(NONSENSE % (body, status))
    outcome = suite.run(group, root=tmp_path, pristine=tmp_path / group.folder, seed=SEED)
    assert not outcome.ours
    assert [test for test in outcome.tests if test.verdict is Verdict.OURS] == []
    assert any(test.verdict is Verdict.FAILED for test in outcome.tests)


@every_group
def test_each_incident_hurts_the_shipped_service_and_not_the_reference(group: Group, tmp_path: Path) -> None:
    shipped.lay_out(COURSE.store, group, tmp_path / group.folder)
    reference = handed_in.read_all(group, ROOT).reference
    for seed in (SEED, SEED + 1):
        for outcome in trigger.play_all(group, root=reference, pristine=tmp_path / group.folder, seed=seed):
            assert [figure.name for figure in outcome.yours.figures if not figure.reached] == []
            missed = [figure.name for figure in outcome.broken.figures if not figure.reached]
            assert len(missed) > len(outcome.broken.figures) / 2
