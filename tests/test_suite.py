"""What the suite makes of work that is wrong in other ways than the incident's: each has its verdict and its line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from grader import curriculum, suite
from grader.outcome import GroupOutcome, TestOutcome, Verdict

ROOT = Path(__file__).parents[1]
GROUP = curriculum.read_groups(ROOT)["group-1"]
REFERENCE = ROOT / "solutions" / GROUP.folder / "reference"
HEALTH = "test_sanity.py::test_health_is_well"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A learner's folder, in which the group is solved."""
    shutil.copytree(REFERENCE, tmp_path / "work")
    return tmp_path / "work"


def play(root: Path, seed: int = 7, stage: int | None = None) -> GroupOutcome:
    return suite.run(GROUP, root=root, pristine=GROUP.path, seed=seed, stage=stage)


def find(outcome: GroupOutcome, name: str) -> TestOutcome:
    assert not outcome.ours
    return next(test for test in outcome.tests if test.id.endswith(name))


def edit(work: Path, name: str, change: Callable[[str], str]) -> None:
    file = work / name
    file.write_text(change(file.read_text("utf-8")), "utf-8")


def in_health(body: str) -> Callable[[str], str]:
    return lambda text: text.replace('        return {"status": "ok"}', body)


APP, SUMMARY = "service/app.py", "service/summary.py"
HTTP_500 = "        raise HTTPException(500)"
ERROR, LIMIT, TODO, FAILED = Verdict.LEARNER_ERROR, Verdict.LIMIT, Verdict.TODO, Verdict.FAILED

# what is wrong, the file to edit, the edit, and what is to come of it: verdict, code, the file that is blamed
CASES: list[tuple[str, str, Callable[[str], str], Verdict, str, str]] = [
    ("a syntax error", SUMMARY, lambda text: text + "\ndef (:\n", ERROR, "syntax-error", SUMMARY),
    ("an import error", APP, lambda text: "import nowhere_to_be_found\n" + text, ERROR, "import-error", APP),
    ("no create_app", APP, lambda text: text.replace("def create_app", "def make_app"), ERROR, "app-error", APP),
    ("create_app returns nothing", APP, lambda text: text.replace("return app\n", "\n"), ERROR, "app-error", APP),
    ("create_app raises", APP, lambda text: text.replace("library = ", "library = 1 / 0  # "), ERROR, "app-error", APP),
    ("a slip in a handler", APP, in_health("        return undefined"), ERROR, "assertion", APP),
    ("an untouched stub", APP, in_health("        raise NotImplementedError('health')"), TODO, "todo", APP),
    ("an endless loop", APP, in_health("        while True:\n            pass"), LIMIT, "limit-time", APP),
    ("too much memory", APP, in_health("        return {'x': len(bytearray(2**40))}"), LIMIT, "limit-memory", APP),
    ("an exit", APP, in_health("        import os\n        os._exit(0)"), ERROR, "exit", APP),
    ("a wrong answer", APP, in_health(HTTP_500), FAILED, "assertion", ""),
]


@pytest.mark.parametrize(
    ("name", "change", "verdict", "code", "where"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_kind_of_wrong_work_has_its_verdict_and_its_line(
    work: Path, name: str, change: Callable[[str], str], verdict: Verdict, code: str, where: str
) -> None:
    edit(work, name, change)
    test = find(play(work, stage=0), HEALTH)
    assert (test.verdict, test.failure and test.failure.code) == (verdict, code)
    assert test.failure is not None
    assert test.failure.sees
    assert [place.file for place in test.failure.where][:1] == ([where] if where else [])


def test_a_missing_file_is_named(work: Path) -> None:
    (work / "service" / "summary.py").unlink()
    test = find(play(work, stage=0), HEALTH)
    assert test.verdict is Verdict.LEARNER_ERROR
    assert test.failure is not None
    assert test.failure.code == "missing-file"
    assert "service/summary.py is missing" in test.failure.sees


def test_an_empty_folder_is_a_missing_service(tmp_path: Path) -> None:
    outcome = play(tmp_path, stage=0)
    assert {test.verdict for test in outcome.tests} == {Verdict.LEARNER_ERROR}


def test_only_the_learners_own_files_take_part(work: Path) -> None:
    (work / "tests").mkdir()
    (work / "tests" / "test_sanity.py").write_text("def test_health_is_well(): pass\n")
    (work / "conftest.py").write_text("raise SystemExit(0)\n")
    (work / "pytest.py").write_text("raise SystemExit(0)\n")
    (work / "incident.py").write_text("raise SystemExit(0)\n")
    (work / "service" / "extra.py").write_text("HEALTH = 'ok'\n")
    edit(
        work, "service/app.py", in_health("        from service.extra import HEALTH\n        return {'status': HEALTH}")
    )
    outcome = play(work, stage=0)
    assert len(outcome.tests) == 5
    assert {test.verdict for test in outcome.tests} == {Verdict.PASSED}


def test_one_seed_gives_one_outcome(work: Path) -> None:
    def figures(outcome: GroupOutcome) -> list[tuple[str, str, list[float]]]:
        assert all(len(test.digest) >= 64 for test in outcome.tests)
        return [(test.id, test.digest, [metric.value for metric in test.metrics]) for test in outcome.tests]

    assert figures(play(work, seed=11)) == figures(play(work, seed=11))


def test_only_the_tests_that_are_named_run(work: Path) -> None:
    named = ["tests/test_sanity.py::test_a_document_is_summarised[scan]", "tests/test_sanity.py::test_health_is_well"]
    outcome = suite.run(GROUP, root=work, pristine=GROUP.path, seed=1, only=[*named, "tests/test_sanity.py::test_no"])
    assert sorted(test.id for test in outcome.tests) == sorted(named)
    assert not suite.run(GROUP, root=work, pristine=GROUP.path, seed=1, only=[]).tests


def test_a_suite_that_cannot_run_is_our_fault(work: Path) -> None:
    outcome = suite.run(GROUP, root=work, pristine=work, seed=1)  # no tests, no group.toml there
    assert outcome.ours
    assert outcome.tests == ()


def test_without_a_file_of_tests_nothing_is_proved(work: Path, tmp_path: Path) -> None:
    pristine = tmp_path / GROUP.folder
    shutil.copytree(GROUP.path, pristine)
    (pristine / "tests" / "test_more.py").write_text("import nothing_of_that_name\n", "utf-8")
    outcome = suite.run(GROUP, root=work, pristine=pristine, seed=1, stage=0)
    assert outcome.ours.startswith("the suite did not run: ERROR tests/test_more.py")
    assert outcome.tests == ()


def test_the_learners_folder_is_left_as_it_was(work: Path) -> None:
    before = sorted(work.rglob("*"))
    play(work, stage=0)
    assert sorted(work.rglob("*")) == before


def test_one_warm_parent_serves_a_run(work: Path, tmp_path: Path) -> None:
    judged, report = tmp_path / GROUP.folder, tmp_path / "report"
    suite.lay_out(GROUP, work, GROUP.path, judged)
    code = (
        "import pathlib, sys\nfrom grader import suite\nfrom grader.sim import Forkserver\n"
        f"parent = suite.launch(1, pathlib.Path({str(judged)!r}), enclosed=False)\n"
        "Forkserver.launch = None  # whoever wants another calls it\n"
        f"report = suite.opened({str(report)!r})\n"
        f"sys.exit(suite.play({str(judged)!r}, 1, report, parent, stage=0, only=None, width=1))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {test.verdict for test in suite.reported(GROUP, 1, report, 0.0).tests} == {Verdict.PASSED}


def test_our_own_modules_are_compiled_once(work: Path) -> None:
    kept = Path(cache_from_source(str(ROOT / "grader" / "host" / "forkserver.py")))
    kept.unlink(missing_ok=True)
    play(work, stage=0)
    assert kept.exists()


def test_ctrl_c_leaves_nothing_running(work: Path) -> None:
    code = (
        "import pathlib, sys\nfrom grader import curriculum, suite\n"
        f"group = curriculum.read_groups(pathlib.Path({str(ROOT)!r}))['group-1']\n"
        "print('go', flush=True)\n"
        f"suite.run(group, root=pathlib.Path({str(work)!r}), pristine=group.path, seed=1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(1.0)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while (left := _ours(work)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def _ours(work: Path) -> list[str]:
    """Processes of a suite over this folder that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(work) in command:
            found.append(command)
    return found


def test_a_test_that_pytest_itself_cannot_report_is_our_fault_and_stops_no_other(work: Path, tmp_path: Path) -> None:
    pristine = tmp_path / GROUP.folder
    shutil.copytree(GROUP.path, pristine)
    file = pristine / "tests" / "test_sanity.py"
    spoil = "\n\ndef test_a_spoilt_one(request):\n    request.node.repr_failure = None\n    assert 0\n"
    file.write_text(file.read_text("utf-8") + spoil, "utf-8")
    outcome = suite.run(GROUP, root=work, pristine=pristine, seed=1, stage=0)
    verdicts = {test.id.partition("::")[2]: test.verdict for test in outcome.tests}
    assert verdicts.pop("test_a_spoilt_one") is Verdict.OURS
    assert set(verdicts.values()) == {Verdict.PASSED}


SLOW = "tests/test_stage_1_one_slow_answer.py"


def shortest(name: str) -> TestOutcome:
    """A test of the service as it ships, told with its shortest history."""
    only = f"{SLOW}::{name}"
    outcome = suite.run(
        GROUP, root=GROUP.path, pristine=GROUP.path, seed=7, only=[only], retell=True, reference=REFERENCE
    )
    return find(outcome, only)


def test_a_red_test_is_told_with_the_shortest_history_that_fails() -> None:
    whole = find(play(GROUP.path, stage=1), "test_health_answers_while_a_question_waits")
    test = shortest("test_health_answers_while_a_question_waits")
    assert whole.failure is not None
    assert test.failure is not None
    assert (test.verdict, test.metrics, test.digest) == (whole.verdict, whole.metrics, whole.digest)
    assert (test.failure.code, test.failure.sees, test.failure.damage) == (
        whole.failure.code,
        whole.failure.sees,
        whole.failure.damage,
    )
    kept = re.fullmatch(
        r"(\d+) of 152 requests are enough: the story is theirs; no race: first in, first out, it fails",
        test.failure.shortest,
    )
    assert kept
    assert int(kept[1]) < 50, "two are, where there is time to find that out"
    assert test.failure.story != whole.failure.story
    told = {step.text for step in test.failure.steps} & {"GET /ask", "GET /health"}
    assert len(told) == 2 or (told and int(kept[1]) > 2), "of many requests, some are drawn"


def test_a_history_on_which_the_reference_fails_too_does_not_count() -> None:
    """Without the outage there is no answer that the outage explains, and each counts as wrong."""
    test = shortest("test_the_budget_begins_with_the_request[hangs]")
    assert test.failure is not None
    assert "and the fault are enough" in test.failure.shortest


def test_a_stub_is_not_told_again() -> None:
    test = shortest("test_run_blocking_leaves_the_loop_free")
    assert test.verdict is TODO
    assert test.failure is not None
    assert test.failure.shortest == ""
