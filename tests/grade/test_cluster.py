"""Batches on a real Dask cluster of this machine: the same verdicts, whatever dies there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.attacks.target import app
from tests.grade.batches import BATCH, hand_in, judged, kept, learn, rows
from tests.sandboxed import needs_sandbox

pytestmark = needs_sandbox

WORKERS = 3


@dataclass
class Cluster:
    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self) -> None:
        file = self.folder / "scheduler.json"
        where = ["--no-dashboard", "--scheduler-file", str(file)]
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *where)
        _until(file.exists)
        self.address = json.loads(file.read_text())["address"]
        logs = [self.folder / f"worker-{number}.log" for number in range(WORKERS)]
        alone = ["--no-nanny", "--nthreads", "1", "--local-directory", str(self.folder)]
        self.workers = [self._start("dask_worker", *alone, *where, log=log) for log in logs]
        _until(lambda: all("Registered to" in log.read_text() for log in logs))

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None:
                process.kill()
                process.wait()

    def _start(self, what: str, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        with (log or self.folder / f"{what}.log").open("wb") as stream:
            command = [sys.executable, "-m", f"distributed.cli.{what}", *words]
            return subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.begin()
        yield made
    finally:
        made.end()


def hand_in_many(workspace: Path, count: int) -> None:
    for number in range(count):
        hand_in(workspace, f"learner-{number:02}", app(at_import=f"# {number}"))


def begin(workspace: Path, cluster: Cluster) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "grader.cli", "grade", *BATCH, "--scheduler", cluster.address]
    return subprocess.Popen(command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(workspace: Path, process: subprocess.Popen[str], results: int) -> None:
    journal = workspace / "report" / "journal.jsonl"
    _until(lambda: process.poll() is not None or (journal.exists() and len(kept(workspace)) >= results))
    assert process.poll() is None, process.communicate()


def test_a_cluster_and_this_machine_say_the_same_and_a_worker_may_die(workspace: Path, cluster: Cluster) -> None:
    hand_in_many(workspace, 16)
    process = begin(workspace, cluster)
    wait_for(workspace, process, 3)
    cluster.workers[0].kill()  # with what it judges
    said, errors = process.communicate(timeout=100)
    assert process.returncode == 1, (said, errors)
    assert len(kept(workspace)) == len(set(kept(workspace))) == 16
    far = rows(workspace)
    assert {row["points"] for row in far.values()} == {"25.00"}
    assert learn(workspace, *BATCH, "--regrade").returncode == 1
    assert rows(workspace) == far


def test_a_scheduler_that_goes_away_loses_nothing(workspace: Path, cluster: Cluster) -> None:
    hand_in_many(workspace, 16)
    process = begin(workspace, cluster)
    wait_for(workspace, process, 3)
    assert cluster.scheduler is not None
    cluster.scheduler.kill()
    said, errors = process.communicate(timeout=100)
    assert process.returncode == 4, (said, errors)
    assert "the cluster has lost its scheduler: " in errors
    assert len(errors.splitlines()) == 1, errors
    before = kept(workspace)
    assert 3 <= len(before) < 16
    assert len(judged(workspace)) == len(before)
    assert learn(workspace, *BATCH, "--resume").returncode == 1  # here, where there is no cluster
    assert kept(workspace)[: len(before)] == before
    assert len(set(kept(workspace))) == len(kept(workspace)) == 16


def test_ctrl_c_ends_a_batch_on_a_cluster(workspace: Path, cluster: Cluster) -> None:
    hand_in_many(workspace, 16)
    process = begin(workspace, cluster)
    wait_for(workspace, process, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert len(errors.splitlines()) == 1, errors
    assert 3 <= len(judged(workspace)) < 16


def test_a_worker_of_another_version_does_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    from grader.grade.judge import Job, OtherVersions, judge, versions

    other = versions() | {"fastapi": "0.1"}
    job = Job("", {}, "", "", {}, other, (1,), True)
    with pytest.raises(OtherVersions, match=f"{os.uname().nodename} has fastapi .*, not 0.1"):
        judge(job)


def _until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.05)
