"""What authors type, `learn verify`, `calibrate` and `new`, and what a learner earns: `learn solution`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.test_commands import Learner
from tests.verify.test_scaffold import ROOT


@pytest.fixture
def learn(workspace: Path) -> Learner:
    return Learner(workspace)


@pytest.fixture
def solved(learn: Learner) -> Learner:
    """Group 1 has passed, and its solution is there."""
    solutions = learn.workspace / "solutions" / "group-01-kettle"
    shutil.copytree(learn.workspace / "groups/group-01-kettle/service", solutions / "reference/service")
    (solutions / "reference/service/app.py").write_text("def create_app():\n    return kettle\n")
    (solutions / "reference/service/spout.py").write_text("spout = 1\n")
    (solutions / "designs/teapot").mkdir(parents=True)
    (solutions / "wrong").mkdir()
    (solutions / "NOTES.md").write_text("# What it costs\n\nA lid costs **a penny**.\n")
    (solutions / "wrong" / "boil-over.patch").write_text(
        "Belief: steam is\n  harmless\nIn truth: it burns.\nCaught by: tests/t.py::test_1\nCures: tests/t.py::test_2\n"
        "--- a/service/app.py\n+++ b/service/app.py\n@@ -1 +1 @@\n-a\n+b\n"
    )
    assert learn("check", "1", told="passed").code == 0
    return learn


# ------------------------------------------------------------------------------------------------ learn verify


def test_verify_shows_rows_figures_and_notes(learn: Learner) -> None:
    ended = learn("verify", "2")
    assert (ended.code, ended.err) == (0, "")
    assert "seeds 1 to 25 · 3 s" in ended.out
    assert "✓ 1  broken for the right reason   4 failed · 1 seed\n" in ended.out
    assert "✓ 7  fast                          2.5 s at most\n" in ended.out
    assert "✓ Group 2 is sound.\n  a note\n" in ended.out


def test_verify_says_what_is_wrong(learn: Learner) -> None:
    ended = learn("verify", "2", told="failed")
    assert ended.code == 1
    assert "✗ 1  broken for the right reason   4 failed · 1 seed\n      - test_1: it passes as it ships" in ended.out
    assert "✗ Group 2 is not proved: see 1." in ended.out


def test_verify_takes_every_group_locked_or_not(learn: Learner) -> None:
    ended = learn("verify", "--quick")
    assert ended.code == 0
    assert [f"Group {number} is sound" in ended.out for number in (1, 2, 3, 4)] == [True, True, False, True]
    assert ended.out.count("not part of the quick proof") == 3


def test_verify_answers_in_json(learn: Learner) -> None:
    document = learn.json("verify", "--quick", told="failed")
    assert document["exit"] == 1
    proofs = document["result"]["proofs"]
    assert [one["group"] for one in proofs] == ["group-1", "group-2", "group-4"]
    assert proofs[0]["proofs"][0]["findings"] == ["test_1: it passes as it ships"]
    assert proofs[0]["proofs"][1]["passed"] is None
    assert learn.json("verify", "1", "--seed", "40")["result"]["proofs"][0]["seeds"][0] == 40


def test_verify_needs_something_to_prove_with(workspace: Path) -> None:
    from grader.curriculum import Trouble
    from grader.progress import Course
    from grader.verify import prove

    course = Course(workspace)
    with pytest.raises(Trouble, match=r"no solutions/group-01-kettle/reference/"):
        prove.prove(course, course.groups["group-1"], quick=True)


# ------------------------------------------------------------------------------------------------ learn calibrate


def test_calibrate_shows_the_figures_next_to_each_bound(learn: Learner) -> None:
    ended = learn("calibrate", "1", "--seeds", "3")
    assert ended.code == 1, "one of the bounds has no room"
    assert "seeds 1 to 3 · 4 s" in ended.out
    assert "✓ tea_p99            ≤ 0.05 s       steam\n      right      0.04  20.0 % of the bound away" in ended.out
    assert "wrong      12.4  247 times the bound away  boil-over, seed 1\n      ships  9 to 15" in ended.out
    assert "✗ 1 of 2 bounds lack room." in ended.out
    assert learn.json("calibrate", "1")["result"]["calibrations"][0]["seeds"] == [1, 2, 3, 4, 5]


# ------------------------------------------------------------------------------------------------ learn new


def test_new_begins_a_group(learn: Learner) -> None:
    shutil.copytree(ROOT / "templates", learn.workspace / "templates")
    ended = learn("new", "13", "Queues overflow")
    assert (ended.code, ended.err) == (0, "")
    assert "groups/group-13-queues-overflow/" in ended.out
    assert (learn.workspace / "groups/group-13-queues-overflow/group.toml").is_file()
    assert "Queues overflow" in learn().out
    assert learn.json("new", "14", "Cups break")["result"]["folders"][0] == "groups/group-14-cups-break"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new"], "✗ a new group needs a number and a title. Run: learn new 13"),
        (["new", "x", "Title"], "✗ “x” is no number of a group. Run: learn new 13"),
        (["new", "13", "Title"], "✗ there is no templates/group/ here to begin with. Run: git checkout -- templates"),
    ],
)
def test_new_is_refused_in_one_line(learn: Learner, words: list[str], said: str) -> None:
    ended = learn(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)


# ------------------------------------------------------------------------------------------------ learn solution


@pytest.mark.parametrize("words", [["solution"], ["solution", "1"], ["solution", "2"], ["solution", "1", "app.py"]])
def test_a_solution_is_locked_until_the_group_has_passed(learn: Learner, words: list[str]) -> None:
    number = 2 if "2" in words else 1
    ended = learn(*words)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith(f"✗ the solution of group {number} opens when it has passed. Run: learn check group-")


def test_a_solution_shows_figures_files_mistakes_and_trade_offs(solved: Learner) -> None:
    ended = solved("solution")
    assert (ended.code, ended.err) == (0, "")
    assert "as it ships        yours       target" in ended.out
    assert "12.4 s ✗     0.04 s ✓     ≤ 0.05 s" in ended.out
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["service/app.py", "+1", "-1"] in rows
    assert ["service/patterns/lid.py", "the", "same"] in rows
    assert ["service/spout.py", "+1", "-0"] in rows
    assert "learn solution group-1 service/app.py" in ended.out
    assert "solutions/group-01-kettle/designs/teapot/" in ended.out
    assert "• boil over: steam is harmless\n" in ended.out
    assert "learn solution group-1 boil-over" in ended.out
    assert "What it costs\n─────────────\n\nA lid costs a penny." in ended.out


def test_one_file_is_shown_line_by_line(solved: Learner) -> None:
    shown = solved("solution", "1", "app.py").out
    assert shown.startswith("service/app.py   - yours   + the reference\n")
    assert "-    return None\n+    return kettle\n" in shown
    assert "line by line" in solved("solution", "1", "lid.py").out
    assert solved("solution", "1", "tea.py").code == 2


def test_one_mistake_is_shown_with_its_code(solved: Learner) -> None:
    shown = solved("solution", "1", "boil-over").out
    assert shown.startswith("boil over\n\nThe belief: steam is harmless.\nIn truth: it burns.\n")
    assert "- the reference   + the mistake" in shown
    assert "+++ b/service/app.py" in shown


def test_a_solution_answers_in_json(solved: Learner) -> None:
    result = solved.json("solution", "1")["result"]
    assert [outcome["yours"]["figures"][0]["value"] for outcome in result["outcomes"]] == [0.04, 0.04]
    lessons = [
        [lesson[key] for key in ("name", "title", "belief", "truth")] for lesson in result["solution"]["lessons"]
    ]
    assert lessons == [["boil-over", "boil over", "steam is harmless", "it burns."]]
    assert [file["name"] for file in result["solution"]["files"] if file["diff"]] == [
        "service/app.py", "service/spout.py",
    ]  # fmt: skip


def test_a_page_for_ones_own_trade_offs_is_offered_and_never_taken_away(solved: Learner) -> None:
    page = solved.workspace / "groups/group-01-kettle/TRADEOFFS.md"
    assert "learn solution group-1 TRADEOFFS.md" in solved("solution").out
    assert not page.exists(), "it is offered, and no more"
    assert solved("solution", "1", "TRADEOFFS.md").out.startswith("groups/group-01-kettle/TRADEOFFS.md: what you chose")
    assert "## Lid\n\nChosen:\n" in page.read_text("utf-8")
    page.write_text("# Mine\n\nA lid is enough.\n", "utf-8")
    solved("solution", "1", "TRADEOFFS.md")
    assert "A lid is enough." in solved("solution").out
    assert solved.json("solution", "1")["result"]["solution"]["own"] == "# Mine\n\nA lid is enough."
    assert solved("check").code == 0


def test_a_workspace_without_solutions_says_so(learn: Learner) -> None:
    learn("check", "1", told="passed")
    ended = learn("solution", "1")
    assert ended.code == 2
    assert "solutions/group-01-kettle/ is missing here" in ended.err


# ------------------------------------------------------------------------------------------------ learn check


def test_a_known_mistake_is_told_with_its_belief(solved: Learner) -> None:
    from grader.curriculum import read_groups
    from grader.verify import signature

    group = read_groups(solved.workspace)["group-1"]
    failing = {f"test_kettle.py::test_{number}": f"steam-{number}" for number in (1, 2)}
    signature.write(group, solved.workspace, {"boil-over": ("steam is harmless", [failing])})
    said = solved("check", "1", told="passed,failed").out
    assert "This looks like “boil over”: the belief that steam is harmless." in said
    assert "This looks like" not in solved("check", "1", told="passed,failed,passed").out
    result = solved.json("check", "1", told="passed,failed")["result"]
    assert result["looks_like"] == [{"name": "boil over", "belief": "steam is harmless"}]
