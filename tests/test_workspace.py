"""A workspace beside an installed curriculum: laid out, brought up to date, and no part of what judges."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import grader
from grader import curriculum, progress, seen, workspace
from grader.curriculum import NoWorkspace, Trouble
from grader.outcome import Verdict
from grader.progress import Course, write_whole
from grader.report.ink import Ink
from grader.report.workspace import changed, screen
from tests import workspaces

APP = "groups/group-01-kettle/service/app.py"
README = "groups/group-01-kettle/README.md"
PLAIN = Ink(coloured=False, unicode=True, width=80)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed curriculum."""
    package = workspaces.add_package(tmp_path / "package")
    monkeypatch.setattr(curriculum, "_SHIPPED", package)
    return package


@pytest.fixture
def home(package: Path, tmp_path: Path) -> Path:
    """A workspace, as `learn init` has made it."""
    home = tmp_path / "home"
    workspace.init(home, "home")
    return home


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder but those of .learn/."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".learn" not in file.parts
    }


def upgrade(package: Path, monkeypatch: pytest.MonkeyPatch, version: str = "0.2.0") -> None:
    """Group 1 has another service and another briefing, one stub more and one less; group 4 is new."""
    stub = "service/patterns/"
    texts: dict[str, str | None] = {"service/app.py": "new\n", "README.md": "# New\n", "service/clients.py": "new\n"}
    workspaces.change(package, 1, texts | {f"{stub}kettle.py": "new\n", f"{stub}whistle.py": None})
    workspaces.add_group(package, 4, "The menu keeps changing")
    (package / "grader").rmdir()
    monkeypatch.setattr(grader, "__version__", version)


# ------------------------------------------------------------------------------------------------ learn init


def test_a_workspace_is_the_groups_as_they_ship_and_no_solutions(package: Path, home: Path) -> None:
    laid = files(home)
    assert {name for name in laid if "/" not in name} == {"README.md", ".gitignore"}
    shipped = {name: data for name, data in files(package).items() if name.startswith("groups/")}
    assert {name: data for name, data in laid.items() if name.startswith("groups/")} == shipped
    assert not (home / "solutions").exists()
    assert b".learn/" in laid[".gitignore"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_whatever_stops_it_the_same_again_completes_it(
    package: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    whole = files(home)
    for writes in range(len(whole) + 5):
        left = writes

        def fails(file: Path, data: bytes) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise error
            write_whole(file, data)

        target = tmp_path / f"cut-{writes}"
        with monkeypatch.context() as patched:
            patched.setattr(progress, "write_whole", fails)
            try:
                workspace.init(target, "cut")
            except KeyboardInterrupt:
                pass
            except Trouble as trouble:
                assert (trouble.what, trouble.mend) == (  # noqa: PT017
                    "could not write cut: No space left on device",
                    "learn init cut",
                )
                assert not trouble.usage  # noqa: PT017
        if (target / APP).exists():
            (target / APP).write_text("mine")
            whole[APP] = b"mine"
        else:
            whole[APP] = (home / APP).read_bytes()
        workspace.init(target, "cut")
        assert files(target) == whole
        course = Course(target)
        assert all(group.is_here for group in course.groups.values())
        assert not any(map(course.copies_that_differ, course.groups.values()))


def test_a_workspace_that_was_begun_says_how_to_end_it(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(file: Path, data: bytes) -> None:
        if "groups" in file.parts:
            raise KeyboardInterrupt
        write_whole(file, data)

    with monkeypatch.context() as patched:
        patched.setattr(progress, "write_whole", fails)
        with pytest.raises(KeyboardInterrupt):
            workspace.init(tmp_path / "begun", "begun")
    course = Course(curriculum.find_workspace(tmp_path / "begun"))
    assert course.next_step().command == "learn init"
    with pytest.raises(Trouble, match="group 1 is not in this workspace yet") as refused:
        course.chosen(None)
    assert refused.value.mend == "learn init"


def test_a_folder_with_other_things_is_refused_and_untouched(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(Trouble, match=r"other has other things in it, such as thesis\.tex") as refused:
        workspace.init(other, "other")
    assert refused.value.mend == "learn init other/brownout"
    assert list(other.iterdir()) == [other / "thesis.tex"]
    with pytest.raises(Trouble, match=r"is a file"):
        workspace.init(other / "thesis.tex", "thesis.tex")


def test_what_tools_leave_in_a_folder_is_in_nobodys_way(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / ".git").mkdir(parents=True)
    (folder / "venv").mkdir()
    (folder / "venv" / "pyvenv.cfg").touch()
    (folder / ".gitignore").write_text("mine")
    workspace.init(folder, ".")
    assert (folder / ".gitignore").read_text() == "mine"
    assert (folder / APP).exists()


def test_a_group_that_was_thrown_away_comes_back_whole(package: Path, home: Path) -> None:
    import shutil

    whole = files(home)
    shutil.rmtree(home / "groups/group-01-kettle")
    assert Course(home).next_step().command == "learn init"
    workspace.init(home, "home")
    assert files(home) == whole


def test_a_name_with_a_space_is_quoted_where_it_is_to_be_typed(package: Path, tmp_path: Path) -> None:
    (tmp_path / "my things").mkdir()
    (tmp_path / "my things" / "thesis.tex").touch()
    with pytest.raises(Trouble) as refused:
        workspace.init(tmp_path / "my things", "my things")
    assert refused.value.mend == "learn init 'my things/brownout'"
    laid = workspace.init(tmp_path / "my course", "my course")
    assert "cd 'my course'\n" in screen(laid, "my course", PLAIN)


def test_a_clone_is_no_place_for_another_workspace(package: Path, tmp_path: Path) -> None:
    workspaces.add_group(tmp_path / "clone", 1, "The kettle boils over")
    with pytest.raises(Trouble, match="this folder is a clone, and a workspace already") as refused:
        workspace.init(tmp_path / "clone", ".")
    assert refused.value.mend == "git pull && make learn"


def test_a_workspace_made_from_a_clone_has_nothing_of_who_learns_in_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    folder = workspaces.add_group(clone, 1, "The kettle boils over")
    in_clone = Course(clone)
    in_clone.store.preserve(in_clone.groups["group-1"])
    (folder / "service/app.py").write_text("solved in the clone")
    monkeypatch.setattr(curriculum, "_SHIPPED", clone / "grader" / "shipped")
    workspace.init(tmp_path / "home", "home")
    assert (tmp_path / "home" / APP).read_text() == workspaces.SHIPPED["service/app.py"]
    course = Course(tmp_path / "home")
    with course.store.as_shipped(course.groups["group-1"]) as pristine:
        assert (pristine / "service/app.py").read_text() == workspaces.SHIPPED["service/app.py"]


# ------------------------------------------------------------------------------------------------ what counts


def test_a_copy_that_was_edited_changes_nothing_and_is_said(package: Path, home: Path) -> None:
    group = home / "groups/group-01-kettle"
    (group / "group.toml").write_text('id = "group-1"\nbroken')
    (group / "hints.toml").unlink()
    (group / "README.md").write_text("# Everything passes\n")
    course = Course(home)
    mine = course.groups["group-1"]
    assert mine.title == "The kettle boils over"
    assert course.hint(mine, "lid").text == "Steam leaves while the water waits."
    with course.store.as_shipped(mine) as pristine:
        assert files(pristine) == files(package / "groups/group-01-kettle")
    workspace.compare_copies(course, mine)
    (note,) = course.store.notes
    assert "README.md and 2 more in groups/group-01-kettle/ are not as they ship" in note
    assert note.endswith("Run: learn init")
    workspace.init(home, "home")
    (kept,) = (home / ".learn/kept").glob("*/groups/group-01-kettle/group.toml")
    assert "broken" in kept.read_text()
    course = Course(home)
    workspace.compare_copies(course, mine)
    assert course.store.notes[-1].endswith("Run: learn reset group-1 README.md")
    course.reset(mine, course.changed(mine, "README.md"))
    assert course.copies_that_differ(mine) == ()


def test_in_a_clone_an_edited_copy_is_said_too(workspace: Path) -> None:
    from grader.workspace import compare_copies

    course = Course(workspace)
    compare_copies(course, course.groups["group-1"])
    assert course.store.notes == []
    (workspace / README).write_text("mine")
    (workspace / APP).write_text("mine, and meant to be")
    compare_copies(course, course.groups["group-1"])
    (note,) = course.store.notes
    assert note.endswith("it is what ships that counts. Run: learn reset group-1 README.md")


def test_a_solution_comes_when_it_is_earned_and_stays_as_it_is_edited(package: Path, home: Path) -> None:
    course = Course(home)
    group = course.groups["group-1"]
    workspace.lay_solution(course, group)
    notes = home / "solutions/group-01-kettle/NOTES.md"
    assert notes.read_text() == "A lid costs a lid.\n"
    assert (home / "solutions/group-01-kettle/reference/service/app.py").exists()
    notes.write_text("my own notes")
    workspace.lay_solution(Course(home), group)
    workspace.init(home, "home")
    assert notes.read_text() == "my own notes"


def test_without_a_workspace_one_is_told_to_make_one(package: Path, tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace) as refused:
        curriculum.find_workspace(tmp_path)
    assert refused.value.mend == "learn init brownout"


# ------------------------------------------------------------------------------------------------ an upgrade


def test_an_upgrade_is_listed_once(package: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert workspace.changes(Course(home)) is None
    (home / APP).write_text("mine")
    before = files(home)
    upgrade(package, monkeypatch)
    found = workspace.changes(Course(home))
    assert found
    one, four = found.groups
    stubs = "service/patterns/"
    assert one.changed == ("README.md", "service/app.py", "service/clients.py", f"{stubs}kettle.py")
    assert (one.removed, one.yours) == ((f"{stubs}whistle.py",), ("service/app.py",))
    assert (four.id, four.kind, four.here) == ("group-4", "new", False)
    said = "\n".join(changed(found, "pip", PLAIN))
    assert said == (
        "Brownout 0.2.0 (was 0.1.0)\n"
        "  group 1   changed: README.md, service/clients.py, service/patterns/kettle.py\n"
        "            gone: service/patterns/whistle.py\n"
        "            service/app.py changed; you edited yours, so it is untouched. The\n"
        "            new one:\n"
        "            learn reset group-1 service/app.py\n"
        "  group 4   is new\n"
        "  learn init  brings it here; what you edited stays as it is"
    )
    seen.told(Course(home))
    assert workspace.changes(Course(home)) is None
    assert files(home) == before, "that it was told changes no file"


def test_init_brings_what_is_new_and_leaves_what_was_edited(
    package: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / APP).write_text("mine")
    (home / "groups/group-02-kettle/README.md").write_text("my notes")
    (home / "groups/group-02-kettle/service/patterns/lid.py").unlink()
    upgrade(package, monkeypatch)
    laid = workspace.init(home, "home")
    assert (laid.fresh, laid.version, laid.was) == (False, "0.2.0", "0.1.0")
    group = "groups/group-01-kettle"
    assert laid.updated == [f"{group}/README.md", f"{group}/group.toml"]
    assert [name for name in laid.added if "-01-" in name] == [
        f"{group}/service/clients.py",
        f"{group}/service/patterns/kettle.py",
    ]
    assert laid.yours == [APP]
    assert laid.mend == "learn reset group-1 service/app.py"
    assert (home / APP).read_text() == "mine"
    assert (home / "groups/group-02-kettle/README.md").read_text() == "my notes"
    assert not (home / "groups/group-02-kettle/service/patterns/lid.py").exists(), "its learner took it away"
    assert (home / group / "service/patterns/whistle.py").exists(), "their other files may import it"
    assert Course(home).groups["group-4"].is_here
    assert workspace.changes(Course(home)) is None
    shown = screen(laid, "home", PLAIN)
    assert "✓ This workspace is up to date with Brownout 0.2.0 (was 0.1.0).\n" in shown
    assert f"  updated   {group}/: README.md, group.toml\n" in shown
    assert f"{APP}\n  The new one, with a copy of yours kept:\n    learn reset group-1 service/app.py\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
    course = Course(home)
    course.reset(course.groups["group-1"], ("service/app.py",))
    assert (home / APP).read_text() == "new\n"
    assert not workspace.init(home, "home").yours


def test_a_copy_for_reading_goes_when_it_no_longer_ships_unless_it_was_edited(
    package: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = {"tests/test_a.py": "a", "tests/test_b.py": "b"}
    workspaces.change(package, 1, dict(tests))
    workspace.init(home, "home")
    folder = home / "groups/group-01-kettle/tests"
    (folder / "test_b.py").write_text("mine")
    workspaces.change(package, 1, dict.fromkeys(tests))
    laid = workspace.init(home, "home")
    assert laid.removed == ["groups/group-01-kettle/tests/test_a.py"]
    assert [file.name for file in folder.iterdir()] == ["test_b.py"]


def test_a_pass_stays_a_pass(package: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(home)
    course.record(course.groups["group-1"], workspaces.outcome(1, 7, Verdict.PASSED))
    upgrade(package, monkeypatch)
    workspace.init(home, "home")
    assert Course(home).passed == {"group-1"}


def test_an_upgrade_that_a_learner_pulls_into_a_clone_is_listed_too(tmp_path: Path) -> None:
    folder = workspaces.add_group(tmp_path, 1, "The kettle boils over")
    workspaces.change(tmp_path, 1, {})
    seen.told(Course(tmp_path))
    assert workspace.changes(Course(tmp_path)) is None
    workspaces.change(tmp_path, 1, {"README.md": "# New\n", "service/app.py": "new\n"})
    (folder / "service/app.py").write_text("mine")
    found = workspace.changes(Course(tmp_path))
    assert found
    assert [(one.changed, one.yours) for one in found.groups] == [
        (("README.md", "service/app.py"), ("service/app.py",))
    ]
    assert not found.behind
    assert changed(found, "pip", PLAIN)[0] == "Brownout 0.1.0: the groups have changed"


def test_a_downgrade_is_one_line(package: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(package, monkeypatch, "0.0.9")
    found = workspace.changes(Course(home))
    assert found
    assert changed(found, curriculum.upgrade_of(home), PLAIN) == [
        "! This is Brownout 0.0.9, and 0.1.0 was here before. Run: pip install --upgrade brownout"
    ]


def test_a_group_that_is_gone_takes_no_file_along(package: Path, home: Path) -> None:
    import shutil

    shutil.rmtree(package / "groups/group-02-kettle")
    before = files(home)
    found = workspace.changes(Course(home))
    assert found
    assert [(one.id, one.kind) for one in found.groups] == [("group-2", "gone")]
    workspace.init(home, "home")
    assert files(home) == before


def _no_pins(state: dict[str, object]) -> str:
    return json.dumps(state | {"pins": []})


@pytest.mark.parametrize(
    "broken",
    [
        lambda state: "",
        lambda state: "{",
        lambda state: "[" * 100_000,
        lambda state: "null",
        _no_pins,
        lambda state: json.dumps(state | {"laid": {"a": 1}, "format": None, "pins": {"group-1": 4}}),
    ],
)
def test_a_broken_state_is_one_line_and_no_crash(
    package: Path, home: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[dict[str, object]], str]
) -> None:
    file = home / curriculum.BEGUN
    file.write_text(broken(json.loads(file.read_text())))
    course = Course(home)
    assert workspace.changes(course) is None
    (note,) = course.store.notes
    assert ".learn/curriculum.json was broken: it is now curriculum.json.broken-" in note
    seen.told(course)
    (home / APP).write_text("mine")
    upgrade(package, monkeypatch)
    assert workspace.changes(Course(home))
    laid = workspace.init(home, "home")
    assert (home / APP).read_text() == "mine"
    assert APP in laid.yours


def test_a_state_of_a_later_version_is_one_line(package: Path, home: Path) -> None:
    file = home / curriculum.BEGUN
    file.write_text(json.dumps({"format": 2, "something": "else"}))
    course = Course(home)
    assert workspace.changes(course) is None
    assert course.store.notes == [".learn/curriculum.json is of a later Brownout: what changed since is not known"]
    seen.told(course)
    assert Course(home).store.notes == []


def test_a_disk_that_takes_nothing_does_not_keep_one_from_being_told(
    package: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(package, monkeypatch)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(progress, "write_whole", refuse)
    assert workspace.changes(Course(home))
    seen.told(Course(home))
    with pytest.raises(Trouble, match="could not write this folder: Read-only file system"):
        workspace.init(home, ".")
