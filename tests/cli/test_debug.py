"""`learn check --debug`: the terminal is the debugger's, virtual time stands still, the verdict stays what it was."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader import suite
from grader.curriculum import Group, read_groups
from grader.outcome import TestOutcome, Verdict
from grader.progress import Course
from tests.attacks.target import HALF, app, make
from tests.test_plugin import is_installed

PROMPT = "(Pdb) "
PATIENCE = 30.0

LATE = """\
at = time.monotonic()
{stop}; await asyncio.sleep(3.0)
body["a"] += random.randrange(2) if time.monotonic() - at > 3.1 else 0"""
"""A handler that tells whether a debugger touches the clock."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make(tmp_path)
    return tmp_path


def group_of(workspace: Path) -> Group:
    return read_groups(workspace)["group-1"]


def write(workspace: Path, text: str) -> None:
    (group_of(workspace).path / "service" / "app.py").write_text(text)


LEAD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A command in a terminal of its own, of which it is the session's leader."""

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        plain = {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "80"}
        # what a shell keeps open, so that the modes can be looked at when all have gone
        self._ours, self._theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEAD, *command],
            cwd=folder,
            env={**os.environ, **plain, **environment},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )
        self.said = ""

    def until(self, text: str) -> str:
        """What is said up to the text, which is taken from what is still to be read."""
        end = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self._ours], [], [], 0.1)[0]:
                self.said += os.read(self._ours, 65536).decode().replace("\r\n", "\n")
        found, _, self.said = self.said.partition(text)
        return found

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode())

    def ask(self, line: str) -> str:
        """What pdb answers."""
        self.type(f"{line}\n")
        return self.until(PROMPT)

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it has said by then."""
        code = self.process.wait(PATIENCE)
        while select.select([self._ours], [], [], 0.1)[0]:
            self.said += os.read(self._ours, 65536).decode().replace("\r\n", "\n")
        return code, self.said

    @property
    def echoes(self) -> bool:
        modes: int = termios.tcgetattr(self._theirs)[3]
        return bool(modes & termios.ECHO) and bool(modes & termios.ICANON)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


Debug = Callable[..., Terminal]


@pytest.fixture
def debug(workspace: Path) -> Iterator[Debug]:
    """`learn check --debug --seed 1` of a service."""
    begun = []

    def begin(text: str, *words: str, **environment: str) -> Terminal:
        write(workspace, text)
        learn = (sys.executable, "-m", "grader.cli", "check", "--debug", "--seed", "1", *words)
        begun.append(Terminal(workspace, *learn, **environment))
        return begun[-1]

    yield begin
    for terminal in begun:
        terminal.close()


# ------------------------------------------------------------------------------------------------ the debugger works


def test_one_looks_around_and_goes_on_to_the_first_red_test(debug: Debug) -> None:
    terminal = debug(app(in_handler="breakpoint()\nmore = 1\nless = 2"))
    begun = terminal.until(PROMPT)
    assert "One test after the other" in begun
    assert all(len(line) <= 80 for line in begun.splitlines())
    assert re.match(r"where\n> service/app.py\(\d+\)add\(\)\n", terminal.ask("where")), "the learner's frames alone"
    assert re.fullmatch(r"p body\n\{'a': \d+, 'b': \d+\}\n", terminal.ask("p body"))
    assert "-> less = 2" in "".join(terminal.ask("next") for _ in range(2))
    assert terminal.ask("p more") == "p more\n1\n"
    terminal.type("continue\n")
    code, said = terminal.end()
    assert code == 1
    assert "✓ Two numbers and their sum" in said
    assert "✗ What was put is there after a restart" in said
    assert "A price is asked for" not in said, "the first red test is the last that runs"


def in_a_thread(stop: str) -> str:
    top = f"import asyncio\ndef look(body):\n    {stop}\n    return body['a']"
    return app(at_import=top, in_handler="body['a'] = await asyncio.to_thread(look, body)")


SYNC = app().replace("async def add(request: Request):", "def add(body: dict):").replace(
    "body = await request.json()", "breakpoint()"
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (SYNC, "add()"),
        (app(in_handler="import pdb; pdb.set_trace(); pass"), "add()"),
        (app(at_import="breakpoint()"), "<module>()"),
        (app(at_start="breakpoint()"), "create_app()"),
        (in_a_thread("breakpoint()"), "look()"),
        (in_a_thread("import pdb; pdb.Pdb().set_trace()"), "look()"),
    ],
    ids=["a sync handler", "set_trace", "at import", "at start", "in a thread", "an own Pdb"],
)
def test_it_stops_wherever_it_is_told_to(debug: Debug, text: str, where: str) -> None:
    terminal = debug(text)
    terminal.until(f"{where}\n")
    terminal.until(PROMPT)
    assert terminal.ask("p 6 * 7").endswith("\n42\n")
    terminal.type("quit\n")
    code, said = terminal.end()
    assert code == 1
    assert re.search(r"▶ You left the debugger at service/app.py:\d+. Again: learn check group-1 --debug\n", said)


def test_the_debugger_of_a_real_terminal_has_readline(debug: Debug) -> None:
    terminal = debug(app(in_handler="breakpoint(); pass"), TERM="xterm")
    terminal.until(PROMPT)
    terminal.type("2\x01p 1 + 4\n")  # Ctrl-A goes to the start of the line
    assert "43" in terminal.until(PROMPT)
    terminal.type("quit\n")
    assert terminal.end()[0] == 1
    assert terminal.echoes


def test_next_passes_over_an_await_and_time_with_it(debug: Debug) -> None:
    handler = "began = time.monotonic()\nbreakpoint()\nawait asyncio.sleep(2)\ndone = True"
    terminal = debug(app(at_import="import asyncio, time", in_handler=handler))
    while "-> done" not in terminal.until(PROMPT):
        terminal.type("next\n")
    assert terminal.ask("p 2 <= time.monotonic() - began < 2.1").endswith("\nTrue\n")


# ------------------------------------------------------------------------------------------------ nothing else changes


def outcome_of(workspace: Path, stop: str) -> TestOutcome:
    """The first test, of a service with this in place of a breakpoint, judged as `learn check` does."""
    write(workspace, app(at_import="import asyncio, random, time", in_handler=LATE.format(stop=stop)))
    group = group_of(workspace)
    return suite.run(group, root=group.path, pristine=group.path, seed=1, only=[FIRST]).tests[0]


FIRST = "tests/test_kettle.py::test_it_adds"

DEBUG = """\
import json, sys
from pathlib import Path
from grader import suite
from grader.curriculum import read_group
group = read_group(Path(sys.argv[1]))
outcome = suite.debug(group, root=group.path, pristine=group.path, seed=1, patterns={}, terminal="dumb")
print("END", json.dumps([[test.id, test.verdict, test.digest] for test in outcome.tests]), "END")
"""


def test_neither_the_verdict_nor_the_tape_knows_of_a_debugger(workspace: Path) -> None:
    without = outcome_of(workspace, "pass")
    write(workspace, app(at_import="import asyncio, random, time", in_handler=LATE.format(stop="breakpoint()")))
    terminal = Terminal(workspace, sys.executable, "-c", DEBUG, str(group_of(workspace).path / "group.toml"))
    try:
        terminal.until(PROMPT)
        time.sleep(0.5)
        terminal.ask("where")
        terminal.ask("p body")
        terminal.type("continue\n")
        terminal.until("END ")
        judged = terminal.until(" END")
    finally:
        terminal.close()
    name, verdict, digest = json.loads(judged)[0]
    assert without.digest
    assert (name, verdict, digest) == (without.id, without.verdict, without.digest)


def test_what_was_red_comes_first(debug: Debug, workspace: Path) -> None:
    write(workspace, HALF)
    group = group_of(workspace)
    course = Course(workspace)
    course.record(group, suite.run(group, root=group.path, pristine=group.path, seed=1))
    terminal = debug(HALF)
    code, said = terminal.end()
    assert code == 1
    assert "✗ A price is asked for once" in said


def test_a_check_with_a_debugger_proves_nothing_and_keeps_the_seed(debug: Debug, workspace: Path) -> None:
    terminal = debug(app())
    assert terminal.end()[0] == 1
    kept = Course(workspace).of(group_of(workspace))
    assert (kept.failed_seed, kept.patterns, kept.passed_at) == (1, {}, "")


# ------------------------------------------------------------------------------------------------ how it ends


def test_ctrl_d_leaves_it(debug: Debug) -> None:
    terminal = debug(app(in_handler="breakpoint(); pass"))
    terminal.until(PROMPT)
    terminal.type("\x04")
    code, said = terminal.end()
    assert code == 1
    assert "\n▶ You left the debugger at service/app.py:" in said


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_ctrl_c_ends_it_and_leaves_the_terminal_as_it_was(debug: Debug, term: str) -> None:
    terminal = debug(app(in_handler="breakpoint(); pass"), TERM=term)
    terminal.until(PROMPT)
    terminal.type("p 1")
    time.sleep(0.2)
    terminal.type("\x03")
    code, said = terminal.end()
    assert code == 130
    assert "Traceback" not in said
    assert terminal.echoes


def test_whoever_kills_it_leaves_nobody_at_the_terminal(debug: Debug) -> None:
    terminal = debug(app(at_import="print('host', os.getppid(), flush=True)", in_handler="breakpoint(); pass"))
    terminal.until("host ")
    forkserver = int(terminal.until("\n"))
    terminal.until(PROMPT)
    terminal.process.kill()
    end = time.monotonic() + PATIENCE
    while is_there(forkserver):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


# ------------------------------------------------------------------------------------------------ without a debugger


@pytest.mark.parametrize("stop", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_breakpoint_that_nobody_waits_for_is_told_of_at_once(workspace: Path, stop: str) -> None:
    write(workspace, app(in_handler=f"{stop}; pass"))
    group = group_of(workspace)
    test = suite.run(group, root=group.path, pristine=group.path, seed=1, only=[FIRST]).tests[0]
    assert test.verdict is Verdict.LEARNER_ERROR
    assert test.failure
    assert test.failure.code == "breakpoint"
    assert test.failure.sees == "the service stops at breakpoint() at service/app.py:12, and no terminal is attached"
    assert test.failure.next == "learn check group-1 --debug"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "✗ --debug needs a terminal, and this is none. Run: learn check group-1\n"),
        (["--json"], "✗ --debug is for a person at a terminal, and --json for a program. Run: learn check --debug\n"),
    ],
    ids=["no terminal", "json"],
)
def test_where_nobody_can_be_asked_it_is_refused(workspace: Path, words: list[str], line: str) -> None:
    command = [sys.executable, "-m", "grader.cli", "check", "--debug", *words]
    refused = subprocess.run(
        command, cwd=workspace, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stderr) == (2, line)


def test_plain_pytest_without_limits_has_the_debugger_too(workspace: Path) -> None:
    write(workspace, app(in_handler="breakpoint(); pass"))
    folder = group_of(workspace).path
    plugins = () if is_installed() else ("-p", "grader.plugin")
    words = (*plugins, "-p", "no:cacheprovider", "--real-limits", "off", "-s", "-q", "-k", "adds")
    terminal = Terminal(folder, sys.executable, "-m", "pytest", *words)
    try:
        assert "service/app.py(" in terminal.until(PROMPT)
        terminal.type("c\n")
        code, said = terminal.end()
    finally:
        terminal.close()
    assert code == 0, said
    assert "1 passed" in said
