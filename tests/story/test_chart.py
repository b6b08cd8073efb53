"""Curves as text: to scale, with nothing lost that was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.story import chart

values = st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=1, max_size=300)


@given(values, st.integers(1, 120))
def test_columns_keep_the_highest_value(values: list[float | None], width: int) -> None:
    columns = chart.columns(values, width)
    assert len(columns) == width
    measured = [value for value in values if value is not None]
    if len(values) >= width:
        assert max((c for c in columns if c is not None), default=None) == max(measured, default=None)


def test_an_area_is_to_scale() -> None:
    assert chart.area([0.0, 1.0, 2.0, 4.0, None], top=4.0, rows=2) == ["   █ ", "▁▄██ "]


def test_an_area_can_be_drawn_in_ascii() -> None:
    assert all(line.isascii() for line in chart.area([0.0, 1.0, 4.0], top=4.0, rows=3, unicode=False))


def test_what_was_measured_as_nothing_still_shows_and_what_was_not_does_not() -> None:
    assert chart.area([0.0, None], top=1.0, rows=1) == ["▁ "]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.04, 0.04), (44.6, 50), (51, 60), (7.9, 8), (100, 100), (101, 150)]
)
def test_a_scale_ends_at_a_round_number(value: float, top: float) -> None:
    assert chart.round_top(value) == pytest.approx(top)


def test_an_axis_marks_its_moments_and_never_writes_one_label_over_another() -> None:
    line, labels = chart.axis(100, 50, [(20, "brown-out"), (24, "healed")])
    assert (line[10], line[12]) == ("┬", "┬")
    assert labels == " " * 10 + "20 s brown-out  24 s healed"
