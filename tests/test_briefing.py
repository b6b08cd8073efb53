"""A briefing's Markdown on a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.report.briefing import of_stage, render
from grader.report.ink import Ink

PLAIN = Ink(coloured=False, unicode=True, width=80)
COLOURED = Ink(coloured=True, unicode=True, width=80)

MARKDOWN = st.text(alphabet=st.sampled_from("ab  \n\n#*_`|->1.[](){}:~\\"), max_size=200)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("# Tea\n## Pot", "Tea\n───\n\nPot\n"),
        ("a **bold** and *light* `code`", "a bold and light `code`\n"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4\n"),
        ("[the log](log.txt) and [site](https://example.org)", "the log and site (https://example.org)\n"),
        ("one\ntwo", "one two\n"),
        (f"{'x' * 74} (`code`)", f"{'x' * 74}\n(`code`)\n"),
        ("- a\n- b\n  more\n  - c", "  • a\n  • b more\n      • c\n"),
        ("1. a\n2. b", "  1. a\n  2. b\n"),
        ("- a\n\n  b\n- c\n\nd", "  • a\n\n    b\n\n  • c\n\nd\n"),
        ("```\n  x\n\ny\n```", "      x\n\n    y\n"),
        ("| a | b |\n|---|--:|\n| long | 1 |", "a     b\n────  ─\nlong  1\n"),
        ("| a |\n|---|\n| x \\| `y` |", "a\n───────\nx | `y`\n"),
        ("> a\n> - b", "│ a\n│\n│   • b\n"),
        ("a<!-- not\nthis -->b", "ab\n"),
        (r"\*not bold\*", "*not bold*\n"),
        ("", "\n"),
    ],
)
def test_what_briefings_use_is_shown_as_meant(markdown: str, shown: str) -> None:
    assert render(markdown, PLAIN) == shown


def test_prose_and_tables_fit_and_code_is_left_alone() -> None:
    long = "word " * 60
    code = "x = " + "1 + " * 40
    shown = render(f"{long}\n\n- {long}\n\n| a | b |\n|---|---|\n| {long} | {long} |\n\n```\n{code}\n```", PLAIN)
    wide = [line for line in shown.splitlines() if len(line) > 80]
    assert wide == [f"    {code.rstrip()}"]


def test_colour_changes_nothing_but_colour() -> None:
    markdown = "# T\n\na **b** c\n\n| a | **b** |\n|---|---|\n| c | d |\n\n> *q*"
    assert re.sub(r"\x1b\[[\d;]*m", "", render(markdown, COLOURED)) == render(markdown, PLAIN)


@given(MARKDOWN)
@example("|\n-")
def test_no_text_at_all_is_too_much(markdown: str) -> None:
    render(markdown, PLAIN)


@given(st.lists(st.sampled_from(["tea", "pot", "lid"]), min_size=1, max_size=60))
def test_no_word_is_lost(words: list[str]) -> None:
    assert render(" ".join(words), PLAIN).split() == words


def test_only_the_stage_to_work_on_is_shown() -> None:
    pot, cup = "## Stage 1 — The pot\n\nHeat it.\n\n", "## Stage 2 — The cup\n\nWash it.\n\n"
    assert of_stage(f"# Tea\n\n{pot}{cup}## What it costs\n", 2) == f"# Tea\n\n{cup}## What it costs\n"
    assert of_stage("# Tea\n", 3) == "# Tea\n"
