"""Completion: what the shells ask, what they are answered, and that asking changes and prints nothing else."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grader.outcome import Verdict
from grader.progress import Course
from tests import workspaces
from tests.cli.test_commands import PLAIN, Learner

COMMANDS = ["init", "next", "trigger", "check", "story", "watch", "serve", "hint", "reset", "solution"]
COMMANDS += ["grade", "verify", "calibrate", "new", "completion"]
STUBS = ["service/patterns/lid.py", "service/patterns/whistle.py"]


@pytest.fixture
def learn(workspace: Path) -> Learner:
    return Learner(workspace)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH with `learn` in it, whatever else this environment has."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "learn").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from grader.cli import main\nmain()\n"
    )
    (folder / "learn").chmod(0o755)
    return folder


def asked(folder: Path, *words: str) -> list[str]:
    """What bash is told may stand for the last of the words."""
    environment = {
        "_LEARN_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "grader.cli"],
        cwd=folder,
        env={**PLAIN, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["learn", ""], COMMANDS),
        (["learn", "c"], ["check", "calibrate", "completion"]),
        (["learn", "check", ""], ["group-1"]),
        (["learn", "check", "--"], ["--all", "--debug", "--seed", "--json", "--help"]),
        (["learn", "verify", ""], ["group-1", "group-2", "group-4"]),
        (["learn", "grade", "--group", "group-4"], ["group-4"]),
        (["learn", "hint", ""], ["group-1", "lid", "whistle"]),
        (["learn", "hint", "group-1", "w"], ["whistle"]),
        (["learn", "reset", "group-1", "service/p"], STUBS),
        (["learn", "reset", "2", "R"], ["README.md"]),
        (["learn", "solution", ""], []),
        (["learn", "completion", ""], ["bash", "zsh", "fish"]),
        (["learn", "hint", "nosuch", ""], []),
        (["learn", "nosuch", ""], COMMANDS),
    ],
)
def test_what_may_come_next(workspace: Path, words: list[str], told: list[str]) -> None:
    assert asked(workspace, *words) == told


def test_what_has_passed_opens_more(workspace: Path) -> None:
    course = Course(workspace)
    course.record(course.groups["group-1"], workspaces.outcome(1, 7, Verdict.PASSED))
    assert asked(workspace, "learn", "check", "") == ["group-1", "group-2"]
    assert asked(workspace, "learn", "solution", "") == ["group-1"]
    assert "service/app.py" in asked(workspace, "learn", "solution", "group-1", "")


@pytest.mark.parametrize("words", [["learn", ""], ["learn", "hint", "1", ""]])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_where_something_is_wrong_nothing_is_printed_and_nothing_changed(
    tmp_path: Path, words: list[str], shell: str
) -> None:
    nowhere, broken, newer = (tmp_path / name for name in ("nowhere", "broken", "newer"))
    nowhere.mkdir()
    workspaces.add_group(broken, 1, "The kettle boils over")
    shutil.copytree(broken, newer)
    (broken / ".learn").mkdir()
    (broken / ".learn/progress.json").write_text("{")
    (broken / ".learn/curriculum.json").write_text("{")
    (newer / ".learn").mkdir()
    (newer / ".learn/progress.json").write_text('{"version": 99}')
    (newer / "groups/group-01-kettle/group.toml").write_text("id = ")
    variables = {
        "_LEARN_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": " ".join(words),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    for folder in (nowhere, broken, newer):
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        ended = subprocess.run(
            [sys.executable, "-m", "grader.cli"],
            cwd=folder,
            env={**PLAIN, **variables},
            capture_output=True,
            timeout=60,
        )
        assert ended.stderr == b""
        assert b"Traceback" not in ended.stdout
        assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
        assert (b"calibrate" in ended.stdout) == (words == ["learn", ""])


@pytest.mark.parametrize("asks", ["", "complete", "complete_tcsh", "source_bash", "nonsense"])
def test_a_question_that_means_nothing_is_not_answered(workspace: Path, asks: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "grader.cli"],
        cwd=workspace,
        env={**PLAIN, "_LEARN_COMPLETE": asks},
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, b"", b"")
    assert not (workspace / ".learn").exists()


def test_the_script_is_printed_for_the_shell_that_is_named_or_runs(learn: Learner) -> None:
    for shell in ("bash", "zsh", "fish"):
        named = learn("completion", shell)
        assert (named.code, named.err) == (0, "")
        assert f"_LEARN_COMPLETE=complete_{shell}" in named.out
        assert learn("completion", SHELL=f"/usr/bin/{shell}").out == named.out
        assert learn.json("completion", shell)["result"] == {"shell": shell, "script": named.out}
    refused = learn("completion", "tcsh")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err == "✗ there is no completion for “tcsh”, but for bash, zsh or fish. Run: learn completion bash\n"


def at_a_prompt(shell: list[str], script: str, folder: Path, program: Path, typed: str, wanted: str) -> str:
    """Type at an interactive shell that has the script; what was on the screen until `wanted` was, or 30 s passed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        path = f"{program}:{os.environ['PATH']}"
        os.execvpe(shell[0], shell, {**PLAIN, "PATH": path, "TERM": "xterm", "PS1": "$ ", "HOME": str(program)})
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 30
        while text not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    seen += os.read(terminal, 65536).decode("utf-8", "replace")
                except OSError:
                    return

    try:
        os.write(terminal, f"{script}; echo REA''DY\r".encode())
        until("READY")
        seen = ""
        os.write(terminal, typed.encode())
        until(wanted)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return seen


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(learn completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'eval "$(learn completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "learn completion fish | source"),
}


@pytest.mark.parametrize("shell", list(SHELLS))
@pytest.mark.parametrize(("typed", "wanted"), [("learn cal\t", "calibrate"), ("learn hint group-1 wh\t", "whistle")])
def test_a_real_shell_completes(workspace: Path, program: Path, shell: str, typed: str, wanted: str) -> None:
    command, script = SHELLS[shell]
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {shell} here")
    seen = at_a_prompt(command, script, workspace, program, typed, wanted)
    assert wanted in seen
    assert "Error" not in seen
    assert "not found" not in seen
