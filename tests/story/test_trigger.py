"""Replaying an incident: settings that make sense, a service that cannot be played with, one seed, one picture."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import curriculum
from grader.outcome import Act, Bars, Figure, Series
from grader.report import page
from grader.report.ink import Ink
from grader.report.trigger import figures, screen, target
from grader.story import chart
from grader.story.trigger import UnknownSetting, play
from tests.workspaces import incident

ROOT = Path(__file__).parents[2]
GROUP = curriculum.read_groups(ROOT)["group-1"]
REFERENCE = ROOT / "solutions" / GROUP.folder / "reference"
PLAIN = Ink(coloured=False, unicode=True, width=80)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    shutil.copytree(REFERENCE, tmp_path / "work")
    return tmp_path / "work"


def test_one_seed_gives_one_picture_of_both_services(work: Path) -> None:
    first, second = (play(GROUP, root=work, pristine=GROUP.path, seed=3, stage=1, settings={}) for _ in range(2))
    assert replace(first, seconds=0) == replace(second, seconds=0)
    shown = screen(GROUP, replace(first, seconds=0), PLAIN)
    assert "Your service comes through" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "as it ships" in shown
    assert "yours" in shown


def test_series_of_one_unit_have_one_scale() -> None:
    few, many, other = (
        Series(name, unit, (0.0, value))
        for name, unit, value in (("few", "in all", 3.0), ("many", "in all", 40.0), ("other", "s", 3.0))
    )
    act = Act((few, many, other), ())
    shown = screen(GROUP, replace(incident("group-1", 1, {}), broken=act, yours=act, changed=False), PLAIN)
    scales = [
        line.split("│")[0].split()[-1] for line in shown.splitlines() if "│" in line and line.split("│")[0].strip()
    ]
    assert scales == ["40", "0", "40", "0", "3", "0"]


def test_figures_that_are_wide_do_not_touch() -> None:
    act = Act((), (Figure("calls of tools that make no sense", 52.5, "tokens a ticket", 100.0, "at_most"),))
    _, row = figures(replace(incident("group-1", 1, {}), broken=act, yours=act, changed=True), PLAIN)
    assert row.split("  ", 1)[1].endswith(" 52.5 tokens a ticket ✓ 52.5 tokens a ticket ✓  ≤ 100 tokens a ticket")


def test_at_most_nothing_is_nothing() -> None:
    none, some = (Figure("never ended", 1.0, "%", wanted, "at_most") for wanted in (0.0, 3.0))
    assert [target(each, "≤", "≥") for each in (none, some)] == ["0 %", "≤ 3 %"]
    assert target(replace(none, relation="at_least"), "≤", "≥") == "≥ 0 %"


def test_an_untouched_service_is_shown_once() -> None:
    outcome = play(GROUP, root=GROUP.path, pristine=GROUP.path, seed=3, stage=1, settings={"latency": "2x"})
    assert not outcome.changed
    assert outcome.settings["latency"] == 2.0
    assert "  yours" not in screen(GROUP, outcome, PLAIN)


def test_a_service_that_cannot_be_played_with_is_named_with_its_line(work: Path) -> None:
    (work / "service" / "summary.py").write_text("def (:\n")
    shown = screen(GROUP, play(GROUP, root=work, pristine=GROUP.path, seed=3, stage=1, settings={}), PLAIN)
    assert "✗ Your service cannot be played with: SyntaxError" in shown
    assert "where  service/summary.py:1" in shown


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"speed": "2"}, "no setting “speed”: it has latency, begin, end, lost, asks, horizon"),
        ({"latency": "fast"}, "“fast” is no number for latency"),
        ({"asks": "0"}, "asks has to be above 0"),
        ({"horizon": "10"}, "end 30 s or more before horizon"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UnknownSetting) as refused:
        play(GROUP, root=GROUP.path, pristine=GROUP.path, seed=3, stage=1, settings=settings)
    assert said in refused.value.what
    assert refused.value.mend.startswith("learn trigger")


def test_bars_are_as_long_as_their_counts_and_stand_in_words_on_the_page() -> None:
    few = Bars(
        "Cups", "cups", ("hot", "spilt", "cold"), (("in the morning", (2.0, 1.0, 1.0)), ("at night", (0.0, 4.0, 4.0)))
    )
    many = replace(few, rows=(("in the morning", (4.0, 0.0, 0.0)), ("at night", (8.0, 0.0, 0.0))))
    outcome = replace(
        incident("group-1", 1, {}), broken=Act((), (), bars=(few,)), yours=Act((), (), bars=(many,)), changed=True
    )
    shown = screen(GROUP, outcome, PLAIN)
    bars = [line for line in shown.splitlines() if set(line) & set("█▓░") and "hot" not in line]
    assert [line.split("  ")[1].strip() for line in bars] == ["in the morning", "", "at night", ""]
    lengths = [(line.count("█"), line.count("▓"), line.count("░")) for line in bars]
    unit = lengths[3][0] / 8
    expected = [(2, 1, 1), (4, 0, 0), (0, 4, 4), (8, 0, 0)]
    for found, counts in zip(lengths, expected, strict=True):
        assert all(abs(length - unit * count) <= 1 for length, count in zip(found, counts, strict=True))
    assert all(len(line) <= 80 for line in shown.splitlines())
    told = page.trigger(GROUP, outcome)
    assert "2 hot, 1 spilt, 1 cold" in told.replace("\n", "")
    assert "at night, yours" in told
    assert "Second by second" not in told


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 80))
def test_the_parts_of_a_bar_are_together_as_long_as_all(counts: list[int], width: int) -> None:
    most = max(1, sum(counts))
    parts = chart.lengths(counts, most, width)
    assert sum(parts) == round(width * sum(counts) / most)
    assert all(part >= 0 for part in parts)
