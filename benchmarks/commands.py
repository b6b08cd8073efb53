"""How long the commands take, as ratios in one run on one machine. Run it with the project's Python:

    .venv/bin/python benchmarks/commands.py [RUNS]

It works in a scratch workspace, in which group 1 is solved. Commands are run in turn, and medians compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GROUP = "group-01-slow-and-unreliable"
LEARN = [sys.executable, "-m", "grader.cli"]
TYPER = [sys.executable, "-c", "import typer"]
PYTEST = [sys.executable, "-m", "pytest", "-q", "--seed", "7"]
CHECK = [*LEARN, "check", "group-1", "--all", "--seed", "7"]

ROWS: list[tuple[str, list[str], str, list[str], float]] = [
    ("learn", LEARN, "import typer", TYPER, 1.4),
    ("learn hint", [*LEARN, "hint"], "import typer", TYPER, 1.4),
    ("learn next", [*LEARN, "next"], "import typer", TYPER, 2.0),
    ("learn check group-1 --all", CHECK, "bare pytest, the same tests", PYTEST, 0.9),
]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch)
        group = workspace / "groups" / GROUP
        shutil.copytree(ROOT / "groups" / GROUP, group, ignore=shutil.ignore_patterns("__pycache__"))
        run(LEARN, workspace)  # takes the pristine copies
        shutil.copytree(ROOT / "solutions" / GROUP / "reference" / "service", group / "service", dirs_exist_ok=True)
        print(f"{'what':28} {'median':>9}   {'against':28} {'median':>9} {'ratio':>6} {'at most':>8}")
        for name, command, other_name, other, most in ROWS:
            here = group if "check" in command else workspace
            ours, theirs = [], []
            for _ in range(runs + 1):
                ours.append(run(command, here))
                theirs.append(run(other, here))
            mine, base = statistics.median(ours[1:]), statistics.median(theirs[1:])
            left, right = f"{name:28} {mine * 1000:6.0f} ms", f"{other_name:28} {base * 1000:6.0f} ms"
            print(f"{left}   {right} {mine / base:6.2f} {most:8.2f}")


def run(command: list[str], here: Path) -> float:
    """Real seconds of one run, start-up and all."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'grader/host/vendor'}"}
    began = time.perf_counter()
    result = subprocess.run(command, cwd=here, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout.decode()}{result.stderr.decode()}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
