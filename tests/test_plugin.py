"""Plain pytest in a group's folder: the same suite, explained; and nothing of ours in anybody else's tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader.plugin import ProductionFailure, expect

ROOT = Path(__file__).parents[1]
GROUP = "group-01-slow-and-unreliable"


def run_pytest(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plugins = [] if is_installed() else ["-p", "grader.plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *words],
        cwd=here,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "80"},
        check=False,
    )


def is_installed() -> bool:
    """Does pytest find our plug-in by itself?"""
    from importlib.metadata import entry_points

    return any(point.name == "brownout" for point in entry_points(group="pytest11"))


def shipped(group: str, workspace: Path) -> Path:
    """A copy of the group as it ships."""
    return Path(shutil.copytree(ROOT / "groups" / group, workspace / group))


def line_of(text: str, file: Path) -> int:
    """Where the first line is that has the text."""
    lines = file.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_red_test_says_what_production_sees_where_the_story_and_what_next(tmp_path: Path) -> None:
    ended = run_pytest(shipped(GROUP, tmp_path), "--seed", "5", "-k", "question_waits")
    assert ended.returncode == 1
    for part in ("production sees  one traveller asks", "where            service/clients.py:", "story            00:"):
        assert part in ended.stdout
    assert "learn hint sync-vs-async; replay with --seed 5" in ended.stdout
    assert "run seed 5" in ended.stdout


def test_of_an_error_that_nobody_caught_the_traceback_is_told(tmp_path: Path) -> None:
    folder = shipped(GROUP, tmp_path)
    app = folder / "service" / "app.py"
    call = 'answer = llm.complete(f"Answer from'
    app.write_text(app.read_text().replace(call, f'raise RuntimeError("the line is dead")\n        {call}'))
    ended = run_pytest(folder, "--seed", "5", "-k", "a_question_is_answered")
    assert "no exception goes unhandled: RuntimeError" in ended.stdout
    assert f'app.py", line {line_of("the line is dead", app)}, in ask' in ended.stdout
    assert "RuntimeError: the line is dead" in ended.stdout


@pytest.mark.parametrize(
    ("group", "test", "route"),
    [
        ("group-03-state-breaks-on-restart", "list_does_not_care", '@app.post("/bookings/{source}"'),
        ("group-05-llm-answers-are-wrong", "first_rung", '@app.post("/ask"'),
    ],
    ids=["nobody was called", "what was said is wrong, and no call"],
)
def test_where_no_call_is_to_blame_the_route_is_named(group: str, test: str, route: str, tmp_path: Path) -> None:
    folder = shipped(group, tmp_path)
    ended = run_pytest(folder, "--seed", "5", "-k", test)
    assert f"where            service/app.py:{line_of(route, folder / 'service' / 'app.py')}" in ended.stdout


def test_where_nobody_asked_for_anything_the_stub_is_named(tmp_path: Path) -> None:
    folder = shipped("group-08-impossible-to-debug", tmp_path)
    stub = folder / "service" / "patterns" / "recording.py"
    stub.write_text(f"{stub.read_text()}\n\ndef capped(text, most=2000):\n    return {{}}\n")
    ended = run_pytest(folder, "--seed", "5", "-k", "long_text_is_capped")
    assert "[wrong-cap]" in ended.stdout
    assert f"where            service/patterns/recording.py:{line_of('class Redactor', stub)}" in ended.stdout


def test_the_calls_that_are_wrong_are_named(tmp_path: Path) -> None:
    folder = shipped("group-08-impossible-to-debug", tmp_path)
    ended = run_pytest(folder, "--seed", "5", "-k", "one_trace_from_the_request")
    clients = folder / "service" / "clients.py"
    for call in ('self.http.post("/v1/chat/completions"', "self.http.get(", 'self.http.post("/mail"'):
        assert f"service/clients.py:{line_of(call, clients)}" in ended.stdout


def test_a_folder_of_groups_runs_every_suite(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "groups" / GROUP, tmp_path / "groups" / GROUP)
    shutil.copytree(
        ROOT / "solutions" / GROUP / "reference" / "service",
        tmp_path / "groups" / GROUP / "service",
        dirs_exist_ok=True,
    )
    ended = run_pytest(tmp_path, "groups", "--seed", "5", "--import-mode=importlib")
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
    assert "run seed 5" in ended.stdout


def test_tests_that_belong_to_no_group_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_fine(): pass\ndef test_not(): assert 1 == 2\n")
    ended = run_pytest(tmp_path)
    assert "1 failed, 1 passed" in ended.stdout
    assert "assert 1 == 2" in ended.stdout
    assert "run seed" not in ended.stdout


def test_a_bound_holds_up_to_itself_and_not_beyond() -> None:
    expect("jobs_lost", 3, at_most=3, code="lost", sees="")
    expect("answered", 3, at_least=3, code="silent", sees="")
    with pytest.raises(ProductionFailure, match="4 jobs are lost") as failure:
        expect("jobs_lost", 4, at_most=3, code="lost", sees="4 jobs are lost")
    assert failure.value.code == "lost"


def test_a_bound_has_one_side() -> None:
    with pytest.raises(TypeError):
        expect("jobs_lost", 3, code="lost", sees="")
    with pytest.raises(TypeError):
        expect("jobs_lost", 3, at_most=3, at_least=3, code="lost", sees="")


def test_no_number_is_no_pass() -> None:
    with pytest.raises(ProductionFailure):
        expect("p99", float("nan"), at_most=3, code="slow", sees="nothing was measured")
