"""Progress: what is kept, what survives a bad disk, and what a reset gives back."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from grader import progress
from grader.curriculum import Trouble, UnknownName
from grader.outcome import GroupOutcome, Verdict
from grader.progress import Course, GroupProgress, Locked, NewerState, Store
from tests import workspaces

PASSED, FAILED, TODO, OURS = Verdict.PASSED, Verdict.FAILED, Verdict.TODO, Verdict.OURS


def outcome(*verdicts: Verdict, seed: int = 7) -> GroupOutcome:
    return workspaces.outcome(1, seed, *verdicts)


def app_of(workspace: Path) -> Path:
    return workspace / "groups/group-01-kettle/service/app.py"


def test_a_pass_is_kept_and_opens_what_waited_for_it(workspace: Path) -> None:
    course = Course(workspace)
    recorded = course.record(course.groups["group-1"], outcome(PASSED))
    assert (recorded.passed, recorded.first_pass) == (True, True)
    assert [group.id for group in recorded.opened] == ["group-2"]
    assert Course(workspace).passed == {"group-1"}
    again = course.record(course.groups["group-1"], outcome(PASSED))
    assert (again.passed, again.first_pass, again.opened) == (True, False, ())


def test_a_pass_stays_a_pass(workspace: Path) -> None:
    course = Course(workspace)
    course.record(course.groups["group-1"], outcome(PASSED))
    course.record(course.groups["group-1"], outcome(FAILED))
    assert Course(workspace).passed == {"group-1"}


@pytest.mark.parametrize(
    "tests", [(), (0, 1, 2), (0, 3, 4)], ids=["no test ran", "stage 2 was not tested", "stage 1 was not tested"]
)
def test_what_did_not_run_is_no_pass(workspace: Path, tests: tuple[int, ...]) -> None:
    course = Course(workspace)
    whole = outcome(PASSED)
    part = GroupOutcome(whole.group, whole.seed, tuple(whole.tests[index] for index in tests), 1.0)
    assert not course.record(course.groups["group-1"], part).passed
    assert course.passed == frozenset()


def test_a_run_that_the_grader_spoilt_changes_nothing(workspace: Path) -> None:
    course = Course(workspace)
    course.record(course.groups["group-1"], outcome(PASSED, FAILED))
    before = course.of(course.groups["group-1"])
    assert not course.record(course.groups["group-1"], outcome(PASSED, OURS, seed=8)).passed
    assert Course(workspace).of(course.groups["group-1"]) == before


def test_stages_and_patterns_are_those_of_the_last_check(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    course.record(group, outcome(PASSED, PASSED, PASSED, FAILED, TODO))
    assert course.of(group).stages == [1]
    assert course.of(group).patterns == {"lid": "passed", "whistle": "failed"}
    stage = course.stage(group)
    assert stage
    assert stage.number == 2


def test_a_seed_that_failed_is_kept_until_it_passes(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    course.record(group, outcome(FAILED, seed=11))
    course.record(group, outcome(FAILED, seed=22))
    course.record(group, outcome(PASSED, seed=33))
    assert [Course(workspace).seed(group) for _ in range(3)] == [11, 11, 11]
    course.record(group, outcome(PASSED, seed=11))
    assert len({Course(workspace).seed(group) for _ in range(5)}) > 1


def test_a_locked_group_names_the_command_to_run_instead(workspace: Path) -> None:
    with pytest.raises(Locked, match="group 2 is locked until group 1") as refused:
        Course(workspace).chosen("2")
    assert refused.value.mend == "learn check group-1"


@pytest.mark.parametrize(("setting", "open_"), [('["group-4"]', {"group-4"}), ('"all"', {"group-2", "group-4"})])
def test_an_instructor_opens_groups_in_the_settings(workspace: Path, setting: str, open_: set[str]) -> None:
    (workspace / ".learn").mkdir()
    (workspace / ".learn/settings.toml").write_text(f"open = {setting}\n")
    course = Course(workspace)
    assert {group.id for group in course.groups.values() if not course.waits_for(group)} == {"group-1", *open_}


@pytest.mark.parametrize("text", ["open = 4", "open = [", 'open = ["group-99"]', "\xff"])
def test_settings_that_mean_nothing_open_nothing_and_say_so(workspace: Path, text: str) -> None:
    (workspace / ".learn").mkdir()
    (workspace / ".learn/settings.toml").write_text(text, "latin-1")
    course = Course(workspace)
    assert len(course.store.notes) == 1
    assert course.waits_for(course.groups["group-4"])


def test_the_group_of_the_folder_comes_before_the_current_one(workspace: Path) -> None:
    course = Course(workspace)
    course.record(course.groups["group-1"], outcome(PASSED))
    assert Course(workspace).chosen(None).id == "group-2"
    assert Course(workspace, workspace / "groups/group-01-kettle/service").chosen(None).id == "group-1"


# ------------------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"version": "1"}',
        b'{"version": true}',
        b'{"version": 0}',
        b'{"version": 1, "groups": []}',
        b'{"version": 1, "groups": {"group-1": 3}}',
        b'{"version": 1, "groups": {"group-1": {"stages": ["1"]}}}',
        b'{"version": 1, "groups": {"group-1": {"hints": {"lid": 1.5}}}}',
        b'{"version": 1, "groups": {"group-1": {"passed_at": 5}}}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_is_set_aside_with_one_line(workspace: Path, text: bytes) -> None:
    (workspace / ".learn").mkdir()
    (workspace / ".learn/progress.json").write_bytes(text)
    course = Course(workspace)
    assert course.passed == frozenset()
    (note,) = course.store.notes
    (aside,) = (workspace / ".learn").glob("progress.json.broken-*")
    assert aside.name in note
    assert aside.read_bytes() == text
    course.record(course.groups["group-1"], outcome(PASSED))
    assert Course(workspace).passed == {"group-1"}


def test_a_file_of_a_later_version_is_left_alone(workspace: Path) -> None:
    (workspace / ".learn").mkdir()
    file = workspace / ".learn/progress.json"
    file.write_text('{"version": 2}')
    with pytest.raises(NewerState, match="version 2"):
        Course(workspace)
    assert file.read_text() == '{"version": 2}'


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    kept = GroupProgress("2026-01-01T00:00:00+00:00", "2026", [1, 2], {"lid": "todo"}, 5, {"lid": 3})
    Store(tmp_path).update(lambda groups: groups.update({"group-1": kept}))
    assert Store(tmp_path).load() == {"group-1": kept}
    assert json.loads((tmp_path / ".learn/progress.json").read_text())["version"] == progress.VERSION


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    store = Store(tmp_path)
    store.update(lambda groups: groups.update({"group-1": GroupProgress(passed_at="then")}))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*((os, "fsync", die) if dies_in == "fsync" else (Path, "replace", die)))
        with pytest.raises(KeyboardInterrupt):
            store.update(lambda groups: groups.clear())
    assert list(store.load()) == ["group-1"]
    assert sorted(file.name for file in store.folder.iterdir()) == ["lock", "progress.json"]


def test_a_disk_that_takes_nothing_costs_one_line(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(progress, "write_whole", refuse)
    store = Store(workspace)
    store.update(lambda groups: groups.update({"group-1": GroupProgress()}))
    store.update(lambda groups: groups.update({"group-2": GroupProgress()}))
    assert store.notes == [
        "could not save your progress in .learn/ (Read-only file system): this run is not remembered"
    ]


def test_a_file_in_place_of_the_folder_costs_one_line(workspace: Path) -> None:
    (workspace / ".learn").write_text("not a folder")
    course = Course(workspace)
    assert course.record(course.groups["group-1"], outcome(PASSED)).passed
    assert len(course.store.notes) == 2
    assert course.passed == {"group-1"}, "for the rest of this run"


def _count(folder: Path, times: int) -> None:
    def one_more(groups: dict[str, GroupProgress]) -> None:
        hints = groups.setdefault("group-1", GroupProgress()).hints
        hints["lid"] = hints.get("lid", 0) + 1

    for _ in range(times):
        Store(folder).update(one_more)


def test_four_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(tmp_path, 10)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Store(tmp_path).load()["group-1"].hints == {"lid": 40}


def test_whoever_must_wait_for_a_lock_is_told(tmp_path: Path) -> None:
    told = []
    with Store(tmp_path).locked("check.lock"):
        waiting = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path,))
        waiting.start()
        deadline = 200
        while not (tmp_path / "told").exists() and deadline:
            waiting.join(0.05)
            deadline -= 1
        told.append(waiting.is_alive())
    waiting.join()
    assert told == [True]
    assert (waiting.exitcode, (tmp_path / "told").exists()) == (0, True)


def _hold(folder: Path) -> None:
    with Store(folder).locked("check.lock", on_wait=(folder / "told").touch):
        pass


# ------------------------------------------------------------------------------------------------ hints


def test_each_hint_goes_one_step_further_until_there_is_none(workspace: Path) -> None:
    group = Course(workspace).groups["group-1"]
    given = [Course(workspace).hint(group, "whistle") for _ in range(4)]
    assert [(hint.kind, hint.step, hint.again) for hint in given] == [
        ("symptom", 1, False),
        ("mechanism", 2, False),
        ("shape", 3, False),
        ("shape", 3, True),
    ]


def test_without_a_name_the_hint_is_for_the_first_red_pattern(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    assert course.hint(group, None).pattern == "lid"
    course.record(group, outcome(PASSED, PASSED, PASSED, TODO))
    assert course.hint(group, None).pattern == "whistle"


def test_one_word_may_be_a_group_or_a_pattern(workspace: Path) -> None:
    course = Course(workspace)
    for words, meant in {
        ("whistle", None): ("group-1", "whistle"),
        ("1", "lid"): ("group-1", "lid"),
        ("1", None): ("group-1", None),
        (None, None): ("group-1", None),
    }.items():
        group, pattern = course.chosen_with(*words, lambda group: group.patterns, "part")
        assert (group.id, pattern) == meant


@pytest.mark.parametrize("words", [("steam", None), ("1", "steam")])
def test_a_pattern_may_be_named_by_its_stub(workspace: Path, words: tuple[str, str | None]) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    stub = replace(group.patterns["whistle"], stub="service/patterns/steam.py")
    course.groups = {"group-1": replace(group, patterns={**group.patterns, "whistle": stub})}
    assert course.chosen_with(*words, lambda group: group.patterns, "part")[1] == "whistle"


def test_a_mistyped_pattern_is_answered_with_the_nearest(workspace: Path) -> None:
    course = Course(workspace)
    with pytest.raises(UnknownName, match="did you mean whistle"):
        course.hint(course.groups["group-1"], "wistle")


# ------------------------------------------------------------------------------------------------ as it ships


def test_reset_gives_back_what_shipped_and_keeps_a_copy(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    course.store.preserve(group)
    app_of(workspace).write_text("mine")
    (group.path / "service/patterns/lid.py").unlink()
    assert course.changed(group, None) == ("service/app.py", "service/patterns/lid.py")
    done = course.reset(group, course.changed(group, None))
    assert course.changed(group, None) == ()
    assert app_of(workspace).read_text() == workspaces.SHIPPED["service/app.py"]
    assert done.kept
    assert (done.kept / "service/app.py").read_text() == "mine"
    assert done.kept.is_relative_to(workspace / ".learn/kept")


def test_reset_of_one_file_leaves_the_others(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    course.store.preserve(group)
    app_of(workspace).write_text("mine")
    (group.path / "service/patterns/lid.py").write_text("mine")
    course.reset(group, course.changed(group, "service/patterns/lid.py"))
    assert course.changed(group, None) == ("service/app.py",)


@pytest.mark.parametrize("typed", ["service/app.py", "../group-01-kettle/service/app.py"])
def test_a_file_may_be_named_from_where_the_learner_is(workspace: Path, typed: str) -> None:
    course = Course(workspace, workspace / "groups/group-01-kettle")
    assert course.chosen_with(typed, None, lambda group: group.shipped, "part")[1] == "service/app.py"
    course = Course(workspace, workspace / "groups/group-01-kettle/service")
    assert course.chosen_with("app.py", None, lambda group: group.shipped, "part")[1] == "service/app.py"


def test_reset_takes_away_what_the_learner_added(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    course.store.preserve(group)
    (group.path / "service/clients").mkdir()
    (group.path / "service/clients/__init__.py").write_text("mine")
    done = course.reset(group, course.changed(group, None))
    assert (done.restored, done.removed) == ((), ("service/clients/__init__.py",))
    assert not (group.path / "service/clients/__init__.py").exists()
    assert done.kept
    assert (done.kept / "service/clients/__init__.py").read_text() == "mine"


def test_without_a_pristine_copy_nothing_is_touched_and_git_is_named(workspace: Path) -> None:
    app_of(workspace).write_text("mine, before any copy was taken")
    course = Course(workspace)
    group = course.groups["group-1"]
    course.store.preserve(group)
    (group.path / "service/patterns/lid.py").write_text("mine too")
    with pytest.raises(Trouble, match=r"service/app\.py was changed before") as refused:
        course.reset(group, course.changed(group, None))
    assert refused.value.mend == "git checkout -- groups/group-01-kettle/service/app.py"
    assert (group.path / "service/patterns/lid.py").read_text() == "mine too"


def test_the_shipped_folder_has_the_groups_files_and_no_others(workspace: Path) -> None:
    course = Course(workspace)
    group = course.groups["group-1"]
    with course.store.as_shipped(group) as folder:
        (folder / "tests").mkdir()
        (folder / "tests/test_of_last_year.py").touch()
        (folder / "service/app.py").write_text("damaged")
    with course.store.as_shipped(group) as folder:
        found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        assert found == {*group.shipped, "group.toml"}
        assert (folder / "service/app.py").read_text() == workspaces.SHIPPED["service/app.py"]


def test_the_shipped_folder_does_without_the_learners_own_files(workspace: Path) -> None:
    app_of(workspace).write_text("mine, before any copy was taken")
    course = Course(workspace)
    with course.store.as_shipped(course.groups["group-1"]) as folder:
        assert not (folder / "service/app.py").exists()
        assert (folder / "README.md").exists()


def test_on_a_read_only_disk_the_shipped_folder_is_a_scratch_copy(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(workspace)
    (workspace / ".learn").write_text("not a folder")
    with course.store.as_shipped(course.groups["group-1"]) as folder:
        assert not folder.is_relative_to(workspace)
        assert (folder / "group.toml").exists()
        assert (folder / "README.md").exists()
    assert not folder.exists()
