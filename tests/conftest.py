"""Fixtures that several test files share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests import workspaces

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that runs us in the background has Ctrl-C ignored, and who is started by us would inherit that."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with groups 1, 2 and 4."""
    workspaces.add_group(tmp_path, 1, "The kettle boils over")
    workspaces.add_group(tmp_path, 2, "The cup is filled twice")
    workspaces.add_group(tmp_path, 4, "The menu keeps changing")
    return tmp_path
