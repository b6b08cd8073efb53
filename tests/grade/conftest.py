"""A workspace into which submissions are handed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.target import make


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    make(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path
