"""The SHA-256 of what ships with a group, in the table [shipped] of its group.toml. `make pins` writes them anew.

A pin tells a learner's edit from a shipped file, so that the project's tests and the suites read what shipped.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from grader import curriculum

_TABLE = re.compile(r"\n*\[shipped\]\n.*?(?=\n\[|\Z)", re.DOTALL)
_LEFT_OUT = ("__pycache__", ".pytest_cache")


def pins(folder: Path) -> dict[str, str]:
    """File -> SHA-256, of every file below a group's folder but group.toml, caches and hidden files."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and name != Path("group.toml") and not any(p in _LEFT_OUT or p[0] == "." for p in name.parts):
            found[name.as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def write(folder: Path) -> None:
    """Bring the table in FOLDER/group.toml up to date."""
    file = folder / "group.toml"
    rest = _TABLE.sub("", file.read_text("utf-8")).rstrip("\n")
    table = "\n".join(f'"{name}" = "{digest}"' for name, digest in pins(folder).items())
    file.write_text(f"{rest}\n\n[shipped]\n{table}\n", "utf-8")


def unlike(folder: Path) -> list[str]:
    """The files below a group's folder that are not as they are pinned."""
    pinned, found = curriculum.read_group(folder / "group.toml").shipped, pins(folder)
    return sorted(name for name in {*pinned, *found} if pinned.get(name) != found.get(name))


def main() -> None:
    """`python -m grader.verify.pins [--check]`: all groups of the workspace around the current folder."""
    folders = [file.parent for file in sorted(curriculum.find_workspace(Path.cwd()).glob("groups/*/group.toml"))]
    if sys.argv[1:] != ["--check"]:
        for folder in folders:
            write(folder)
    elif found := [f"groups/{folder.name}/{name}" for folder in folders for name in unlike(folder)]:
        sys.exit(f"✗ not as it is pinned: {', '.join(found)}. Run: git stash, or make pins")


if __name__ == "__main__":
    main()
