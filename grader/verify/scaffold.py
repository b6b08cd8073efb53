"""A new group from templates/group/: it boots, one of its tests is red, and `learn verify` says what it lacks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from grader.curriculum import Group, Trouble, is_clone, read_groups
from grader.verify import pins

NUMBER, TITLE = "0", "Untitled"
"""What stands in the template for the group's own."""

MOST = 99


def write(workspace: Path, number: int, title: str) -> Group:
    """Write groups/FOLDER and solutions/FOLDER, pinned. Raises Trouble for a number or a title that will not do."""
    if not is_clone(workspace):
        raise Trouble("a group is written in a clone of Brownout, and this workspace is none", "cd path/to/brownout")
    template = workspace / "templates" / "group"
    if not (template / "task" / "group.toml").is_file():
        raise Trouble("there is no templates/group/ here to begin with", "git checkout -- templates")
    if not 1 <= number <= MOST:
        raise Trouble(f"a group has a number from 1 to {MOST}, and not {number}", "learn")
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if not slug or not title.isprintable() or set(title) & set('"\\'):
        raise Trouble(f"“{title}” is no title: it needs letters, and no quotes", 'learn new 13 "Queues overflow"')
    if taken := read_groups(workspace).get(f"group-{number}"):
        raise Trouble(f"group {number} exists: “{taken.title}”", "learn")
    name = f"group-{number:02}-{slug}"
    group, solutions = workspace / "groups" / name, workspace / "solutions" / name
    for folder in (group, solutions):
        if folder.exists():
            raise Trouble(f"{folder.relative_to(workspace)} exists already", "learn")
    for source, target in ((template / "task", group), (template / "solutions", solutions)):
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for file in target.rglob("*"):
            if file.is_file():
                file.write_text(_named(file.read_text("utf-8"), number, title), "utf-8")
    pins.write(group)
    return read_groups(workspace)[f"group-{number}"]


def _named(text: str, number: int, title: str) -> str:
    """The text with the group's own number and title."""
    text = re.sub(rf'(?<=^title = "){TITLE}(?="$)', lambda _: title, text, flags=re.MULTILINE)
    text = re.sub(rf"(?<=^number = ){NUMBER}$", str(number), text, flags=re.MULTILINE)
    text = re.sub(rf"\b([Gg]roup)([ -]){NUMBER}\b", rf"\g<1>\g<2>{number}", text)
    return re.sub(rf"(?<=— ){TITLE}\b", lambda _: title, text)
