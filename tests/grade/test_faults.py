"""What becomes of a batch when the disk is full, the machine is busy, or somebody ends what judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader import sandbox
from grader.grade import batch, book, ingest, judge
from grader.grade.journal import NAME, InUse, Journal, OtherTerms, Terms
from grader.grade.marks import read_weights
from grader.outcome import GroupOutcome
from tests.attacks.target import app
from tests.grade.batches import BATCH, hand_in, kept, learn, rows
from tests.sandboxed import needs_sandbox

TERMS = Terms("group-1", "0" * 64, {"python": "3"}, (1,), True)
OUTCOMES = (GroupOutcome("group-1", 1, (), 1.0),)


def test_a_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    with Journal.begin(tmp_path, TERMS) as journal:
        journal.keep("a", OUTCOMES)
    other_seed = Terms("group-1", "0" * 64, {"python": "3"}, (2,), True)
    with Journal.go_on(tmp_path, other_seed) as journal:
        assert journal.known == {"a": OUTCOMES}
        assert journal.terms.seeds == (1,)  # the batch's


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_torn_is_none(tmp_path: Path, cut: int) -> None:
    with Journal.begin(tmp_path, TERMS) as journal:
        journal.keep("a", OUTCOMES)
        journal.keep("b", OUTCOMES)
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[:-cut])
    with Journal.go_on(tmp_path, TERMS) as journal:
        assert set(journal.known) == {"a"}
        journal.keep("c", OUTCOMES)
    with Journal.go_on(tmp_path, TERMS) as journal:
        assert set(journal.known) == {"a", "c"}


def test_a_journal_of_other_tests_is_not_gone_on_with(tmp_path: Path) -> None:
    Journal.begin(tmp_path, TERMS).__exit__(None, None, None)
    for other in (
        Terms("group-1", "1" * 64, {"python": "3"}, (1,), True),
        Terms("group-1", "0" * 64, {"python": "4"}, (1,), True),
        Terms("group-1", "0" * 64, {"python": "3"}, (1,), False),
    ):
        with pytest.raises(OtherTerms):
            Journal.go_on(tmp_path, other)
    (tmp_path / NAME).write_text("what is this?\n")
    with pytest.raises(OtherTerms, match="no journal"):
        Journal.go_on(tmp_path, TERMS)


def test_two_do_not_write_to_one_journal(tmp_path: Path) -> None:
    with Journal.begin(tmp_path, TERMS), pytest.raises(InUse):
        Journal.go_on(tmp_path, TERMS)
    Journal.go_on(tmp_path, TERMS).__exit__(None, None, None)


def test_what_a_full_disk_does_not_take_is_not_known(tmp_path: Path) -> None:
    """As seen by a process that may write files of so many bytes only."""
    script = f"""
import resource, signal, sys
from pathlib import Path
from grader.grade.journal import CannotKeep, Journal
from tests.grade.test_faults import OUTCOMES, TERMS
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal.begin(Path({str(tmp_path)!r}), TERMS) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
    try:
        for number in range(99):
            journal.keep(str(number), OUTCOMES)
    except CannotKeep as error:
        print(len(journal.known), error.what)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    count, what = done.stdout.split(" ", 1)
    assert int(count) > 0
    assert what.startswith(f"cannot keep results in {tmp_path}: ")
    with Journal.go_on(tmp_path, TERMS) as journal:
        assert len(journal.known) == int(count)


@needs_sandbox
@pytest.mark.parametrize(("size", "all_kept"), [(8 * 1024, False), (20 * 1024, True)])
def test_a_full_disk_costs_what_was_not_kept(workspace: Path, size: int, all_kept: bool) -> None:
    """A real one: a file system of so many bytes, for the report."""
    for number in range(6):
        hand_in(workspace, f"learner-{number}", app(at_import=f"# {number}"))
    (workspace / "report").mkdir()
    wall = [sandbox._bubblewrap(), "--dev-bind", "/", "/", "--size", str(size), "--tmpfs", str(workspace / "report")]
    script = f"{sys.executable} -m grader.cli grade {' '.join(BATCH)}; echo $? >code; cp report/{NAME} kept.jsonl"
    done = subprocess.run(
        [*wall, "--", "/bin/sh", "-c", script], cwd=workspace, capture_output=True, text=True, timeout=120, check=False
    )
    assert (workspace / "code").read_text() == "4\n", done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "--resume" in done.stderr
    known = (workspace / "kept.jsonl").read_bytes().split(b"\n")[1:-1]
    (workspace / "report" / NAME).write_bytes((workspace / "kept.jsonl").read_bytes())
    assert len(known) > 0
    assert (len(known) == 6) == all_kept
    assert learn(workspace, *BATCH, "--resume").returncode == 1
    assert kept(workspace)[: len(known)] == [json.loads(line)["digest"] for line in known]
    assert len(set(kept(workspace))) == len(kept(workspace)) == 6
    assert {row["points"] for row in rows(workspace).values()} == {"25.00"}


@needs_sandbox
def test_two_graders_do_not_share_a_report(workspace: Path) -> None:
    hand_in(workspace, "ada", app())
    with Journal.begin(workspace / "report", TERMS):
        done = learn(workspace, *BATCH, "--regrade")
    assert done.returncode == 2
    assert "another learn grade is at work in report" in done.stderr


@needs_sandbox
def test_a_starved_run_is_no_wrong_answer(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs, on a core that it shares with a crowd: whether it hangs cannot be told there."""
    monkeypatch.setattr(batch, "ATTEMPTS", 1)
    hand_in(workspace, "ada", app(in_handler="while True: pass"))
    core = max(os.sched_getaffinity(0))
    crowd = []
    for _ in range(14):
        crowd.append(subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True))
        os.sched_setaffinity(crowd[-1].pid, {core})
    try:
        (row,) = judged(workspace, core).rows
    finally:
        for process in crowd:
            process.kill()
            process.wait()
    assert row.marks is None
    assert row.not_judged.startswith("starved: of "), row.not_judged
    (row,) = judged(workspace, core).rows
    assert row.marks is not None
    assert [test.failure.code for test in row.outcomes[0].tests if test.failure].count("limit-time") == 1


@needs_sandbox
def test_a_service_that_the_machine_kills_is_no_wrong_answer(workspace: Path) -> None:
    """As the kernel does when memory runs out. Somebody here shoots each process that says that it is one."""
    hand_in(workspace, "ada", app(in_handler="loop()") + LOOP)
    shooter = subprocess.Popen([sys.executable, "-c", SHOOTER])
    try:
        (row,) = judged(workspace, None).rows
    finally:
        shooter.kill()
        shooter.wait()
    assert row.marks is None
    assert row.not_judged.startswith("killed: a process of the service was ended by the machine"), row.not_judged


LOOP = """

def loop():
    import ctypes
    ctypes.CDLL(None).prctl(15, b"shoot-me", 0, 0, 0)
    while True:
        pass
"""

SHOOTER = """
import os, time
while True:
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if open(f"/proc/{name}/comm").read() == "shoot-me\\n":
                os.kill(int(name), 9)
        except OSError:
            pass
    time.sleep(0.05)
"""


def judged(workspace: Path, core: int | None) -> book.Book:
    from concurrent.futures import ThreadPoolExecutor

    from grader.curriculum import read_groups

    def begin() -> None:
        if core is not None:
            judge._here.core = core

    group = read_groups(workspace)["group-1"]
    plan = batch.plan(group, group.path, None, confined=True)
    submissions = ingest.collect([workspace / "in"], group)
    with (
        Journal.begin(workspace / "report", plan.terms([1])) as journal,
        ThreadPoolExecutor(1, initializer=begin) as one,
    ):
        try:
            found = batch.run(plan, submissions, journal, one)
        finally:
            judge.end()
    return book.book(submissions, found, plan, journal.terms, read_weights(None, group, {"lid"}))
