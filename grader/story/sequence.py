"""A story as a sequence: who called whom, and when. As data (`steps`), and drawn in text (`drawing`).

What belongs to the story is chosen in `timeline.py`; the drawing for pages is in `report/svg.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.outcome import Step
from grader.sim.tape import Entry, Tape
from grader.story import timeline

CLIENT = "client"
MOST_STEPS = 18
MOMENT = 9  # columns in which a moment stands, left of the drawing
WIDEST = 26  # columns between two lifelines: arrows need no more

_NOTES = {
    "crash": "crashes",
    "freeze": "stands still: it gets no turn",
    "thaw": "goes on",
    "stop": "is told to stop",
    "stopped": "has stopped",
    "start": "starts",
    "host-failed": "cannot go on",
}


def steps(tape: Tape, about: Sequence[str] = ("",), since: float = 0.0) -> tuple[Step, ...]:
    """The story of a run as a sequence, at most MOST_STEPS long; each call with its answer, as far as there is room."""
    entries = list(tape)
    told = timeline.chosen(tape, about, since)
    wanted = {id(entry) for entry in told}
    calls = {entry.data["call"] for entry in told if entry.kind in ("call", "reply", "call-failed")}
    requests = {entry.data["id"] for entry in told if entry.kind in ("request", "response", "disconnect")}
    shown = [e for e in entries if id(e) in wanted or _belongs(e, calls, requests)]
    if len(shown) > MOST_STEPS:
        shown = told
    found = [step for entry in timeline.in_order(shown) if (step := _step(entry, entries)) is not None]
    return tuple(_merged(found)[:MOST_STEPS])


def _merged(steps: Sequence[Step]) -> list[Step]:
    """A loop that stands still again, at the same line, with nothing told in between, does so once, for longer."""
    merged: list[Step] = []
    for step in steps:
        last = merged[-1] if merged else step
        if step.kind == last.kind == "still" and (step.source, step.text) == (last.source, last.text) and merged:
            merged[-1] = replace(last, seconds=last.seconds + step.seconds)
        else:
            merged.append(step)
    return merged


def _belongs(entry: Entry, calls: set[int], requests: set[int]) -> bool:
    data = entry.data
    if entry.kind in ("call", "reply", "call-failed", "abort"):
        return data["call"] in calls
    return entry.kind in ("request", "response", "disconnect") and data["id"] in requests


def _step(entry: Entry, entries: list[Entry]) -> Step | None:
    data, at, who = entry.data, timeline.moment(entry), entry.source
    match entry.kind:
        case "request":
            return Step(at, "call", CLIENT, who, f"{data['method']} {data['path'].partition('?')[0]}")
        case "response":
            return Step(at, "answer", who, CLIENT, f"{data['status']}, {_waited(entry, entries):.1f} s")
        case "disconnect":
            return Step(at, "failed", CLIENT, who, f"gives up, {_waited(entry, entries):.1f} s")
        case "call":
            peer, _, path = data["url"].partition("?")[0].partition("://")[2].partition("/")
            return Step(at, "call", who, peer, f"{data['method']} /{path}")
        case "reply":
            return Step(at, "answer", who, data["to"], str(data["status"]))
        case "call-failed" | "abort":
            peer = _peer(data["call"], entries)
            if not peer:
                return None
            if entry.kind == "abort":
                return Step(at, "failed", who, peer, "hangs up")
            return Step(at, "failed", peer, who, data["error"])
        case "blocked":
            line = data["where"][0] if data.get("where") else ""
            return Step(at, "still", who, "", line, float(data["seconds"]))
        case "unhandled":
            return Step(at, "note", who, "", f"{data['error']} goes unhandled")
        case "log":
            return Step(at, "note", who, "", f"logs {data['level']}: {data['text']}")
        case "fault":
            factor = f" ×{data['factor']:.3g}" if data["factor"] != 1 else ""
            phase = "begins" if data["phase"] == "begin" else "ends"
            return Step(at, "note", "", "", f"{who}: {data['fault']}{factor} {phase}")
        case kind if kind in _NOTES:
            return Step(at, "note", who, "", _NOTES[kind])
    return Step(at, "note", "", "", f"{entry.kind}: {' '.join(map(str, data.values()))}")


def _waited(entry: Entry, entries: list[Entry]) -> float:
    begun = next((e.at for e in entries if e.kind == "request" and e.data["id"] == entry.data["id"]), entry.at)
    return entry.at - begun


def _peer(call: int, entries: list[Entry]) -> str:
    """Whom a call went to."""
    url = next((e.data["url"] for e in entries if e.kind == "call" and e.data["call"] == call), "")
    return str(url.partition("://")[2].partition("/")[0].partition("?")[0])


def parties(steps: Sequence[Step]) -> tuple[str, ...]:
    """Who takes part: the client, the hosts, and those that they call, from left to right."""
    hosts = dict.fromkeys(
        name for s in steps for name in (s.target if s.source == CLIENT else s.source if s.kind != "answer" else "",)
        if name and name != CLIENT and "." not in name
    )  # fmt: skip
    others = dict.fromkeys(name for s in steps for name in (s.source, s.target) if name and name != CLIENT)
    first = (CLIENT,) if any(CLIENT in (s.source, s.target) for s in steps) else ()
    return (*first, *hosts, *(name for name in others if name not in hosts))


# ------------------------------------------------------------------------------------------------ in text

_LINES = {"call": "─", "answer": "╌", "failed": "╌", "life": "│", "right": "▶", "left": "◀", "still": "█", "x": "✗"}
_ASCII = {"call": "-", "answer": ".", "failed": ".", "life": "|", "right": ">", "left": "<", "still": "#", "x": "x"}


def drawing(steps: Sequence[Step], width: int, *, unicode: bool = True) -> list[str]:
    """The sequence, at most `width` columns wide: moments, and beside them lifelines with what passes between them."""
    names = parties(steps)
    if not names:
        return []
    signs = _LINES if unicode else _ASCII
    labels = [name.partition(".")[0] for name in names]
    first = MOMENT + len(labels[0]) // 2 + 1
    gap = min(WIDEST, (width - first - len(labels[-1]) // 2 - 1) // max(1, len(names) - 1)) if len(names) > 1 else 0
    at = {name: first + number * gap for number, name in enumerate(names)}
    head = [" "] * width
    for name, label in zip(names, labels, strict=True):
        _put(head, at[name] - len(label) // 2, label[: max(1, gap - 2)] if gap else label)
    lines = ["".join(head).rstrip()]
    for step in steps:
        cells = [" "] * width
        for column in at.values():
            cells[column] = signs["life"]
        _put(cells, 0, moment(step))
        _draw(cells, step, at, signs)
        lines.append("".join(cells).rstrip())
    return lines


def _draw(cells: list[str], step: Step, at: dict[str, int], signs: dict[str, str]) -> None:
    if step.kind in ("still", "note"):
        column = at.get(step.source, min(at.values()))
        if step.kind == "still":
            cells[column] = signs["still"]
        text = told(step)
        _put(cells, column + 2 if step.source in at else MOMENT, cut(text, len(cells) - column - 2))
        return
    begin, end = at[step.source], at[step.target]
    left, right = min(begin, end), max(begin, end)
    for column in range(left + 1, right):
        cells[column] = signs[step.kind]
    tip = signs["x"] if step.kind == "failed" else signs["right"] if end > begin else signs["left"]
    cells[end - 1 if end > begin else end + 1] = tip
    text = f" {cut(step.text, right - left - 6)} "
    _put(cells, left + 1 + max(1, (right - left - 1 - len(text)) // 2), text)


def moment(step: Step) -> str:
    """When it happened, for people."""
    return timeline.clock(step.at)


def told(step: Step) -> str:
    """What stands beside a lifeline."""
    if step.kind != "still":
        return step.text
    return f"blocked {step.seconds:.1f} s{f': {step.text}' if step.text else ''}"


def _put(cells: list[str], at: int, text: str) -> None:
    for offset, char in enumerate(text):
        if 0 <= at + offset < len(cells):
            cells[at + offset] = char


def cut(text: str, room: int) -> str:
    """The text in `room` letters; of a method and a path, the first parts of the path go first."""
    method, _, path = text.partition(" ")
    while len(text) > room and path.startswith("/") and "/" in path[1:]:
        path = path[path.index("/", 1) :]
        text = f"{method} …{path}"
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"
