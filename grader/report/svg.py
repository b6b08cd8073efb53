"""Pictures for pages: an incident's curves, and who called whom. Shapes and words only; colours are the page's.

A curve stretches to any width, so what is written beside it is the page's. A sequence is drawn for one width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from grader.outcome import Step
from grader.story import sequence

POINTS = 300  # columns of a curve
HEIGHT = 100.0

_LETTER = 7.3  # pixels of a letter in the monospaced type of sequences
_ROW = 26
_HEAD = 30
_MOMENT = 64


def curve(values: Sequence[float | None], top: float, kind: str, *, filled: bool) -> Markup:
    """Paths in a box of POINTS by HEIGHT, from 0 at its foot to `top`. Gaps where nothing was measured."""
    points = [(POINTS * at / max(1, len(values) - 1), value) for at, value in enumerate(values)]
    parts: list[list[str]] = [[]]
    for x, value in points:
        if value is None:
            parts.append([])
        else:
            parts[-1].append(f"{x:.1f},{HEIGHT * (1 - min(1.0, value / top)):.1f}")
    paths = []
    for part in filter(None, parts):
        if filled:
            first, last = part[0].partition(",")[0], part[-1].partition(",")[0]
            paths.append(
                f'<path class="{kind} area" d="M{first},{HEIGHT:.0f} L{" ".join(part)} L{last},{HEIGHT:.0f} Z"/>'
            )
        paths.append(f'<path class="{kind} line" d="M{part[0]} L{" ".join([*part[1:], part[-1]])}"/>')
    return Markup("".join(paths))


def picture(steps: Sequence[Step], width: int, title: str) -> Markup:
    """A sequence as a whole <svg> of `width` pixels; `title` says in words what it shows."""
    names = sequence.parties(steps)
    if not names:
        return Markup()
    labels = [name.partition(".")[0] for name in names]
    left = _MOMENT + _LETTER * len(labels[0]) / 2
    right = width - max(_LETTER * len(labels[-1]) / 2, 12)
    gap = (right - left) / max(1, len(names) - 1)
    at = {name: left + number * gap for number, name in enumerate(names)}
    height = _HEAD + _ROW * len(steps) + 14
    parts = [
        f'<svg class="sequence" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        *(_text(at[name], 16, label, "party", "middle") for name, label in zip(names, labels, strict=True)),
        *(f'<line class="life" x1="{x:.0f}" y1="{_HEAD - 6}" x2="{x:.0f}" y2="{height - 8}"/>' for x in at.values()),
    ]
    for number, step in enumerate(steps):
        y = _HEAD + _ROW * (number + 0.7)
        parts += [_text(0, y + 4, sequence.moment(step), "moment", "start"), *_drawn(step, y, at, width)]
    return Markup("".join([*parts, "</svg>"]))


def _drawn(step: Step, y: float, at: dict[str, float], width: float) -> list[str]:
    if step.kind in ("still", "note"):
        x = at.get(step.source, min(at.values()) - 8)
        bar = (
            f'<rect class="still" x="{x - 4:.0f}" y="{y - 9:.0f}" width="8" height="18"/>'
            if step.kind == "still"
            else ""
        )
        return [bar, _beside(x, y + 4, sequence.told(step), step.kind, width)]
    begin, end = at[step.source], at[step.target]
    tip = end - math.copysign(6, end - begin)
    head = f'<path class="tip {step.kind}" d="M{end:.0f},{y:.0f} L{tip:.0f},{y - 4:.0f} L{tip:.0f},{y + 4:.0f} Z"/>'
    if step.kind == "failed":
        head = f'<path class="cross" d="M{tip - 4:.0f},{y - 4:.0f} l8,8 m0,-8 l-8,8"/>'
    room = int((abs(end - begin) - 16) / _LETTER)
    return [
        f'<line class="{step.kind}" x1="{begin:.0f}" y1="{y:.0f}" x2="{tip:.0f}" y2="{y:.0f}"/>',
        head,
        _text((begin + end) / 2, y - 5, sequence.cut(step.text, room), step.kind, "middle"),
    ]


def _beside(x: float, y: float, text: str, kind: str, width: float) -> str:
    """To the right of a lifeline, or to its left if there is more room."""
    if width - x >= x - _MOMENT:
        return _text(x + 10, y, sequence.cut(text, int((width - x - 10) / _LETTER)), kind, "start")
    return _text(x - 10, y, sequence.cut(text, int((x - _MOMENT - 10) / _LETTER)), kind, "end")


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'
