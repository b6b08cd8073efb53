"""The wheel, built and installed where no clone is: what is in it, and that it judges by itself alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from grader import curriculum, sandbox
from grader.progress import Course
from grader.verify import pins
from grader.verify.shipped import lay_out
from tests.sandboxed import needs_sandbox

ROOT = Path(__file__).parents[1]
GROUP = "group-01-slow-and-unreliable"
NEEDLESS = (".learn", "__pycache__", ".pyc", "/tests/test_init", "pyproject.toml", "Makefile", ".pytest_cache", ".venv")
OF_THE_PROJECT = (
    "brownout",
    "_brownout",
    "__editable__",
    "distributed",
    "dask",
    "mypy",
    "ruff",
    "hypothesis",
    "setuptools",
)
"""What the environment of a learner without a clone does not have, by how it begins."""


@dataclass(frozen=True)
class Installed:
    """An environment of its own that the wheel is installed in, and what it needs beside."""

    environment: Path
    home: Path  # an empty folder

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def shipped(self) -> Path:
        (found,) = self.environment.glob("lib/python*/site-packages/grader/shipped")
        return found

    def learn(self, *words: str, folder: Path, code: int = 0) -> str:
        """What `learn` prints, errors after the rest."""
        plain = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FORCE_COLOR")}
        ended = subprocess.run(
            [self.environment / "bin" / "learn", *words],
            cwd=folder,
            env=plain,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def json(self, *words: str, folder: Path, code: int = 0) -> Any:
        return json.loads(self.learn(*words, "--json", folder=folder, code=code))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is packed, as it ships: whoever runs the tests may be half way through a group."""
    clone = tmp_path_factory.mktemp("clone")
    course = Course(ROOT)
    for name in (".gitignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    for name in ("grader", "solutions", "templates"):
        shutil.copytree(ROOT / name, clone / name)
    for group in course.groups.values():
        lay_out(course.store, group, clone / "groups" / group.folder)
    (clone / ".learn").mkdir()
    (clone / "groups" / GROUP / "service/__pycache__").mkdir()
    for rubbish in (".learn/progress.json", f"groups/{GROUP}/service/__pycache__/app.cpython-311.pyc"):
        (clone / rubbish).touch()
    return clone


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built through the sdist, as a packager would."""
    folder = tmp_path_factory.mktemp("dist")
    build(clone, folder, "sdist")
    (folder / "unpacked").mkdir()
    subprocess.run(["tar", "xzf", next(folder.glob("*.tar.gz")), "-C", folder / "unpacked"], check=True)
    (source,) = (folder / "unpacked").iterdir()
    build(source, folder, "wheel")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for needed in Path(path).iterdir():
            if not needed.name.startswith(OF_THE_PROJECT) and not needed.name.endswith(".pth"):
                take_over(needed, site / needed.name)
    (folder / "home").mkdir()
    found = Installed(folder / "venv", folder / "home")
    words = ["--python", str(found.python), "install", "--no-deps", "--no-index", "--no-compile", "-q", str(wheel)]
    subprocess.run(
        [sys.executable, "-m", "pip", *words], check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    )
    return found


@pytest.fixture
def workspace(installed: Installed, tmp_path: Path) -> Path:
    installed.learn("init", "brownout", folder=tmp_path)
    return tmp_path / "brownout"


def build(source: Path, folder: Path, kind: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )


def take_over(file: Path, target: Path) -> None:
    """The same file or folder at another place, without a copy where the disk allows it."""

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    if file.is_dir():
        shutil.copytree(file, target, copy_function=link)
    else:
        link(str(file), str(target))


def solve(folder: Path) -> None:
    shutil.copytree(ROOT / "solutions" / GROUP / "reference" / "service", folder / "service", dirs_exist_ok=True)


# ------------------------------------------------------------------------------------------------ what is in it


def test_the_wheel_has_the_program_the_curriculum_and_the_licence_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert not [name for name in names if any(part in name for part in NEEDLESS)]
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"grader", "skylark_pdf.py"}
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert "grader/report/schema.json" in names
    for group in curriculum.read_groups(ROOT).values():
        folder = tmp_path / "grader/shipped/groups" / group.folder
        assert pins.pins(folder) == group.shipped
        assert (folder / "group.toml").read_bytes() == (group.path / "group.toml").read_bytes()
        assert (tmp_path / "grader/shipped/solutions" / group.folder / "reference").is_dir()
        assert (tmp_path / "grader/shipped/solutions" / group.folder / "wrong/signatures.json").is_file()
    assert (tmp_path / "grader/shipped/templates/group/task/group.toml").is_file()


def test_a_clone_and_its_sdist_give_the_same_wheel(clone: Path, wheel: Path, tmp_path: Path) -> None:
    build(clone, tmp_path, "wheel")
    (other,) = tmp_path.glob("*.whl")
    assert other.name == wheel.name
    assert contents(other) == contents(wheel)


def contents(wheel: Path) -> dict[str, int]:
    """The checksums of what is in it."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist()}


def test_what_a_group_allows_comes_with_the_program() -> None:
    there = _installed_with(["brownout"])
    homes = metadata.packages_distributions()
    ours = {file.stem for file in (ROOT / "grader" / "host" / "vendor").iterdir()}
    allowed = {name for group in Course(ROOT).groups.values() for name in group.imports} - ours
    assert {"fastapi", "tenacity"} <= allowed
    for name in allowed:
        assert there & {canonicalize_name(home) for home in homes.get(name, ())}, f"{name} does not come with it"


def _installed_with(names: Iterable[str]) -> set[str]:
    """The distributions that a learner has who installs these: their dependencies, and theirs, without extras."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = [Requirement(line) for line in metadata.requires(name) or ()]
            here = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
            waiting += [canonicalize_name(each.name) for each in here]
    return found


def test_its_version_is_the_programs(wheel: Path) -> None:
    from grader import __version__

    assert wheel.name.startswith(f"brownout-{__version__}-")


# ------------------------------------------------------------------------------------------------ without a clone


def test_from_the_wheel_to_the_second_group(installed: Installed, workspace: Path) -> None:
    assert installed.learn(folder=installed.home, code=2).endswith("Run: learn init brownout\n")
    assert not (workspace / "solutions").exists()
    group = workspace / "groups" / GROUP
    assert "the solution of group 1 opens when it has passed" in installed.learn("solution", folder=workspace, code=3)
    solve(group)
    for file in (group / "tests").glob("test_*.py"):
        file.write_text("def test_no():\n    assert False\n")
    (group / "tests/test_sanity.py").unlink()
    (group / "group.toml").write_text("broken")
    (group / "hints.toml").unlink()
    answer = installed.json("check", "group-1", folder=workspace)
    assert (answer["result"]["passed"], answer["result"]["opened"]) == (True, ["group-2"])
    assert len(answer["result"]["outcome"]["tests"]) > 50
    (note,) = answer["notes"]
    assert f"in groups/{GROUP}/ are not as they ship: it is what ships that counts" in note
    solution = installed.learn("solution", "group-1", folder=workspace)
    assert f"solutions/{GROUP}/reference/" in solution
    reference = ROOT / "solutions" / GROUP / "reference/service/app.py"
    assert (workspace / "solutions" / GROUP / "reference/service/app.py").read_bytes() == reference.read_bytes()
    assert "hint 1 of 3" in installed.learn("hint", "group-1", "timeout", folder=workspace)
    assert "▶  2" in installed.learn(folder=workspace)


@needs_sandbox
def test_what_is_judged_does_not_see_the_solutions_beside_the_program(installed: Installed, workspace: Path) -> None:
    group = workspace / "groups" / GROUP
    with (group / "service/__init__.py").open("a") as file:
        file.write(
            "\nimport pathlib, grader\nhere = pathlib.Path(grader.__file__).parent / 'shipped'\n"
            "found = [path.name for path in here.rglob('*')] if here.is_dir() else 'no folder'\n"
            "raise ImportError(f'found: {found}')\n"
        )
    assert (installed.shipped / "solutions" / GROUP / "reference").is_dir()
    answer = installed.json("check", "group-1", folder=workspace, code=1)
    assert answer["result"]["outcome"]["unconfined"] == ""
    assert "ImportError at import: found: []" in answer["result"]["outcome"]["tests"][0]["failure"]["sees"]


def test_an_instructor_grades_without_a_clone(installed: Installed, workspace: Path, tmp_path: Path) -> None:
    solve(tmp_path / "handed" / "ada")
    words = ["grade", str(tmp_path / "handed"), "--group", "group-1", "--out", str(tmp_path / "report")]
    words += ["--unsafe"] if sandbox.refusal() else []
    (row,) = installed.json(*words, folder=workspace)["result"]["rows"]
    assert row["points"] == row["most"]


def test_after_an_upgrade_what_changed_is_listed_and_edits_stay(
    installed: Installed, workspace: Path, tmp_path: Path
) -> None:
    group = workspace / "groups" / GROUP
    shipped = installed.shipped
    shutil.copytree(shipped, tmp_path / "before")
    (group / "service/app.py").write_text("# mine\n")
    try:
        new = shipped / "groups" / GROUP
        for name in ("service/app.py", "service/clients.py", "README.md"):
            (new / name).write_text((new / name).read_text("utf-8") + "# new\n", "utf-8")
        pins.write(new)
        said = installed.learn(folder=workspace)
        assert "the groups have changed\n  group 1   changed: README.md, service/clients.py\n" in said
        assert "learn reset group-1 service/app.py\n  learn init" in said
        assert "have changed" not in installed.learn(folder=workspace)
        installed.learn("init", folder=workspace)
        assert (group / "service/app.py").read_text() == "# mine\n"
        assert (group / "service/clients.py").read_text("utf-8").endswith("# new\n")
    finally:
        shutil.rmtree(shipped)
        shutil.move(tmp_path / "before", shipped)
