"""Curves as text: columns of block characters, bucketed to a width. No colour; that is for who prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " ..::||##"


def columns(values: Sequence[float | None], width: int) -> list[float | None]:
    """`values` over `width` columns: the highest of each bucket, None where nothing was measured."""
    size = len(values) / width
    buckets = [values[int(at * size) : max(int(at * size) + 1, int((at + 1) * size))] for at in range(width)]
    return [max((value for value in bucket if value is not None), default=None) for bucket in buckets]


def area(heights: Sequence[float | None], top: float, rows: int, *, unicode: bool = True) -> list[str]:
    """An area chart `rows` lines high, `top` at its upper edge. What was measured shows at least as a thin line."""
    blocks = _BLOCKS if unicode else _ASCII
    eighths = [0 if value is None else min(8 * rows, max(1, math.ceil(8 * rows * value / top))) for value in heights]
    return ["".join(blocks[max(0, min(8, each - 8 * row))] for each in eighths) for row in reversed(range(rows))]


def axis(span: float, width: int, marks: Sequence[tuple[float, str]], *, unicode: bool = True) -> list[str]:
    """The time axis below a chart of `span` seconds, a line with ticks at the `marks`, and labels where they fit."""
    line, tick = ("─", "┬") if unicode else ("-", "+")
    cells, labels = [line] * width, ""
    for moment, label in marks:
        at = min(width - 1, int(moment / span * width))
        cells[at] = tick
        text = f"{moment:g} s {label}"
        begin = max(min(at, width - len(text)), len(labels) + 2 if labels else 0)
        if begin + len(text) <= width:
            labels = labels.ljust(begin) + text
    return ["".join(cells), labels]


def lengths(counts: Sequence[float], most: float, width: int) -> list[int]:
    """The parts of a bar, `most` as long as `width`: each as long as its share, and together as long as all."""
    ends = [round(width * sum(counts[: at + 1]) / most) for at in range(len(counts))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def round_top(value: float) -> float:
    """A round number not below `value`, for the upper edge of a chart."""
    if value <= 0:
        return 1.0
    unit: float = 10 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value)
