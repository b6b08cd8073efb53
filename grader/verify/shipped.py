"""A group as it ships, whatever a learner has made of the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.curriculum import Group, Trouble
from grader.progress import Store
from grader.verify import pins


def lay_out(store: Store, group: Group, folder: Path) -> None:
    """Make `folder`: all files of the group as they are pinned.

    A file that no pristine copy is left of is taken as it is, and `unpinned` names it; but one that a learner edits
    raises Trouble.
    """
    own = set(group.own_files(group.path))
    for name in group.shipped:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.write_bytes(store.pristine(group, name))
        except Trouble:
            if name in own or not (group.source / name).is_file():
                raise
            shutil.copyfile(group.source / name, file)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(group.source / "group.toml", folder / "group.toml")


def unpinned(group: Group) -> list[str]:
    """The files of the group that differ from their pin, have none, or are missing; a learner's own files aside."""
    own = set(group.own_files(group.source))
    found = {name: pin for name, pin in pins.pins(group.source).items() if name not in own}
    missing = [name for name in group.shipped if not (group.source / name).is_file()]
    return sorted({*missing, *(name for name, pin in found.items() if group.shipped.get(name) != pin)})
