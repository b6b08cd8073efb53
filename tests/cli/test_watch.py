"""`learn watch`: what a save is, what comes first, and what the keys do."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.target import HALF, app, make

WRONG = app().replace('body["a"] + body["b"]', 'body["a"] - body["b"]')
"""Passes none."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make(tmp_path)
    save(tmp_path, app())
    return tmp_path


def save(workspace: Path, text: str) -> None:
    file = workspace / "groups" / "group-01-kettle" / "service" / "app.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


class Watching:
    """`learn watch` in a terminal of 80 columns, or at a pipe."""

    def __init__(self, workspace: Path, *words: str, terminal: bool) -> None:
        ours, theirs = pty.openpty()
        self._terminal = ours
        command = [sys.executable, "-m", "grader.cli", "watch", *words]
        environment = os.environ | {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=workspace,
            env=environment,
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs if terminal else subprocess.PIPE,
            stderr=theirs if terminal else subprocess.PIPE,
            start_new_session=True,
        )
        os.close(theirs)
        self._source = ours if terminal else self.process.stdout.fileno() if self.process.stdout else -1
        self.said = ""

    def until(self, text: str, seconds: float = 40.0) -> str:
        """What it says up to the text, which is taken from what is still to be read."""
        end = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self._source], [], [], 0.1)[0]:
                try:
                    data = os.read(self._source, 65536)
                except OSError:  # a terminal that nobody has open any more
                    data = b""
                assert data, self.said
                self.said += data.decode()
        found, _, self.said = self.said.partition(text)
        return found

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._terminal)


@pytest.fixture
def terminal(workspace: Path) -> Iterator[Watching]:
    watching = Watching(workspace, "--seed", "1", terminal=True)
    yield watching
    watching.end()


@pytest.fixture
def pipe(workspace: Path) -> Iterator[Watching]:
    watching = Watching(workspace, "--seed", "1", "--json", terminal=False)
    yield watching
    watching.end()


def passed(line: str) -> int:
    answer = json.loads(line)
    assert (answer["schema"], answer["command"]) == ("brownout/1", "watch")
    return sum(test["verdict"] == "passed" for test in answer["result"]["outcome"]["tests"])


def test_each_save_is_judged_and_what_turned_is_said_first(workspace: Path, terminal: Watching) -> None:
    first = terminal.until("q quit")
    assert "watching group-01-kettle/" in first
    assert "1 of 4" in first
    save(workspace, HALF)
    said = terminal.until("q quit")
    assert "saved service/app.py" in said
    assert "✓ now green    What was put is there after a restart, and nothing else" in said
    assert said.index("now green") < said.index("2 of 4")
    save(workspace, app())
    said = terminal.until("q quit")
    assert "✗ now red      What was put is there after a restart" in said
    assert "1 of 4" in said


def test_keys_do_what_they_say(workspace: Path, terminal: Watching) -> None:
    terminal.until("q quit")
    terminal.press("l")
    assert "The kettle is attacked" in terminal.until("steam everywhere")
    terminal.press("?")
    terminal.until("q quit")
    terminal.press("r")
    assert "1 of 4" in terminal.until("q quit")
    terminal.press("a")
    assert "What only the tests know" in terminal.until("Not there yet")
    terminal.press("s")
    assert "production sees" in terminal.until("one step of help")
    terminal.press("q")
    assert terminal.process.wait(10) == 1


def test_ctrl_c_ends_it_and_leaves_nothing(workspace: Path, terminal: Watching) -> None:
    terminal.until("q quit")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.process.wait(10) == 130


def test_programs_get_a_line_for_each_run(workspace: Path, pipe: Watching) -> None:
    assert passed(pipe.until("\n")) == 1
    save(workspace, HALF)
    assert passed(pipe.until("\n")) == 2


def test_a_save_that_changes_nothing_is_none(workspace: Path, pipe: Watching) -> None:
    assert passed(pipe.until("\n")) == 1
    save(workspace, app())
    service = workspace / "groups" / "group-01-kettle" / "service"
    (service / ".app.py.swp").write_text("what an editor keeps")
    (service / "notes.txt").write_text("not of the service")
    (service / "app.py~").write_text(WRONG)
    time.sleep(1.0)
    save(workspace, HALF)
    assert passed(pipe.until("\n")) == 2


def test_an_atomic_save_is_one(workspace: Path, pipe: Watching) -> None:
    """As editors do it: a new file takes the old one's place, which was moved away before."""
    assert passed(pipe.until("\n")) == 1
    file = workspace / "groups" / "group-01-kettle" / "service" / "app.py"
    fresh = file.with_name("4913")
    fresh.write_text(HALF)
    file.rename(file.with_name("app.py~"))
    fresh.rename(file)
    assert passed(pipe.until("\n")) == 2
    assert not select.select([pipe._source], [], [], 1.0)[0]


def test_a_save_in_the_middle_of_a_run_begins_another(workspace: Path, pipe: Watching) -> None:
    assert passed(pipe.until("\n")) == 1
    save(workspace, app(in_handler="while True: pass"))
    time.sleep(1.0)
    save(workspace, HALF)
    assert passed(pipe.until("\n", seconds=15.0)) == 2


def test_a_file_that_is_gone_and_comes_back(workspace: Path, pipe: Watching) -> None:
    assert passed(pipe.until("\n")) == 1
    file = workspace / "groups" / "group-01-kettle" / "service" / "app.py"
    file.unlink()
    assert passed(pipe.until("\n")) == 0
    save(workspace, HALF)
    assert passed(pipe.until("\n")) == 2


def test_a_warm_suite_that_is_killed_is_begun_anew(workspace: Path, pipe: Watching) -> None:
    assert passed(pipe.until("\n")) == 1
    for task in Path(f"/proc/{pipe.process.pid}/task").glob("*/children"):
        for child in task.read_text().split():
            os.kill(int(child), signal.SIGKILL)
    save(workspace, HALF)
    assert passed(pipe.until("\n")) == 2


def test_a_locked_group_is_refused(workspace: Path) -> None:
    command = [sys.executable, "-m", "grader.cli", "watch", "group-2"]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 3)
    assert len(done.stderr.splitlines()) == 1
