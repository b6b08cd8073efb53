"""`learn init`, and what `learn` says after an upgrade, as one types them where no clone is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import workspaces
from tests.cli.test_commands import PLAIN, TOLD, Ended, Learner

APP = "groups/group-01-kettle/service/app.py"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return workspaces.add_package(tmp_path / "package")


@dataclass(frozen=True)
class Elsewhere(Learner):
    """Types `learn …` in a folder with no clone around it."""

    package: Path

    def __call__(self, *words: str, told: str = "passed", folder: str = ".", **environment: str) -> Ended:
        return super().__call__(*words, told=told, folder=folder, SHIPPED=str(self.package), **environment)


@pytest.fixture
def learn(package: Path, tmp_path: Path) -> Elsewhere:
    (tmp_path / "home").mkdir()
    return Elsewhere(tmp_path / "home", package)


def test_from_nothing_to_the_next_group(learn: Elsewhere) -> None:
    nowhere = learn()
    assert (nowhere.code, nowhere.out) == (2, "")
    assert nowhere.err.endswith("this is no Brownout workspace. Run: learn init brownout\n")
    made = learn("init", "brownout")
    assert (made.code, made.err) == (0, "")
    assert made.out == (
        "✓ A workspace in brownout/: 2 groups of Brownout 0.1.0.\n\n"
        "Next   cd brownout\n       learn         where you are\n       learn next    the first briefing\n"
    )
    assert "▶  1  The kettle boils over" in learn(folder="brownout").out
    assert "The kettle boils over\n─────" in learn("next", folder="brownout").out
    assert learn("solution", folder="brownout").code == 3
    assert "Group 2 is open" in learn("check", folder="brownout").out
    solution = learn("solution", folder="brownout")
    assert (solution.code, solution.err) == (0, "")
    assert "solutions/group-01-kettle/reference/" in solution.out
    assert "A lid costs a lid." in solution.out
    assert (learn.workspace / "brownout/solutions/group-01-kettle/reference/service/app.py").exists()


def test_init_answers_in_json(learn: Elsewhere) -> None:
    made = learn.json("init", "brownout")["result"]
    assert (made["folder"], made["laid"]["fresh"], made["laid"]["groups"]) == ("brownout", True, 2)
    assert f"{APP}" in made["laid"]["added"]
    again = learn.json("init", "brownout")["result"]["laid"]
    assert (again["fresh"], again["added"], again["updated"]) == (False, [], [])
    (learn.workspace / "thesis.tex").touch()
    refused = learn.json("init")
    assert refused["error"] == {
        "what": "this folder has other things in it, such as brownout",
        "mend": "learn init brownout",
    }
    assert learn.json("init", "a", "b")["error"]["mend"] == "learn --help"


def test_init_without_a_name_is_about_the_workspace_around_or_this_folder(learn: Elsewhere) -> None:
    assert learn("init").out.startswith("✓ A workspace here: 2 groups")
    (learn.workspace / "groups/group-02-kettle/README.md").unlink()
    ended = learn("init", folder="groups/group-01-kettle/service")
    assert ended.out == (
        "✓ This workspace is up to date with Brownout 0.1.0.\n  new       groups/group-02-kettle/: README.md\n"
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(learn: Elsewhere) -> None:
    learn.workspace.chmod(0o555)
    ended = learn("init", "brownout")
    learn.workspace.chmod(0o755)
    assert ended.code == 4
    assert ended.err == "✗ could not write brownout: Permission denied. Run: learn init brownout\n"


def test_an_upgrade_is_said_by_learn_once_and_to_programs_until_then(learn: Elsewhere) -> None:
    learn("init")
    (learn.workspace / APP).write_text("mine")
    assert learn.json()["result"]["changes"] is None
    workspaces.change(learn.package, 1, {"README.md": "# New\n", "service/app.py": "new\n"})
    for _ in range(2):
        changes = learn.json()["result"]["changes"]
        assert [(one["id"], one["changed"], one["yours"]) for one in changes["groups"]] == [
            ("group-1", ["README.md", "service/app.py"], ["service/app.py"])
        ]
    said = learn()
    assert (said.code, said.err) == (0, "")
    assert (
        "Brownout 0.1.0: the groups have changed\n  group 1   changed: README.md\n"
        "            service/app.py changed; you edited yours, so it is untouched. The\n"
        "            new one:\n            learn reset group-1 service/app.py\n"
        "  learn init  brings it here; what you edited stays as it is\n" in said.out
    )
    assert "changed" not in learn().out
    assert learn.json()["result"]["changes"] is None
    assert (learn.workspace / APP).read_text() == "mine"
    assert learn("init").out.startswith("✓ This workspace is up to date with Brownout 0.1.0.\n  updated")
    assert (learn.workspace / "groups/group-01-kettle/README.md").read_text() == "# New\n"


def test_nobody_read_it_so_it_is_said_again(learn: Elsewhere) -> None:
    learn("init")
    workspaces.change(learn.package, 1, {"README.md": "# New\n"})
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, str(TOLD)], cwd=learn.workspace, env={**PLAIN, "SHIPPED": str(learn.package)}, stdout=writer
    )
    os.close(writer)
    assert ended.returncode == 141
    assert "the groups have changed" in learn().out


def test_a_copy_that_differs_is_one_line_beside_the_result(learn: Elsewhere) -> None:
    learn("init")
    (learn.workspace / "groups/group-01-kettle/README.md").write_text("mine")
    for words in (["check"], ["next", "1"], ["trigger", "1"]):
        ended = learn(*words)
        assert ended.code == 0
        assert ended.err == (
            "! README.md in groups/group-01-kettle/ is not as it ships: it is what ships that counts. "
            "Run: learn reset group-1 README.md\n"
        )
    assert len(learn.json("check", "1")["notes"]) == 1
    assert learn("reset", "1", "README.md", "--yes").code == 0
    assert learn("check", "1").err == ""


def test_a_known_mistake_is_known_by_the_package(learn: Elsewhere) -> None:
    learn("init")
    wrong = learn.package / "solutions/group-01-kettle/wrong"
    wrong.mkdir()
    signature = {f"test_kettle.py::test_{number}": f"steam-{number}" for number in (1, 2)}
    known = {"boil-over": {"belief": "steam is harmless", "signatures": [signature]}}
    (wrong / "signatures.json").write_text(json.dumps({"digest": "", "wrong": known}))
    answer = learn.json("check", told="passed,failed,failed,passed")
    assert answer["result"]["looks_like"] == [{"name": "boil over", "belief": "steam is harmless"}]


def test_a_damaged_package_is_ours_and_names_the_way_out(learn: Elsewhere) -> None:
    learn("init")
    (learn.package / "groups/group-01-kettle/group.toml").write_text("id = ")
    ended = learn()
    assert ended.code == 4
    assert ended.err.endswith("Run: pip install --force-reinstall brownout\n")


def test_a_group_is_begun_in_a_clone_alone(learn: Elsewhere) -> None:
    learn("init")
    ended = learn("new", "13", "Queues overflow")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "a group is written in a clone of Brownout" in ended.err


def test_it_fits_80_columns_and_a_terminal_of_letters(learn: Elsewhere) -> None:
    workspaces.change(learn.package, 1, {f"service/patterns/{'long_name_' * 4}{n}.py": "" for n in range(12)})
    made = learn("init", "x", PYTHONIOENCODING="ascii").out
    assert made.startswith("+ A workspace in x/")
    names = {f"service/patterns/{'long_name_' * 4}{n}.py": "other" for n in range(12)}
    workspaces.change(learn.package, 1, names)
    for words in ([], ["init"]):
        ended = learn(*words, folder="x", PYTHONIOENCODING="ascii")
        assert max(map(len, ended.out.splitlines())) <= 80
        assert "long_name" in ended.out


# ------------------------------------------------------------------------------------------------ --json


LINES = [
    ["init", "a", "b"],
    ["next", "nosuch"],
    ["trigger", "--set", "heat"],
    ["check", "--seed", "x"],
    ["watch", "nosuch"],
    ["serve", "nosuch"],
    ["story", "group-1", "nosuch"],
    ["hint", "nosuch"],
    ["reset", "nosuch"],
    ["solution"],
    ["grade"],
    ["verify", "nosuch"],
    ["calibrate", "--seeds", "0"],
    ["new"],
    ["completion", "tcsh"],
    ["--all"],
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_whatever_is_wrong_is_one_answer_of_the_schema(learn: Elsewhere, words: list[str]) -> None:
    learn("init")
    answer = learn.json(*words)
    assert answer["command"] == (words[0] if words[0][0] != "-" else "status")
    assert answer["exit"] in (2, 3)
    assert answer["error"]["what"]
    assert answer["result"] is None


def test_every_command_has_a_line_that_is_wrong() -> None:
    from grader.cli.line import ALWAYS_TYPERS
    from grader.cli.line import LINES as ALL

    assert {words[0] for words in LINES} == {*ALL, *ALWAYS_TYPERS, "--all"}
