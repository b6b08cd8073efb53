"""The deterministic model `lark-agent`: it sorts tickets, plans, and calls tools; and what it does badly.

Pure functions of the messages, as in `model.py`: no clock, no chance, no I/O. HTTP shapes live in `shapes.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NAME = "lark-agent"
FLAWED = 12
"""Of a hundred answers with tools, how many are flawed."""

RULES = f"""\
lark-agent, the model that is told of routes or tools. It reads what it is asked for in the first user message.
- Without tools, and with lines "- name: what it is for" in the system message, it sorts: for each sentence, the route
  that shares most meanings with it, or none where two share as many. It knows words of one meaning (a suitcase is
  baggage). It skips a sentence that begins with "I do not" or "This is not". It answers with the names, in their
  order, with commas; or "unclear".
- With tools, and "plan" in the system message, it answers with a plan as JSON: {{"steps": [{{"id": "s1", "tool": …,
  "args": {{…}}, "after": []}}, …]}}, a step for each clause that shares a meaning with a tool's description. In an
  argument, "$s1.name" stands for what step s1 gave; "Gives a, b." at the end of a description says what a tool gives.
- With tools otherwise, it calls the first tool that it needs and has no answer of; when it has all, it says "Done."
- It fills in an argument by its "format": booking, euros (as whole cents), text (the lines that begin with "- ").
- It leaves out a tool that a later line calls failed ("quote failed").
Its known weaknesses:
- Of its answers with tools, some {FLAWED} in 100 are flawed: JSON that breaks off, a tool that there is not, a missing
  argument, prose, in a plan also steps that wait for each other. Asked the same, it says the same. Once a later message
  has the word "error" in it, it makes no such mistake.
- It obeys "route=NAME" in a ticket, whatever routes it was told of; but not between <ticket> and </ticket>.
- It believes "name=value" in a ticket, and makes that an argument of its calls: until it is told of an error.
"""

_SENSES = {
    word: words.split()[0]
    for words in (
        "refund reimburse reimbursed reimbursement repay repaid refunded",
        "delay delayed late overdue waited waiting stranded postponed",
        "rebooking rebook rebooked reschedule switch postpone swap",
        "baggage luggage suitcase suitcases bag bags trunk holdall rucksack carousel",
        "upgrade upgraded business premium lounge",
        "seat seats aisle legroom window sit",
        "meal meals vegan kosher halal vegetarian food diet dinner",
        "receipt receipts invoice invoices vat bookkeeping accountant",
        "weather forecast rain snow storm sunny umbrella sky",
        "special arrange arranged organise organised combine coordinate",
        "fare tariff paid",
        "quote quotation offer alternative",
        "book booked hold reserve debit ledger",
        "mail email letter write written message",
    )
    for word in words.split()
}
_DULL = frozenset(
    re.findall(
        r"\w+",
        """
        about after also and are but can could flight flights booking for from gives had has have hello help how into
        its like may more need not now our out please see should than thank thanks that the them then there these they
        this ticket travel traveller trip want was were what when where which who will with would you your
        """,
    )
)
_WORD = re.compile(r"[^\W_]{3,}")
_ROUTE = re.compile(r"^\s*-\s*([\w-]{1,60}):\s*(.*)$", re.MULTILINE)
_ORDER = re.compile(r"\broute=([\w-]{1,60})")
_DICTATED = re.compile(r"\b(?!route=)([a-z_]{2,40})=([\w.@-]{1,80})")
_FENCED = re.compile(r"<ticket>(.*?)</ticket>", re.DOTALL)
_SENTENCE = re.compile(r"(?:[!?;\n]|\.(?!\d))+")
_CLAUSE = re.compile(r"(?:[!?;:,\n]|\.(?!\d))+")
_SKIPPED = ("i do not", "this is not")
_BOOKING = re.compile(r"\b[A-Z]{2}\d{4}\b")
_EUROS = re.compile(r"\b(\d{1,7})(?:\.(\d\d))? euros")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as it is told to the model; `parameters` is a JSON Schema of an object."""

    name: str
    about: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def asks(self) -> dict[str, str]:
        """The names of its arguments, and their formats."""
        found = self.parameters.get("properties")
        properties = found if isinstance(found, dict) else {}
        return {name: str(of.get("format", "")) if isinstance(of, dict) else "" for name, of in properties.items()}

    def gives(self) -> list[str]:
        return re.findall(r"\w+", self.about.partition("Gives ")[2])


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str  # JSON, or what should be


@dataclass(frozen=True, slots=True)
class Turn:
    """A message. `calls` of the assistant; `call`: which of them a tool's message answers."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    call: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    calls: tuple[ToolCall, ...] = ()


def sorts(turns: Sequence[Turn]) -> bool:
    """Is it told of routes?"""
    return bool(_ROUTE.search(_told_by("system", turns)))


def answer(turns: Sequence[Turn], tools: Sequence[Tool]) -> Said:
    """What it says, with these tools; or, without any, which routes it sorts to."""
    first = next((at for at, turn in enumerate(turns) if turn.role == "user"), 0)
    goal = turns[first].text
    system = _told_by("system", turns)
    if not tools:
        return Said(_sorted(system, goal))
    later = "\n".join(turn.text for turn in turns[first + 1 :] if turn.role in ("user", "tool"))
    careful = "error" in later.lower()
    digest = hashlib.sha256(
        json.dumps([[t.role, t.text] for t in turns] + [[t.name, ""] for t in tools]).encode()
    ).digest()
    flaw = 0 if careful or int.from_bytes(digest[:4]) % 100 >= FLAWED else 1 + digest[4] % 60
    steps = _needed(goal, [tool for tool in tools if not _has_failed(tool.name, later)], careful=careful)
    if "plan" in system.lower():
        return Said(_plan(steps, flaw))
    return _next_call(turns, steps, flaw, digest.hex()[:12])


def _told_by(role: str, turns: Iterable[Turn]) -> str:
    return "\n".join(turn.text for turn in turns if turn.role == role)


def _meanings(text: str) -> set[str]:
    words = (word for word in _WORD.findall(text.lower()) if word not in _DULL)
    return {_SENSES.get(word, word) for word in words}


def _sorted(system: str, text: str) -> str:
    fenced = _FENCED.search(text)
    outside = text.replace(fenced[0], "", 1) if fenced else text
    if order := _ORDER.search(outside):
        return order[1]
    routes = {name: _meanings(f"{name} {about}") for name, about in _ROUTE.findall(system)}
    found: dict[str, None] = {}
    for sentence in _SENTENCE.split(_ORDER.sub("", fenced[1] if fenced else text)):
        if not sentence.strip().lower().startswith(_SKIPPED):
            meant = _meanings(sentence)
            best = sorted(((len(meant & of), name) for name, of in routes.items()), reverse=True)[:2]
            if best and best[0][0] and (len(best) == 1 or best[0][0] > best[1][0]):
                found[best[0][1]] = None
    return ", ".join(found) or "unclear"


@dataclass(slots=True)
class _Step:
    tool: Tool
    args: dict[str, Any]  # without those that come from other steps
    sources: dict[str, str]  # what others before it give -> the name of that tool


def _needed(goal: str, tools: Sequence[Tool], *, careful: bool) -> list[_Step]:
    """A step for each clause that a tool is good for, in order, each tool once."""
    told = [(tool, _meanings(f"{tool.name} {tool.about.partition('Gives ')[0]}")) for tool in tools]
    chosen: dict[str, Tool] = {}
    for clause in _CLAUSE.split(goal):
        if not clause.strip().lower().startswith(_SKIPPED):
            meant = _meanings(clause)
            score, best = max(
                ((len(meant & of), tool) for tool, of in told), key=lambda each: each[0], default=(0, None)
            )
            if score and best is not None:
                chosen.setdefault(best.name, best)
    booking, euros = _BOOKING.search(goal), _EUROS.search(goal)
    facts = "; ".join(line.strip()[2:] for line in goal.splitlines() if line.strip().startswith("- "))
    values = {
        "booking": booking[0] if booking else None,
        "euros": int(euros[1]) * 100 + int(euros[2] or 0) if euros else None,
        "text": facts or None,
    }
    dictated = {} if careful else dict(_DICTATED.findall(goal))
    steps: list[_Step] = []
    given: dict[str, str] = {}
    for tool in chosen.values():
        args = {name: values[kind] for name, kind in tool.asks().items() if values.get(kind) is not None}
        steps.append(_Step(tool, {**args, **dictated}, dict(given)))
        given |= dict.fromkeys(tool.gives(), tool.name)
    return steps


def _has_failed(name: str, later: str) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b.*failed", line) for line in later.splitlines())


def _filled(step: _Step, say: Mapping[str, str]) -> dict[str, Any]:
    """A step's arguments; `say`: tool -> how to speak of what it gave."""
    args = dict(step.args)
    for name, kind in step.tool.asks().items():
        if name not in args and name in step.sources:
            args[name] = f"{say[step.sources[name]]}.{name}"
        elif name not in args and kind == "text":
            args[name] = "; ".join(f"{each}: {say[of]}.{each}" for each, of in step.sources.items()) or "As you asked."
    return args


def _plan(steps: Sequence[_Step], flaw: int) -> str:
    ids = {step.tool.name: f"s{number}" for number, step in enumerate(steps, 1)}
    say = {name: f"${ident}" for name, ident in ids.items()}
    told: list[dict[str, Any]] = []
    for step in steps:
        args = _filled(step, say)
        used = [ident for ident in ids.values() if re.search(rf"\${ident}\b", json.dumps(args))]
        told.append({"id": ids[step.tool.name], "tool": step.tool.name, "args": args, "after": used})
    kind = flaw % 5 if told and flaw else None
    last = told[-1] if told else {}
    if kind == 1:
        return "I would look it up first, and write then."
    if kind == 2:
        last["tool"] = f"{last['tool']}_now"
    elif kind == 3:
        last["args"] = dict(list(last["args"].items())[1:])
    elif kind == 4:
        told[0]["after"], last["after"] = [last["id"]], [told[0]["id"]]
    text = json.dumps({"steps": told})
    return text[: len(text) * 2 // 3] if kind == 0 else text


def _next_call(turns: Sequence[Turn], steps: Sequence[_Step], flaw: int, ident: str) -> Said:
    names = {call.id: call.name for turn in turns for call in turn.calls}
    given = {names.get(turn.call, ""): turn.text for turn in turns if turn.role == "tool" and not _is_error(turn.text)}
    step = next((step for step in steps if step.tool.name not in given), None)
    if step is None:
        return Said("Done.")
    args = _filled(step, {name: f"${name}" for name in step.sources.values()})
    told = {f"${name}.{key}": value for name, text in given.items() for key, value in _fields(text).items()}
    for name, value in args.items():
        if isinstance(value, str) and "$" in value:
            whole = told.get(value)
            args[name] = whole if whole is not None else re.sub(r"\$\w+\.\w+", lambda m: str(told.get(m[0], "")), value)
    kind = flaw % 4 if flaw else None
    name, arguments = step.tool.name, json.dumps(args)
    if kind == 0:
        return Said(f"I would use {name} for that.")
    if kind == 1:
        name = f"{name}_now"
    elif kind == 2:
        arguments = json.dumps(dict(list(args.items())[1:]))
    elif kind == 3:
        arguments = arguments[: len(arguments) * 2 // 3]
    return Said("", (ToolCall(f"call_{ident}", name, arguments),))


def _is_error(text: str) -> bool:
    return "error" in text.lower()


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
