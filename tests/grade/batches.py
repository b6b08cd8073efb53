"""What the tests of batches share: a workspace with submissions, and `learn grade` as a process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

from grader.grade.journal import NAME

BATCH = ("in", "--group", "group-1", "--seed", "1")


def hand_in(workspace: Path, name: str, text: str) -> None:
    folder = workspace / "in" / name / "service"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(text)


def learn(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader.cli", "grade", *words]
    return subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=120, check=False)


def rows(workspace: Path) -> dict[str, dict[str, str]]:
    with (workspace / "report" / "grades.csv").open(newline="") as stream:
        return {row["submission"] or row["id"]: row for row in csv.DictReader(stream)}


def kept(workspace: Path) -> list[str]:
    """The digests in the journal, one for each result."""
    lines = (workspace / "report" / NAME).read_bytes().split(b"\n")[1:-1]
    return [json.loads(line)["digest"] for line in lines]


def judged(workspace: Path) -> list[str]:
    """The submissions that have marks."""
    return [name for name, row in rows(workspace).items() if row["points"]]
