"""The provider's levers under `learn serve`: below /-/, whoever plays makes it slow or fail, and reads its invoice.

In a simulation nobody reaches them: faults come from the scenario alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from grader.sim.network import Call, Reply
from grader.world import faults
from grader.world.faults import Fault
from grader.world.provider import RULES, Provider

FOLDER = "/-/"
SECONDS = 60.0
LINES = 20  # of the invoice, the latest

Numbers = Mapping[str, float]


class Lever(NamedTuple):
    """`settings`: what its query can set, and to what it is set without. `told`: what it does, with them filled in."""

    settings: dict[str, float]
    told: str
    fault: Callable[[float, float, Numbers], Fault]


LEVERS = {
    "slow": Lever(
        {"factor": 10.0},
        "work that starts now takes {factor:g} times as long",
        lambda begin, end, given: faults.brown_out(begin, end, given["factor"]),
    ),
    "fail": Lever(
        {"status": 503.0},
        "calls get status {status:g}",
        lambda begin, end, given: faults.failing(begin, end, int(given["status"])),
    ),
    "hang": Lever(
        {},
        "calls are accepted, and never answered",
        lambda begin, end, _: faults.hanging(begin, end),
    ),
    "lose": Lever(
        {"share": 1.0},
        "{share:.0%} of the replies are lost: the call is billed, and the connection reset",
        lambda begin, end, given: faults.reply_lost(begin, end, "reset", share=given["share"]),
    ),
}


def pull(provider: Provider, call: Call, now: float) -> Reply:
    """What a request below FOLDER does, and answers. In seconds since the start of the run."""
    name = call.path.removeprefix(FOLDER)
    if name == "invoice":
        return _text(json.dumps(_invoice(provider), indent=1), kind="application/json")
    if name == "rules":
        return _text(RULES)
    if name == "heal":
        provider.heal()
        return _text("the provider is well again")
    if name not in LEVERS:
        return _text(_help(), 404 if name else 200)
    lever = LEVERS[name]
    try:
        given = _numbers(call.query, {**lever.settings, "seconds": SECONDS})
        provider.strike(lever.fault(now, now + given["seconds"], given))
    except ValueError as error:
        return _text(f"{error}\n\n{_help()}", 400)
    return _text(f"for {given['seconds']:g} s, {lever.told.format(**given)}; {FOLDER}heal ends it before")


def _numbers(query: Mapping[str, str], defaults: Numbers) -> dict[str, float]:
    """Raises ValueError."""
    if odd := sorted(query.keys() - defaults.keys()):
        raise ValueError(f"there is no {odd[0]} to set: {', '.join(defaults)}")
    given = {**defaults, **{name: float(text) for name, text in query.items()}}
    if not all(0 < value < 1e6 for value in given.values()):
        raise ValueError("each number is above 0, and below 1,000,000")
    return given


def _invoice(provider: Provider) -> dict[str, object]:
    lines = provider.invoice
    return {
        "calls": len(provider.log),
        "billed": len(lines),
        "tokens": sum(line.tokens_in + line.tokens_out for line in lines),
        "micro_dollars": provider.billed,
        "latest": [
            f"call {line.call}: {line.model}, {line.tokens_in + line.tokens_out} tokens" for line in lines[-LINES:]
        ],
    }


def _help() -> str:
    rows = [f"{FOLDER}invoice", f"{FOLDER}rules", f"{FOLDER}heal"]
    for name, lever in LEVERS.items():
        query = "&".join(f"{key}={value:g}" for key, value in {**lever.settings, "seconds": SECONDS}.items())
        rows.append(f"{FOLDER}{name}?{query}")
    return "\n".join(rows)


def _text(text: str, status: int = 200, kind: str = "text/plain; charset=utf-8") -> Reply:
    return Reply(status, {"content-type": kind}, f"{text}\n".encode())
