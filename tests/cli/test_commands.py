"""The commands as one types them: what they print, where, and how they exit.

Each runs in a process of its own, with a suite that answers what it is told to (`told.py`).
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grader.report import machine
from tests import workspaces

TOLD = Path(__file__).parent / "told.py"
PLAIN = {
    name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")
}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Learner:
    """Somebody who types `learn …` in a folder of the workspace."""

    workspace: Path

    def __call__(self, *words: str, told: str = "passed", folder: str = ".", **environment: str) -> Ended:
        process = subprocess.run(
            [sys.executable, str(TOLD), *words],
            cwd=self.workspace / folder,
            env={**PLAIN, "TOLD": told, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert "Traceback" not in process.stderr
        return Ended(process.returncode, process.stdout, process.stderr)

    def json(self, *words: str, told: str = "passed") -> Any:
        ended = self(*words, "--json", told=told)
        document = json.loads(ended.out)
        assert document["exit"] == ended.code
        answer = msgspec.json.decode(ended.out, type=machine.ANSWERS[document["command"]])
        assert json.loads(msgspec.json.encode(answer)) == document, "a field that the schema does not have"
        return document

    def start(self, *words: str, told: str = "passed", **streams: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(TOLD), *words],
            cwd=self.workspace,
            env={**PLAIN, "TOLD": told},
            encoding="utf-8",
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )


@pytest.fixture
def learn(workspace: Path) -> Learner:
    return Learner(workspace)


def app_of(learn: Learner) -> Path:
    return learn.workspace / "groups/group-01-kettle/service/app.py"


# ------------------------------------------------------------------------------------------------ the way through


def test_from_the_first_look_to_the_next_group(learn: Learner) -> None:
    first = learn()
    assert (first.code, first.err) == (0, "")
    assert "▶  1  The kettle boils over" in first.out
    assert "○  2  The cup is filled twice                          locked: needs group 1" in first.out
    assert "learn trigger" in first.out

    briefing = learn("next")
    assert "The kettle boils over\n─────" in briefing.out
    assert "stage 1 of 2: steam everywhere" in briefing.out
    assert (
        "Stubs  groups/group-01-kettle/service/patterns/lid.py\nEdit   groups/group-01-kettle/service/\n"
        "Whole  groups/group-01-kettle/README.md\n" in briefing.out
    )

    red = learn("check", told="passed,passed,failed,todo")
    assert red.code == 1
    assert "✗ stage 1  steam everywhere" in red.out
    assert "everyone hears it" not in red.out, "that is of stage 2"

    green = learn("check", told="passed")
    assert green.code == 0
    assert "✓ Group 1 is solved" in green.out
    assert "Group 2 is open: The cup is filled twice" in green.out

    assert "▶  2  The cup is filled twice" in learn().out


def test_what_to_type_next_is_about_the_group_that_was_asked_for(learn: Learner) -> None:
    """Without a name, it would be about the current one."""
    (learn.workspace / ".learn").mkdir(exist_ok=True)
    (learn.workspace / ".learn" / "settings.toml").write_text('open = "all"\n')
    asked = learn("next", "group-2").out
    assert ("learn trigger group-2" in asked, "learn hint group-2" in asked) == (True, True)
    current = learn("next").out
    assert ("learn hint " in current, "learn hint group" in current) == (True, False)
    assert "learn check group-2" in learn("trigger", "group-2").out


def test_who_has_solved_all_sees_what_that_is(learn: Learner) -> None:
    shutil.rmtree(learn.workspace / "groups" / "group-04-kettle")
    learn("hint", "group-1", "lid")
    learn("check")
    learn("check")
    done = learn("next")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"✓  1  The kettle boils over {29}2 patterns  \d{4}-\d\d-\d\d\n", done.out)
    assert "2 outages ended, 4 patterns applied, with the help of 1 hint." in done.out
    assert "✓ You have solved every group that is written." in done.out
    assert "Groups 3, 4, 5, 6, 7, 8, 9, 10, 11 and 12 are not written yet." in learn().out
    assert learn.json("next")["result"]["group"] is None

    for number in (3, 5, 6, 8, 9):
        workspaces.add_group(learn.workspace, number, f"Kettle {number}")
        assert learn("check").code == 0
    to_come = "Groups 4, 7, 10, 11 and 12 are not written yet.\n  They will open together, in any order."
    assert to_come in learn("next").out


def test_a_red_check_tells_the_incident(learn: Learner) -> None:
    said = learn("check", "--seed", "7", told="passed,failed").out
    assert "production sees  p99 of /tea is 12.4 s, at most 0.05 s (failed 1)" in said
    assert "where            service/app.py:42 in tea" in said
    assert "story            00:01.2  cup 1 asks for tea\n                   00:13.6  cup 1 is still dry" in said
    assert "next             learn hint group-1 lid\n                   learn check group-1 --seed 7" in said


def test_check_shows_two_failures_and_all_when_asked(learn: Learner) -> None:
    few = learn("check", told="failed").out
    assert few.count("production sees") == 1, "the sanity test alone: it comes before stage 1"
    assert learn("check", told="passed,failed").out.count("production sees") == 2
    every = learn("check", "--all", told="failed").out
    assert every.count("production sees") == 5
    assert "0 of 2" in every


def test_a_seed_that_failed_is_used_until_it_passes(learn: Learner) -> None:
    seed = learn.json("check", told="failed")["result"]["outcome"]["seed"]
    assert learn.json("check", told="failed")["result"]["outcome"]["seed"] == seed
    assert learn.json("check", told="passed")["result"]["outcome"]["seed"] == seed
    assert learn.json("check", "1", told="passed")["result"]["outcome"]["seed"] != seed


def test_hints_go_further_and_end(learn: Learner) -> None:
    said = [learn("hint").out for _ in range(4)]
    assert "hint 1 of 3: the symptom" in said[0]
    assert "Steam leaves while the water waits." in said[0]
    assert "hint 2 of 3: the mechanism" in said[1]
    assert "That was the last hint" in said[2]
    assert "There is no further hint" in said[3]


def test_reset_does_nothing_unasked_and_keeps_a_copy(learn: Learner) -> None:
    learn("next")
    app_of(learn).write_text("mine")
    unasked = learn("reset")
    assert (unasked.code, app_of(learn).read_text()) == (2, "mine")
    assert unasked.err.endswith("Run: learn reset group-1 --yes\n")
    done = learn("reset", "service/app.py", "--yes", folder="groups/group-01-kettle")
    assert app_of(learn).read_text() == workspaces.SHIPPED["service/app.py"]
    (kept,) = re.findall(r"kept in (\S+)", done.out)
    assert (learn.workspace / "groups/group-01-kettle" / kept / "service/app.py").read_text() == "mine"
    assert "Nothing to reset" in learn("reset").out


def test_trigger_hands_on_seed_and_settings(learn: Learner) -> None:
    ended = learn("trigger", "--seed", "5", "--set", "latency=10x", "--set", "load=2", "--json")
    result = json.loads(ended.out)["result"]
    assert (result["seed"], result["settings"]) == (5, {"latency": "10x", "load": "2"})
    assert "learn check" in learn().out


def test_pipes_and_no_colour_get_plain_text_and_force_colour_paints(learn: Learner) -> None:
    assert "\x1b" not in learn("check", told="failed").out
    assert "\x1b[" in learn("check", told="failed", FORCE_COLOR="1").out
    assert "\x1b" not in learn("check", told="failed", FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b[" in learn(FORCE_COLOR="1").out
    assert "\x1b" not in learn(FORCE_COLOR="1", NO_COLOR="1").out


def test_nothing_is_wider_than_80_columns(learn: Learner) -> None:
    for words in [(), ("next",), ("check",), ("check", "--all"), ("hint",), ("--help",), ("check", "--help")]:
        assert max(map(len, learn(*words, told="passed,failed,learner-error,limit,todo").out.splitlines())) <= 80


def test_a_terminal_without_unicode_gets_letters(learn: Learner) -> None:
    ended = learn("check", told="passed,failed", PYTHONIOENCODING="ascii")
    assert "+ sanity" in ended.out
    assert "x stage 1" in ended.out


# ------------------------------------------------------------------------------------------------ what can go wrong


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "gruop-2"], 2, "✗ there is no group “gruop-2”: did you mean group-2 or group-4? Run: learn\n"),
        (["check", "9"], 2, "✗ group 9, “Cost explodes”, is not written yet. Run: learn\n"),
        (
            ["check", "2"],
            3,
            "✗ group 2 is locked until group 1, “The kettle boils over”, has passed. Run: learn check group-1\n",
        ),
        (["next", "group-4"], 3, "has passed. Run: learn check group-1\n"),
        (
            ["hint", "1", "wistle"],
            2,
            "✗ there is no pattern “wistle”: did you mean whistle? Run: learn hint group-1 whistle\n",
        ),
        (["reset", "1", "ap.py"], 2, "✗ there is no file “ap.py”: did you mean service/app.py? Run: learn reset"),
        (["chekc"], 2, "Did you mean 'check'? Run: learn --help\n"),
        (["check", "--al"], 2, "Run: learn --help\n"),
        (["check", "--seed", "x"], 2, "Run: learn --help\n"),
        (["check", "1", "2"], 2, "Run: learn --help\n"),
        (["trigger", "--set", "latency"], 2, "✗ --set takes NAME=VALUE, and not “latency”. Run: learn trigger"),
        (["--json", "next"], 2, "✗ --json comes after the command. Run: learn next --json\n"),
    ],
)
def test_bad_words_get_one_line_and_the_command_that_mends_it(
    learn: Learner, words: list[str], code: int, said: str
) -> None:
    ended = learn(*words)
    assert ended.code == code
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_mistake_is_told_in_json_too(learn: Learner) -> None:
    answer = learn.json("check", "2")
    assert (answer["command"], answer["exit"], answer["result"]) == ("check", 3, None)
    assert answer["error"]["mend"] == "learn check group-1"


def test_a_folder_that_is_no_workspace(tmp_path_factory: pytest.TempPathFactory) -> None:
    ended = Learner(tmp_path_factory.mktemp("elsewhere"))()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no Brownout workspace. Run: cd path/to/brownout" in ended.err


def test_a_broken_group_toml_is_ours(learn: Learner) -> None:
    (learn.workspace / "groups/group-02-kettle/group.toml").write_text("id = ")
    ended = learn()
    assert ended.code == 4
    assert ended.err.endswith("Run: git checkout -- groups/group-02-kettle/group.toml\n")


def test_a_broken_state_file_is_set_aside_and_the_command_goes_on(learn: Learner) -> None:
    (learn.workspace / ".learn").mkdir()
    (learn.workspace / ".learn/progress.json").write_text("{")
    ended = learn()
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert "▶  1" in ended.out
    assert "! .learn/progress.json was broken" in ended.err
    assert learn().err == ""


def test_a_disk_that_takes_nothing_does_not_stop_a_check(learn: Learner) -> None:
    (learn.workspace / ".learn").write_text("no folder can be made here")
    ended = learn("check", told="failed")
    assert ended.code == 1
    assert "could not save your progress" in ended.err


@pytest.mark.parametrize("told", ["crash", "ours", "passed,ours"])
def test_a_fault_of_the_grader_is_exit_4_and_no_traceback(learn: Learner, told: str) -> None:
    ended = learn("check", told=told)
    assert ended.code == 4
    assert "no fault of yours" in ended.out + ended.err
    assert "0 of 12 groups solved" in learn().out


def test_our_traceback_goes_to_a_file(learn: Learner) -> None:
    ended = learn("check", told="crash")
    assert ended.err.count("\n") == 1
    assert ".learn/crash.log" in ended.err
    assert "KeyError" in (learn.workspace / ".learn/crash.log").read_text()


def test_what_the_learners_code_says_cannot_paint_the_terminal(learn: Learner) -> None:
    assert "\x1b" not in learn("check", "\x1b[31mred").err


def test_two_checks_at_once_both_end_and_the_second_says_that_it_waits(learn: Learner) -> None:
    first = learn.start("check", told="slow")
    assert first.stdout
    assert first.stdout.readline() == "running\n"
    second = learn.start("check", told="passed")
    assert second.stderr
    assert "another learn check runs in this workspace: waiting for it" in second.stderr.readline()
    (learn.workspace / "go").touch()
    assert (first.wait(30), second.wait(30)) == (0, 0)
    assert "1 of 12 groups solved" in learn().out
    for process in (first, second):
        process.communicate()


def test_ctrl_c_is_130_without_a_word(learn: Learner) -> None:
    process = learn.start("check", told="slow")
    assert process.stdout
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("words", [[], ["next"], ["next", "--help"]])
def test_ctrl_c_at_any_moment_leaves_no_traceback_of_ours(workspace: Path, words: list[str]) -> None:
    code = f"import sys; sys.path.insert(0, {str(TOLD.parents[2])!r}); from grader.cli import main; main()"
    for delay in (0.02, 0.03, 0.04, 0.05, 0.07, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            cwd=workspace,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        # Python itself may be interrupted before it has come to us
        assert "/grader/" not in err
        assert process.returncode in (0, 1, 130, -signal.SIGINT)


@pytest.mark.parametrize("words", [[], ["next"], ["check"], ["check", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(learn: Learner, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = learn.start(*words, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode == 141


def test_a_check_counts_even_when_nobody_reads_it(learn: Learner) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    learn.start("check", stdout=writer).communicate()
    os.close(writer)
    assert "1 of 12 groups solved" in learn().out


# ------------------------------------------------------------------------------------------------ a terminal


def in_terminal(
    learn: Learner, *words: str, keys: Callable[[str], str | None] | None = None, told: str = "passed"
) -> Ended:
    """Type the words at a terminal of 80 columns; `keys` gives what to type after what was seen."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(TOLD), *words],
        cwd=learn.workspace,
        env={**PLAIN, "TERM": "xterm", "TOLD": told, "COLUMNS": "80", "PACE": "0.02"},
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )
    os.close(side)
    seen = ""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.1)[0]:
            try:
                seen += os.read(main, 4096).decode("utf-8", "replace")
            except OSError:
                break
            if keys and (typed := keys(seen)):
                os.write(main, typed.encode())
                keys = None
    os.close(main)
    return Ended(process.wait(30), seen, "")


def test_a_terminal_gets_colour_and_a_line_that_lives(learn: Learner) -> None:
    ended = in_terminal(learn, "check", told="passed,passed,failed,todo")
    assert ended.code == 1
    assert "Group 1:  ✓ 2" in ended.out
    assert "\x1b[31m" in ended.out


@pytest.mark.parametrize(
    ("answer", "code", "left"),
    [("y\n", 0, "shipped"), ("n\n", 0, "mine"), ("\n", 0, "mine"), ("\x03", 130, "mine"), ("\x04", 0, "mine")],
)
def test_reset_asks_and_only_yes_is_yes(learn: Learner, answer: str, code: int, left: str) -> None:
    learn("next")
    app_of(learn).write_text("mine")
    ended = in_terminal(learn, "reset", keys=lambda seen: answer if "[y/N]" in seen else None)
    assert ended.code == code
    assert "Traceback" not in ended.out
    now = app_of(learn).read_text()
    assert now == ("mine" if left == "mine" else workspaces.SHIPPED["service/app.py"])
