"""A tape told in at most twelve lines: what the outside did, what the service did about it, where it stood still."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from grader.sim.tape import Entry, Tape

MOST_LINES = 12
_WIDTH = 96

_ALWAYS = (
    "fault", "crash", "freeze", "thaw", "stop", "stopped", "start", "host-failed", "escape", "unhandled", "partition",
    "heal",
)  # fmt: skip
"""What turns a story; but the first start of a host, with which every story begins."""

_MOST_OF_A_KIND = 3
_FEW = 3  # requests, of which each is told
NOTICED = 0.05
"""Seconds for which an event loop may stand still without a word."""


def tell(tape: Tape, about: Sequence[str] = ("",), since: float = 0.0) -> tuple[str, ...]:
    """The story of a run, a line for each thing that happened."""
    entries = list(tape)
    begun = _requests(entries)
    shown = chosen(tape, about, since)
    return (*_merged([_line(entry, begun) for entry in shown]), *_remainder(entries, shown))[:MOST_LINES]


def chosen(tape: Tape, about: Sequence[str] = ("",), since: float = 0.0) -> list[Entry]:
    """What a story tells: what went wrong outside, the request that waited longest, what held the event loop.

    There is a request for each text of `about`: of those in whose method, path and body it stands, and which came at
    `since` or later. In the order in which it happened.
    """
    entries = list(tape)
    begun = _requests(entries)
    found: dict[int, Entry] = {}

    def choose(some: Iterable[Entry]) -> None:
        for entry in some:
            if len(found) < MOST_LINES - 1:
                found.setdefault(id(entry), entry)

    starts = {id(e) for e in entries if e.kind == "start" and e.at == 0.0}
    for kind in _ALWAYS:
        choose([e for e in entries if e.kind == kind and id(e) not in starts][:_MOST_OF_A_KIND])
    blocked = [e for e in entries if e.kind == "blocked" and float(e.data["seconds"]) >= NOTICED]
    blocked.sort(key=lambda e: -float(e.data["seconds"]))
    for entry in blocked[:1]:
        choose([*_behind(entry, entries, begun), entry])
    if len(begun) <= _FEW:
        choose([e for e in entries if e.kind in ("request", "response", "disconnect")])
    for text in about:
        choose(_worst_request(entries, {n: e for n, e in begun.items() if e.at >= since and is_about(e, text)}))
    choose(blocked[:_MOST_OF_A_KIND])
    return in_order(entry for entry in entries if id(entry) in found)


def lines(moments: Sequence[tuple[float, str]]) -> tuple[str, ...]:
    """A story that somebody else knows: seconds, and what happened then."""
    told = _merged([_cut(f"{clock(at)}  {text}") for at, text in moments])
    if len(told) > MOST_LINES:
        half = MOST_LINES // 2
        told = [*told[:half], f"{'…':<7}  {len(told) - MOST_LINES + 1} more", *told[half + 1 - MOST_LINES :]]
    return tuple(told)


def crash_point(tape: Tape) -> list[tuple[float, str]]:
    """What led to a crash behind an effect, and what came of it, for `expect(story=…)`; whoever judged adds the row.

    Effects are told where they were counted: with `Simulation.counts_effects`, or for a host with a crash point. Of
    those before the crash the last are told, of those after it the first calls.
    """
    entries = list(tape)
    crash = next((at for at, entry in enumerate(entries) if entry.kind == "crash"), len(entries))
    before = [at for at in range(crash) if entries[at].kind == "effect"][-_MOST_OF_A_KIND:]
    after = [at for at in range(crash, len(entries)) if entries[at].data.get("what") == "call"][:2]
    told = []
    for at, entry in enumerate(entries):
        data = entry.data
        match entry.kind:
            case "request":
                body = f" {data['text']}" if data["text"] else ""
                told.append((entry.at, f"{data['method']} {data['path']}{body} comes to {entry.source}"))
            case "effect" if at in before or at in after:
                line = f" at {data['where'][0]}" if data["where"] else ""
                what = {"answer": "an answer leaves", "call": "a call leaves"}.get(data["what"], data["what"])
                told.append((entry.at, f"effect {data['number']} of {entry.source}: {what}{line}"))
            case "crash":
                told.append((entry.at, f"{entry.source} crashes"))
            case "start" if at > crash:
                told.append((entry.at, f"{entry.source} starts"))
    return told


def is_about(request: Entry, text: str) -> bool:
    data = request.data
    return text in f"{data['method']} {data['path']} {data['text']}"


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By when they happened; what happened at one moment, as it was recorded."""
    return sorted(entries, key=moment)


def _requests(entries: list[Entry]) -> dict[int, Entry]:
    return {e.data["id"]: e for e in entries if e.kind == "request"}


def moment(entry: Entry) -> float:
    """When it happened; a fault may be noted only when it first strikes, and a standstill when it is over."""
    if entry.kind == "fault" and entry.data["phase"] == "begin":
        return float(entry.data["begin"])
    return entry.at - float(entry.data["seconds"]) if entry.kind == "blocked" else entry.at


def _behind(blocked: Entry, entries: list[Entry], begun: dict[int, Entry]) -> list[Entry]:
    """The call that held the loop, and the request that it was made for."""
    calls = [e for e in entries if e.kind == "call" and e.data["where"] == blocked.data["where"] and e.at <= blocked.at]
    near = [e for e in calls if abs(e.at - moment(blocked)) < 0.01]
    return [found for e in near[:1] for found in (begun.get(e.data["cause"]), e) if found is not None]


def _worst_request(entries: list[Entry], begun: dict[int, Entry]) -> list[Entry]:
    """The request that waited longest for its answer (or has none), with what was done for it: at most six entries."""
    over: dict[int, Entry] = {}
    work: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind in ("response", "disconnect"):
            over.setdefault(entry.data["id"], entry)
        elif entry.data.get("cause"):
            work[entry.data["cause"]].append(entry)
    if not begun:
        return []
    end = entries[-1].at
    ident = max(begun, key=lambda i: ((over[i].at if i in over else end) - begun[i].at, -i))
    steps = [e for e in work[ident] if e.kind in ("call", "reply", "call-failed", "log")]
    if len(steps) > 4:
        steps = [*steps[:2], *steps[-2:]]
    return [begun[ident], *steps, *([over[ident]] if ident in over else [])]


def _remainder(entries: list[Entry], shown: list[Entry]) -> list[str]:
    """What there was more of, in one line."""
    told = {id(entry) for entry in shown}
    left = [e for e in entries if id(e) not in told]
    still = sum(float(e.data["seconds"]) for e in entries if e.kind == "blocked")
    calls = sum(e.kind == "call" for e in left)
    gone = sum(e.kind == "disconnect" for e in left)
    refused = sum(e.kind == "response" and e.data["status"] >= 500 for e in left)
    parts = []
    if any(e.kind == "blocked" for e in left) and round(still):
        parts.append(f"the event loop stands still for {still:.0f} s in all")
    if calls:
        parts.append(f"{calls} more {'call' if calls == 1 else 'calls'} to others")
    if gone:
        parts.append(f"{gone} more {'client gives' if gone == 1 else 'clients give'} up")
    if refused:
        parts.append(f"{refused} more {'request ends' if refused == 1 else 'requests end'} with 5xx")
    return [f"{'…':<7}  {'; '.join(parts)}"] if parts else []


def _line(entry: Entry, begun: dict[int, Entry]) -> str:
    data = entry.data
    at = f" at {data['where'][0]}" if data.get("where") else ""
    match entry.kind:
        case "request":
            body = f" {data['text']}" if data["text"] else ""
            text = f"{data['method']} {data['path'].partition('?')[0]}{body} arrives (request {data['id']})"
        case "response":
            text = f"request {data['id']} is answered {data['status']} after {_waited(entry, begun):.1f} s"
        case "disconnect":
            text = f"the client of request {data['id']} gives up after {_waited(entry, begun):.1f} s"
        case "call":
            text = f"→ {data['method']} {data['url'].partition('?')[0].partition('://')[2]}{at}"
        case "reply":
            text = f"← {entry.source} answers {data['status']}"
        case "call-failed":
            text = f"← the call fails: {data['error']}"
        case "blocked":
            text = f"the event loop of {entry.source} stands still for {data['seconds']:.1f} s{at}"
        case "fault":
            text = _fault(entry)
        case "unhandled":
            text = f"{data['error']} goes unhandled{at}: {data['text']}"
        case "escape":
            text = f"refused: {data['text']}{at}"
        case "crash":
            text = f"{entry.source} crashes" + (f" right behind {data['behind']}{at}" if data.get("behind") else "")
        case "freeze":
            text = f"{entry.source} stands still: it gets no turn"
        case "thaw":
            text = f"{entry.source} goes on, as if nothing had been"
        case "stop":
            text = f"{entry.source} is told to stop"
        case "stopped":
            text = f"{entry.source} has stopped"
        case "start":
            text = f"{entry.source} starts"
        case "host-failed":
            text = f"{entry.source} cannot go on: {data['text']}{at}"
        case "log":
            text = f"{entry.source} logs {data['level']}: {data['text']}"
        case _:
            text = f"{entry.kind} {' '.join(map(str, data.values()))}"
    line = f"{clock(moment(entry))}  {' '.join(text.split())}"
    return _cut(line)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _fault(entry: Entry) -> str:
    data = entry.data
    if data.get("phase") == "end":
        return f"the {entry.source} heals ({data['fault']})"
    detail = (
        f", ×{data['factor']:.3g}"
        if data.get("factor", 1) != 1
        else f", {data['status']}"
        if data.get("status")
        else ""
    )
    return f"the {entry.source} fails: {data['fault']}{detail}"


def _waited(entry: Entry, begun: dict[int, Entry]) -> float:
    first = begun.get(entry.data["id"])
    return entry.at - first.at if first else 0.0


def clock(at: float) -> str:
    """A virtual moment for people: minutes and seconds, with days where there are any."""
    minutes, seconds = divmod(round(at, 1), 60)
    days, minutes = divmod(int(minutes), 24 * 60) if minutes >= 24 * 60 else (0, int(minutes))
    return f"{days}d {minutes // 60:02}:{minutes % 60:02}:{seconds:04.1f}" if days else f"{minutes:02}:{seconds:04.1f}"


def _merged(lines: list[str]) -> list[str]:
    """Lines that say the same but for their time become one, with a count."""
    merged: list[tuple[str, str, int]] = []
    for line in lines:
        at, _, text = line.partition("  ")
        if merged and merged[-1][1] == text:
            merged[-1] = (merged[-1][0], text, merged[-1][2] + 1)
        else:
            merged.append((at, text, 1))
    return [f"{at}  {text}" + (f"  (×{count})" if count > 1 else "") for at, text, count in merged]
