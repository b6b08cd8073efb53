"""The curriculum: reading group.toml, naming groups, and the order in which they open."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import curriculum
from grader.curriculum import SEQUENCE, TITLES, TOGETHER, BrokenGroup, Group, NoWorkspace, UnknownName
from tests import workspaces

IDS = [f"group-{number}" for number in TITLES]


def group(number: int, prerequisites: tuple[str, ...] = ()) -> Group:
    folder = Path(f"groups/group-{number:02}-kettle")
    return Group(f"group-{number}", number, folder, "", "", (), (), prerequisites, 0, {}, (), {}, {}, {}, folder)


def test_a_group_is_read_as_its_toml_states_it(workspace: Path) -> None:
    read = curriculum.read_groups(workspace)["group-2"]
    assert (read.number, read.title, read.folder) == (2, "The cup is filled twice", "group-02-kettle")
    assert read.files == ("service/**/*.py",)
    assert read.own_files(read.path) == ["service/app.py", "service/patterns/lid.py", "service/patterns/whistle.py"]
    assert [stage.patterns for stage in read.stages] == [("lid",), ("whistle",)]
    assert read.patterns["lid"].title == "Lid"
    assert read.ports == {"lid": "service.patterns.lid:Lid"}
    assert read.bounds["tea_p99"] == {"at_most": 0.05, "unit": "s"}
    assert set(read.shipped) == set(workspaces.SHIPPED)


@pytest.mark.parametrize("name", ["2", "02", "group-2", "group-02", "group-02-kettle", "groups/group-02-kettle/"])
def test_a_group_has_several_names(workspace: Path, name: str) -> None:
    assert curriculum.resolve(name, curriculum.read_groups(workspace)).id == "group-2"


def test_an_unknown_name_is_answered_with_the_nearest(workspace: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean group-2"):
        curriculum.resolve("gruop-2", curriculum.read_groups(workspace))


@pytest.mark.parametrize("name", ["", "-1", "²", "group-", "99999999999999999999", "\x1b[31m"])
def test_a_name_that_is_like_nothing_is_unknown(workspace: Path, name: str) -> None:
    with pytest.raises(UnknownName, match="there is no group"):
        curriculum.resolve(name, curriculum.read_groups(workspace))


def test_a_group_of_the_order_that_is_not_written_yet_is_known_by_its_title(workspace: Path) -> None:
    with pytest.raises(UnknownName, match="“Cost explodes”, is not written yet"):
        curriculum.resolve("9", curriculum.read_groups(workspace))
    places = curriculum.order(curriculum.read_groups(workspace))
    assert [place.number for place in places] == [1, 2, 3, 5, 6, 8, 9, 4, 7, 10, 11, 12]
    assert [place.number for place in places if place.group] == [1, 2, 4]


def test_the_workspace_is_found_from_below_and_nowhere_else(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert curriculum.find_workspace(workspace / "groups" / "group-01-kettle" / "service") == workspace
    with pytest.raises(NoWorkspace):
        curriculum.find_workspace(tmp_path_factory.mktemp("elsewhere"))


def test_the_sequence_opens_one_after_the_other_and_the_rest_together() -> None:
    passed: set[str] = set()
    for number in SEQUENCE:
        opening = [n for n in TITLES if not curriculum.waits_for(group(n), passed, IDS) and f"group-{n}" not in passed]
        assert opening == [number]
        passed.add(f"group-{number}")
    opening = [n for n in TITLES if not curriculum.waits_for(group(n), passed, IDS) and f"group-{n}" not in passed]
    assert opening == sorted(TOGETHER)


def test_a_group_that_is_not_written_yet_holds_nobody_up() -> None:
    assert curriculum.waits_for(group(5), {"group-1"}, ["group-1", "group-5"]) == ()
    assert curriculum.waits_for(group(5), {"group-1"}, ["group-1", "group-3", "group-5"]) == ("group-3",)


def test_a_prerequisite_holds_up_a_group_outside_the_order() -> None:
    assert curriculum.waits_for(group(13, ("group-1",)), set(), ["group-1"]) == ("group-1",)
    assert curriculum.waits_for(group(13, ("group-1",)), {"group-1"}, ["group-1"]) == ()


@given(st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)), st.sampled_from(IDS))
def test_passing_more_never_locks_and_what_passed_stays_open(passed: set[str], existing: set[str], more: str) -> None:
    for number in TITLES:
        before = curriculum.waits_for(group(number), passed, existing)
        after = curriculum.waits_for(group(number), passed | {more}, existing)
        assert set(after) <= set(before)
        assert not (before and f"group-{number}" in passed)


@given(st.sets(st.sampled_from(IDS), min_size=1), st.sets(st.sampled_from(IDS)))
def test_somebody_who_has_not_passed_everything_always_has_an_open_group(existing: set[str], passed: set[str]) -> None:
    left = existing - passed
    open_ = [name for name in left if not curriculum.waits_for(group(int(name[6:])), passed, existing)]
    assert bool(open_) == bool(left)


def test_an_instructor_opens_what_is_locked() -> None:
    assert curriculum.waits_for(group(9), set(), IDS)
    assert curriculum.waits_for(group(9), set(), IDS, {"group-9"}) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('app = "service.app:create_app"', "", "lacks 'app'"),
        ("number = 2", "number = 3", "its id is group-2 and its number 3"),
        ('patterns = ["lid"]', 'patterns = ["tea"]', "names patterns that it does not have: tea"),
        ("[[stages]]", "[[stages", "cannot read groups/group-02-kettle/group.toml"),
        ("[patterns.lid]", "[patterns.kid]", "names patterns that it does not have: lid"),
    ],
)
def test_a_broken_group_toml_is_named(workspace: Path, old: str, new: str, said: str) -> None:
    file = workspace / "groups/group-02-kettle/group.toml"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(BrokenGroup, match=said.replace("(", r"\(")):
        curriculum.read_groups(workspace)


def test_two_folders_cannot_be_one_group(workspace: Path) -> None:
    (workspace / "groups/group-02-kettle").rename(workspace / "groups/another")
    workspaces.add_group(workspace, 2, "Twice")
    with pytest.raises(BrokenGroup, match="both say that they are group-2"):
        curriculum.read_groups(workspace)


def test_hints_come_in_order_and_a_missing_one_is_named(workspace: Path) -> None:
    read = curriculum.read_groups(workspace)["group-1"]
    assert curriculum.read_hints(read, "lid")[1] == "A lid bounds what may leave."
    (read.path / "hints.toml").write_text('[lid]\nsymptom = "s"\n', "utf-8")
    with pytest.raises(BrokenGroup, match="no mechanism and no shape for lid"):
        curriculum.read_hints(read, "lid")


def test_the_titles_are_those_of_the_order() -> None:
    assert set(TITLES) == {*SEQUENCE, *TOGETHER}
