"""What grading costs a submission, against a bare pytest process for each, as many at once as there are cores.

    .venv/bin/python benchmarks/grading.py GROUP COPIES            against bare pytest, and peak memory
    .venv/bin/python benchmarks/grading.py GROUP COPIES cluster    against Dask, with one worker and with two

The copies are distinct: of ten, four solved (the reference and the other designs), three half solved (a wrong fix
each), two as shipped, one that hangs at its two hundredth request.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from grader.curriculum import Group, read_groups, resolve
from grader.grade import load
from grader.suite import cores
from grader.verify import patch

ROOT = Path(__file__).parents[1]
LEARN = [sys.executable, "-m", "grader.cli"]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
SEED = "7"
KINDS = ("solved", "half", "solved", "broken", "half", "solved", "hanging", "half", "solved", "broken")

HANGS = """

_unhurt = create_app


def create_app():
    app, served = _unhurt(), []

    async def serve(scope, receive, send):
        if scope["type"] == "http":
            served.append(scope["path"])
        while len(served) == 200:
            pass
        await app(scope, receive, send)

    return serve
"""


def main() -> None:
    group = resolve(sys.argv[1], read_groups(ROOT))
    copies = int(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch)
        shutil.copytree(group.path, workspace / "groups" / group.folder, ignore=shutil.ignore_patterns("__pycache__"))
        (workspace / ".learn").mkdir()
        (workspace / ".learn" / "settings.toml").write_text('open = "all"\n')
        kinds = make(group, workspace / "in", copies)
        if sys.argv[3:] == ["cluster"]:
            against_a_cluster(group, workspace, copies)
        else:
            against_pytest(group, workspace, kinds)


def make(group: Group, into: Path, copies: int) -> dict[str, str]:
    """Hand in the copies. Name -> kind."""
    solutions = ROOT / "solutions" / group.folder
    designs = itertools.cycle([solutions / "reference", *sorted((solutions / "designs").iterdir())])
    wrong = itertools.cycle(sorted((solutions / "wrong").glob("*.patch")))
    kinds = {}
    for number, kind in zip(range(copies), itertools.cycle(KINDS), strict=False):
        name = f"learner-{number:03}"
        folder = into / name
        if kind == "solved":
            shutil.copytree(next(designs) / "service", folder / "service")
        elif kind == "half":
            patch.apply(patch.read(next(wrong).read_text()), solutions / "reference", folder)
        elif kind == "broken":
            shutil.copytree(group.path / "service", folder / "service")
        else:
            shutil.copytree(solutions / "reference" / "service", folder / "service")
        application = folder / "service" / "app.py"
        text = application.read_text() + (HANGS if kind == "hanging" else "")
        application.write_text(f"{text}\n# {name}\n")
        kinds[name] = kind
    return kinds


def grade(group: Group, workspace: Path, out: str, *words: str) -> tuple[float, float]:
    """Real seconds of the whole batch, start-up and all; peak memory in MiB."""
    command = [*LEARN, "grade", "in", "--group", group.id, "--seed", SEED, "--out", out, *words]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with peak(process.pid) as memory:
        said, _ = process.communicate()
    if process.returncode not in (0, 1):
        sys.exit(said)
    return time.perf_counter() - began, max(memory, default=0.0)


def against_pytest(group: Group, workspace: Path, kinds: dict[str, str]) -> None:
    ours, memory = grade(group, workspace, "report")
    book = json.loads((workspace / "report" / "grades.json").read_text())
    work = {row["submission"]: sum(test["seconds"] for test in row["outcomes"][0]["tests"]) for row in book["rows"]}
    spent = {row["submission"]: row["outcomes"][0]["seconds"] for row in book["rows"]}

    def bare(name: str) -> float:
        folder = workspace / "bare" / name
        shutil.copytree(workspace / "groups" / group.folder, folder)
        shutil.rmtree(folder / "service")
        shutil.copytree(workspace / "in" / name / "service", folder / "service")
        began = time.perf_counter()
        subprocess.run([*PYTEST, "--seed", SEED], cwd=folder, capture_output=True, check=False)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        alone = dict(zip(kinds, pool.map(bare, kinds), strict=True))
    theirs = time.perf_counter() - began

    count = len(kinds)
    beyond = ours * cores() / count - sum(work.values()) / count
    print(f"{group.id}, {count} copies, {cores()} at once, seed {SEED}")
    print(f"  learn grade    {ours:7.1f} s   {ours / count * 1000:6.0f} ms a submission   peak {memory:.0f} MiB")
    print(f"  bare pytest    {theirs:7.1f} s   {theirs / count * 1000:6.0f} ms a submission")
    print(
        f"  ratio {ours / theirs:.2f} (at most 0.65); beyond the tests' own work {beyond * 1000:.0f} ms (at most 150)"
    )
    for kind in dict.fromkeys(KINDS):
        names = [name for name in kinds if kinds[name] == kind]
        mine, own, other = (statistics.median(each[name] for name in names) for each in (spent, work, alone))
        print(f"    {kind:8} {len(names):3}: {mine:5.2f} s, its tests {own:5.2f} s, bare pytest {other:5.2f} s")


def against_a_cluster(group: Group, workspace: Path, copies: int) -> None:
    local, _ = grade(group, workspace, "local")
    print(f"{group.id}, {copies} copies: local {local:.1f} s ({cores()} at once)")
    for workers in (1, 2):
        with cluster(workers) as address:
            cold, _ = grade(group, workspace, f"cold-{workers}", "--scheduler", address)
            warm, _ = grade(group, workspace, f"warm-{workers}", "--scheduler", address)
        same = verdicts(workspace / "local") == verdicts(workspace / f"warm-{workers}")
        ratios = f"{cold / local:.2f} and {warm / local:.2f}"
        print(f"  {workers} worker(s): {cold:.1f} s, again {warm:.1f} s: {ratios} of local; same verdicts: {same}")


def verdicts(out: Path) -> list[object]:
    book = json.loads((out / "grades.json").read_text())
    return [
        (row["submission"], [(test["id"], test["verdict"]) for test in row["outcomes"][0]["tests"]])
        for row in book["rows"]
    ]


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A scheduler and so many workers of one thread each, as processes of this machine."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "scheduler.json"
        words = ["--no-dashboard", "--scheduler-file", str(file)]
        started = [start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *words)]
        try:
            while not file.exists():
                time.sleep(0.1)
            started += [
                start("dask_worker", "--no-nanny", "--nthreads", "1", "--local-directory", scratch, *words)
                for _ in range(workers)
            ]
            time.sleep(5)
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


def start(what: str, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{what}", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def peak(process: int) -> Iterator[list[float]]:
    """The memory of a process and all below it, every second, in MiB: what is shared is counted once."""
    found: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            found.append(sum(map(memory, load.tree(process))) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()


def memory(process: int) -> int:
    """Proportional set size, KiB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
