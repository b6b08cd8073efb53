"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from grader.curriculum import Group
from tests import workspaces

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that runs us in the background has Ctrl-C ignored, and who is started by us would inherit that."""


def pytest_configure() -> None:
    """Under `-n`, each worker has a core of its own: many tests measure real time, and what they start takes all cores
    that it sees."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `-n`, one worker has all tests of a file, which share what they set up; of test_groups.py, of a group."""
    for item in items:
        case = getattr(item, "callspec", None)
        group = case.params.get("group") if case else None
        part = group.id if isinstance(group, Group) else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name} {part}".strip()))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with groups 1, 2 and 4."""
    workspaces.add_group(tmp_path, 1, "The kettle boils over")
    workspaces.add_group(tmp_path, 2, "The cup is filled twice")
    workspaces.add_group(tmp_path, 4, "The menu keeps changing")
    return tmp_path
