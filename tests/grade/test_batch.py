"""Batches: what is handed in, marked, kept, resumed; and what becomes of them when something dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from grader import sandbox
from grader.grade.journal import NAME
from tests.attacks.target import HALF, app
from tests.grade.batches import BATCH, hand_in, judged, kept, learn, rows
from tests.sandboxed import needs_sandbox


@needs_sandbox
def test_marks_are_the_share_of_the_tests_that_pass(workspace: Path) -> None:
    hand_in(workspace, "ada", HALF)
    hand_in(workspace, "bob", app())
    hand_in(workspace, "carol", app())
    (workspace / "roster.csv").write_text("id,name\nada,Ada\nbob,=1+1\ndora,Dora\n")
    done = learn(workspace, *BATCH, "--roster", "roster.csv")
    assert done.returncode == 1, done.stderr
    found = rows(workspace)
    assert {name: row["points"] for name, row in found.items()} == {
        "ada": "50.00",
        "bob": "25.00",
        "carol": "25.00",
        "dora": "0.00",
    }
    assert found["bob"]["same work as"] == "carol"
    assert found["bob"]["name"] == "'=1+1"
    assert found["dora"]["odd"] == "nothing was handed in"
    assert "In no roster" in done.stdout
    feedback = (workspace / "report/learners/ada/feedback.txt").read_text()
    assert "50.00 of 100.00 points" in feedback
    assert "production sees" in feedback
    results = json.loads((workspace / "report/learners/ada/results.json").read_text())
    assert results["score"] == 50.0
    assert [test["status"] for test in results["tests"]].count("passed") == 2
    classroom = json.loads((workspace / "report/learners/ada/classroom.json").read_text())
    assert (classroom["status"], classroom["max_score"]) == ("fail", 100.0)
    assert len(kept(workspace)) == 2  # the same work is judged once


@needs_sandbox
def test_weights_and_private_tests_count(workspace: Path) -> None:
    hand_in(workspace, "ada", app())
    (workspace / "weights.toml").write_text("lid = 8\nprivate = 2\n")
    private = workspace / "mine"
    private.mkdir()
    (private / "test_mine.py").write_text(
        "import pytest\npytestmark = pytest.mark.stage(1)\n\ndef test_mine(scene):\n    'Mine.'\n    assert scene\n"
    )
    done = learn(workspace, *BATCH, "--weights", "weights.toml", "--tests", "mine")
    assert done.returncode == 1, done.stderr
    assert rows(workspace)["ada"]["points"] == "4.00"


@needs_sandbox
def test_the_same_again_is_the_same_verdict(workspace: Path) -> None:
    hand_in(workspace, "ada", HALF)
    books = []
    for _ in range(2):
        learn(workspace, *BATCH, "--regrade")
        book = json.loads((workspace / "report/grades.json").read_text())
        (outcome,) = book["rows"][0]["outcomes"]
        books.append([book["terms"], *[(test["id"], test["verdict"], test["digest"]) for test in outcome["tests"]]])
    assert books[0] == books[1]


@needs_sandbox
def test_a_kill_loses_nothing_and_counts_nothing_twice(workspace: Path) -> None:
    for number in range(12):
        hand_in(workspace, f"learner-{number:02}", app(at_import=f"# {number}"))
    command = [sys.executable, "-m", "grader.cli", "grade", *BATCH]
    before: Sequence[str] = ()
    for round_ in range(3):
        process = subprocess.Popen(
            [*command, *(["--resume"] if round_ else [])],
            cwd=workspace,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            if (workspace / "report" / NAME).exists() and len(kept(workspace)) >= 3 * (round_ + 1):
                break
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert kept(workspace)[: len(before)] == list(before)
        before = kept(workspace)
    with (workspace / "report" / NAME).open("ab") as stream:
        stream.write(b'{"digest": "half a li')
    done = learn(workspace, *BATCH, "--resume")
    assert done.returncode == 1, done.stderr
    assert len(kept(workspace)) == len(set(kept(workspace))) == 12
    assert {row["points"] for row in rows(workspace).values()} == {"25.00"}


@needs_sandbox
def test_ctrl_c_reports_what_is_known_and_leaves_nothing_running(workspace: Path) -> None:
    for number in range(12):
        hand_in(workspace, f"learner-{number:02}", app(at_import=f"# {number}"))
    process = subprocess.Popen(
        [sys.executable, "-m", "grader.cli", "grade", *BATCH],
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not ((workspace / "report" / NAME).exists() and len(kept(workspace)) >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Run: learn grade in --group group-1 --seed 1 --resume" in said
    assert 3 <= len(judged(workspace)) < 12
    waiting = [row for row in rows(workspace).values() if not row["points"]]
    assert {row["not judged"] for row in waiting} == {"not yet: the batch was ended before it came to this"}


@needs_sandbox
def test_a_session_that_is_killed_is_started_anew(workspace: Path) -> None:
    for number in range(8):
        hand_in(workspace, f"learner-{number:02}", app(at_import=f"# {number}"))
    process = subprocess.Popen(
        [sys.executable, "-m", "grader.cli", "grade", *BATCH], cwd=workspace, stdout=subprocess.DEVNULL
    )
    killed: set[int] = set()
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None and len(killed) < 2:
        for pid in _sessions(process.pid) - killed:
            time.sleep(1.0)
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    assert process.wait(60) == 1
    assert len(killed) >= 2
    assert {row["points"] for row in rows(workspace).values()} == {"25.00"}


def _sessions(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
            found |= {each for each in children if b"grader.warm" in Path(f"/proc/{each}/cmdline").read_bytes()}
        except OSError:
            continue
    return found


def test_bad_words_get_one_line_and_the_command_that_mends_it(workspace: Path) -> None:
    hand_in(workspace, "ada", app())
    for words, said in (
        (["in"], "which group is it"),
        (["nowhere", "--group", "group-1"], "there is no nowhere"),
        (["in", "--group", "group-9"], "group 9"),
        (["in", "--group", "group-1", "--unsafe", "--weights", "none.toml"], "cannot read none.toml"),
        (["in", "--group", "group-1", "--roster", "none.csv"], "cannot read none.csv"),
        (["in", "--group", "group-1", "--unsafe", "--scheduler", "tcp://127.0.0.1:9"], ""),
    ):
        done = learn(workspace, *words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "Run: " in done.stderr


@needs_sandbox
def test_a_batch_that_is_there_is_not_overwritten(workspace: Path) -> None:
    hand_in(workspace, "ada", app())
    learn(workspace, *BATCH)
    again = learn(workspace, *BATCH)
    assert (again.returncode, "has a batch in it already" in again.stderr) == (2, True)
    tests = workspace / "groups/group-01-kettle/group.toml"
    tests.write_text(tests.read_text().replace("steam everywhere", "steam here and there"))
    other = learn(workspace, *BATCH, "--resume")
    assert (other.returncode, "is of other tests" in other.stderr) == (2, True)


def test_without_a_sandbox_nothing_is_graded_unless_somebody_says_so(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(workspace, "ada", app())
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(sandbox, "refusal", lambda: "there is no bubblewrap")
    from grader.cli import main

    monkeypatch.setattr(sys, "argv", ["learn", "grade", *BATCH])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no sandbox here (there is no bubblewrap)" in capsys.readouterr().err
    sys.argv.append("--unsafe")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "Graded without a sandbox" in capsys.readouterr().out


@needs_sandbox
def test_works_of_one_length_do_not_share_byte_code(workspace: Path) -> None:
    """Laid out in one folder within one second, they look alike to whoever only asks for size and time."""
    hand_in(workspace, "ada", app())
    hand_in(workspace, "bob", app().replace('body["a"] + body["b"]', 'body["a"] - body["b"]'))
    hand_in(workspace, "cyd", app().replace('body["a"] + body["b"]', 'body["b"] + body["a"]'))
    learn(workspace, *BATCH)
    points = {name: row["points"] for name, row in rows(workspace).items()}
    assert points == {"ada": "25.00", "bob": "0.00", "cyd": "25.00"}


@needs_sandbox
def test_a_work_that_hangs_everywhere_is_waited_for_less_and_less(workspace: Path) -> None:
    hand_in(workspace, "ada", app(at_start="while True: pass"))
    learn(workspace, *BATCH)
    book = json.loads((workspace / "report/grades.json").read_text())
    failures = [test["failure"] for test in book["rows"][0]["outcomes"][0]["tests"]]
    assert {failure["code"] for failure in failures} == {"limit-time"}
    spans = [failure["sees"].partition(" in ")[2] for failure in failures]
    assert spans == ["2 s of computing"] * 3 + ["0.5 s of computing"]


@needs_sandbox
def test_private_tests_are_read_before_anything_is_judged(workspace: Path) -> None:
    hand_in(workspace, "ada", app())
    (workspace / "mine").mkdir()
    for text, said in (
        ("import no_such_module\n", "ERROR tests/test_mine.py: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def test_mine(:\n", "ERROR tests/test_mine.py: SyntaxError: "),
        (
            "import pytest\n@pytest.mark.pattern('lit')\ndef test_mine(scene):\n    pass\n",
            "tests/test_mine.py::test_mine is marked with lit, which is no pattern of group-1: lid",
        ),
    ):
        (workspace / "mine" / "test_mine.py").write_text(text)
        done = learn(workspace, *BATCH, "--tests", "mine")
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert not (workspace / "report").exists()


@needs_sandbox
def test_to_go_on_with_another_batch_takes_nothing_from_the_first(workspace: Path) -> None:
    for name in ("ada", "bob"):
        hand_in(workspace, name, app(at_import=f"# {name}"))
    learn(workspace, *BATCH)
    done = learn(workspace, "in/ada", "--group", "group-1", "--resume")
    assert done.returncode == 2
    assert "the batch in report has bob, which you do not name now" in done.stderr
    assert "--out report-2" in done.stderr
    assert set(rows(workspace)) == {"ada", "bob"}
    hand_in(workspace, "cyd", app(at_import="# late"))
    assert learn(workspace, *BATCH, "--resume").returncode == 1
    assert set(rows(workspace)) == {"ada", "bob", "cyd"}
    assert len(kept(workspace)) == 3
