"""From a save to the verdict under `learn watch`, against a bare pytest run of the same tests. A plain script:

    .venv/bin/python benchmarks/watching.py [RUNS] [GROUP…]

The reference with one pattern taken out is saved and mended in turn, so that each save turns tests. Medians; a save and
a bare run follow one another.
"""

from __future__ import annotations

import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grader.curriculum import Group, read_groups, resolve
from grader.verify import patch

ROOT = Path(__file__).parents[1]
SEED = "7"
FIRST = (b"still red", b"still green", b"now red", b"now green")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    groups = read_groups(ROOT)
    for name in sys.argv[2:] or list(groups):
        measure(resolve(name, groups), runs)


def measure(group: Group, runs: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch)
        folder = workspace / "groups" / group.folder
        shutil.copytree(group.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
        solutions = ROOT / "solutions" / group.folder
        (workspace / ".learn").mkdir()
        (workspace / ".learn" / "settings.toml").write_text('open = "all"\n')
        subprocess.run([sys.executable, "-m", "grader.cli"], cwd=workspace, capture_output=True, check=True)
        taken_out = sorted((solutions / "wrong").glob("without-*.patch"))[0]
        red, green = workspace / "red", solutions / "reference"
        patch.apply(patch.read(taken_out.read_text()), green, red)
        save(red, folder)
        terminal, theirs = pty.openpty()
        watching = subprocess.Popen(
            [sys.executable, "-m", "grader.cli", "watch", group.id, "--seed", SEED],
            cwd=workspace, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"NO_COLOR": "1", "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        until(terminal, (b"q quit",))
        first, whole, bare = [], [], []
        for number in range(runs):
            began = save(red if number % 2 else green, folder)
            first.append(until(terminal, FIRST) - began)
            whole.append(until(terminal, (b"q quit",)) - began)
            time.sleep(2.0)  # a pass draws a fresh seed, and warms up for it
            began = time.perf_counter()
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--seed", SEED]
            subprocess.run(command, cwd=folder, capture_output=True, check=False)
            bare.append(time.perf_counter() - began)
        watching.kill()
        watching.wait()
        os.close(terminal)
    base = statistics.median(bare)
    print(f"{group.id}: bare pytest {base:.2f} s, median of {runs}; the pattern taken out: {taken_out.stem}")
    for what, found, most in (("first verdict", first, 0.25), ("whole verdict", whole, 0.5)):
        median = statistics.median(found)
        print(f"  save to {what} {median:.2f} s: {median / base:.2f}, at most {most}")


def save(service: Path, folder: Path) -> float:
    """Put the files that differ in place, as an editor does, and say when."""
    for file in sorted((service / "service").rglob("*.py")):
        target = folder / file.relative_to(service)
        if not target.exists() or target.read_bytes() != file.read_bytes():
            fresh = target.with_name(f"{target.name}.tmp")
            fresh.write_bytes(file.read_bytes())
            fresh.rename(target)
    return time.perf_counter()


def until(terminal: int, texts: tuple[bytes, ...]) -> float:
    """The moment at which one of the texts is said."""
    said = b""
    while not any(text in said for text in texts):
        said += os.read(terminal, 65536)
    return time.perf_counter()


if __name__ == "__main__":
    main()
