"""What an incident cost, and which of the things that always have to hold it broke first. Read off the tape alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from grader.sim.tape import Entry, Tape
from grader.story.timeline import NOTICED, clock, moment

PATIENCE = 0.5  # seconds that a client waits at least who wants an answer


def costs(tapes: Sequence[Tape]) -> tuple[str, ...]:
    """The damage of all runs of a test, in seconds, requests and money; empty if there is none of these."""
    entries = [entry for tape in tapes for entry in tape]
    return tuple(line for line in (_standstill(entries), _unanswered(tapes), _in_vain(tapes)) if line)


def _standstill(entries: Iterable[Entry]) -> str:
    still = sum(float(e.data["seconds"]) for e in entries if e.kind == "blocked")
    return f"the event loop stands still for {_span(still)}" if still >= NOTICED else ""


def _unanswered(tapes: Sequence[Tape]) -> str:
    asked = gone = refused = 0
    waited = 0.0
    for tape in tapes:
        begun: dict[int, float] = {}
        for entry in tape:
            match entry.kind:
                case "request":
                    begun[entry.data["id"]] = entry.at
                case "disconnect":
                    gone += 1
                    waited += entry.at - begun.get(entry.data["id"], entry.at)
                case "response":
                    refused += entry.data["status"] >= 500
        asked += len(begun)
    parts = []
    if gone:
        parts.append(f"{_some(gone, asked)} given up, after {_span(waited)} of waiting{' in all' if gone > 1 else ''}")
    if refused:
        parts.append(f"{_some(refused, asked)} answered with 5xx")
    return "; ".join(parts)


def _in_vain(tapes: Sequence[Tape]) -> str:
    """Calls that were paid for and reached nobody, or whose like had been paid for under the same key."""
    vain = [e for tape in tapes for e in _wasted(tape)]
    if not vain:
        return ""
    calls = "1 provider call is" if len(vain) == 1 else f"{len(vain)} provider calls are"
    return f"{calls} billed in vain: {_dollars(sum(e.data['cost'] for e in vain))}"


def _wasted(tape: Tape) -> Iterator[Entry]:
    paid: set[str] = set()
    for entry in tape.of("billed"):
        key = entry.data["key"]
        if entry.data["gone"] or (key and key in paid):
            yield entry
        paid.add(key)


def first_broken(tape: Tape) -> str:
    """Of what always has to hold, what this run breaks first; empty if nothing of it."""
    begun = {entry.data["id"]: entry.at for entry in tape.of("request")}
    broken = [(moment(entry), what) for entry in tape if (what := _breaks(entry)) and not _at_once(entry, begun)]
    paid = [(entry.at, "each call is paid for once, and reaches who asked") for entry in _wasted(tape)]
    at, what = min([*broken, *paid], default=(0.0, ""))
    return f"{clock(at)}  {what}" if what else ""


def _breaks(entry: Entry) -> str:
    match entry.kind:
        case "blocked" if float(entry.data["seconds"]) >= NOTICED:
            return f"the event loop never stands still for more than {NOTICED * 1000:.0f} ms"
        case "disconnect":
            return "every request is answered before its client gives up"
        case "unhandled":
            return f"no exception goes unhandled: {entry.data['error']}"
        case "response" if entry.data["status"] == 500:
            return "no request ends with 500"
    return ""


def _at_once(entry: Entry, begun: Mapping[int, float]) -> bool:
    """A client that hangs up before anybody could have answered: he has his own reasons."""
    return entry.kind == "disconnect" and entry.at - begun.get(entry.data["id"], 0.0) < PATIENCE


def _some(count: int, of: int) -> str:
    return f"{count} of {of} {'request' if of == 1 else 'requests'} {'is' if count == 1 else 'are'}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _dollars(micro: int) -> str:
    return f"${micro / 1e6:,.2f}" if micro >= 100_000 else f"${micro / 1e6:.4f}"
