"""What every group in groups/ must prove, on the bytes that ship: broken for the right reason, solvable, complete.

Reads shipped files only, so it is green while a learner is half way through.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from grader import curriculum, suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome, Verdict
from grader.progress import Course
from grader.story import trigger
from grader.verify import pins

ROOT = Path(__file__).parents[1]
GROUPS = curriculum.read_groups(ROOT)
SEED = 20_261

pytestmark = pytest.mark.group
every_group = pytest.mark.parametrize("group", GROUPS.values(), ids=list(GROUPS))


def designs(group: Group) -> list[Path]:
    """The folders in which the group is solved: the reference first."""
    solutions = ROOT / "solutions" / group.folder
    return [solutions / "reference", *sorted((solutions / "designs").iterdir())]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each group its folder as it ships, whatever a learner has made of it."""
    store = Course(ROOT).store
    found = {}
    for group in GROUPS.values():
        folder = found[group.id] = tmp_path_factory.mktemp("shipped") / group.folder
        for name in group.shipped:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(store.pristine(group, name))
        shutil.copyfile(group.path / "group.toml", folder / "group.toml")
    return found


def played(group: Group, shipped: dict[str, Path], root: Path) -> GroupOutcome:
    return suite.run(group, root=root, pristine=shipped[group.id], seed=SEED)


@every_group
def test_what_ships_matches_its_pins(group: Group, shipped: dict[str, Path]) -> None:
    assert pins.pins(shipped[group.id]) == dict(group.shipped), "run `make pins`"


@every_group
def test_the_shipped_service_is_broken_for_the_right_reason(group: Group, shipped: dict[str, Path]) -> None:
    outcome = played(group, shipped, shipped[group.id])
    assert not outcome.ours
    for test in outcome.tests:
        assert test.failure is None or test.failure.sees, f"{test.id} is red without a word"
        if test.stage == 0:
            assert test.verdict is Verdict.PASSED, f"{test.id}: sanity is {test.verdict}"
    red = [test for test in outcome.tests if test.stage and test.verdict is not Verdict.PASSED]
    for test in red:
        assert test.verdict in (Verdict.FAILED, Verdict.TODO), f"{test.id} is {test.verdict}: {test.failure}"
        assert test.failure is not None
        assert test.failure.code != "assertion", f"{test.id} fails by assert, not by expect()"
        assert test.failure.where, f"{test.id} names no line"
        assert test.verdict is Verdict.TODO or test.failure.story, f"{test.id} has no story"


@pytest.mark.parametrize(
    ("group", "design"),
    [pytest.param(group, path, id=f"{group.id}-{path.name}") for group in GROUPS.values() for path in designs(group)],
)
def test_every_right_design_passes(group: Group, design: Path, shipped: dict[str, Path]) -> None:
    outcome = played(group, shipped, design)
    assert not outcome.ours
    assert {test.id: test.failure for test in outcome.tests if test.verdict is not Verdict.PASSED} == {}


@every_group
def test_every_pattern_has_a_test_three_hints_and_a_line_in_the_briefing(
    group: Group, shipped: dict[str, Path]
) -> None:
    outcome = played(group, shipped, designs(group)[0])
    briefing = (shipped[group.id] / "README.md").read_text("utf-8").lower()
    judged = {name for test in outcome.tests for name in test.patterns}
    assert judged == set(group.patterns)
    for name, pattern in group.patterns.items():
        assert len(curriculum.read_hints(group, name)) == 3
        assert pattern.title.lower().split()[0] in briefing
        assert (shipped[group.id] / pattern.stub).is_file()
    assert {name for stage in group.stages for name in stage.patterns} == set(group.patterns)
    assert set(tomllib.loads((shipped[group.id] / "hints.toml").read_text("utf-8"))) == set(group.patterns)


@every_group
def test_the_incident_hurts_the_shipped_service_and_not_the_reference(group: Group, shipped: dict[str, Path]) -> None:
    reference = designs(group)[0]
    for seed in (SEED, SEED + 1):
        outcome = trigger.play(group, root=reference, pristine=shipped[group.id], seed=seed, settings={})
        assert [figure.name for figure in outcome.yours.figures if not figure.reached] == []
        missed = [figure.name for figure in outcome.broken.figures if not figure.reached]
        assert len(missed) > len(outcome.broken.figures) / 2
