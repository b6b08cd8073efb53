"""Planner → executor: the model says what is to be done, and none of it is done before all of it is known to be
sound."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from service.patterns.tools import FORMATS, Tool, is_of

BUDGET = 8


class BadPlan(ValueError):
    """This cannot be carried out, and says why."""


@dataclass(frozen=True)
class Planned:
    """A step: a tool and its arguments, in which "$s1.name" stands for what step s1 gave. `execute` gets no tools: add
    what it has to know of them."""

    id: str
    tool: str
    args: dict[str, Any]
    formats: dict[str, str]  # of its arguments: what is filled in is checked, too


_ID = re.compile(r"[A-Za-z]\w*", re.ASCII)
_USE = re.compile(r"\$([A-Za-z]\w*)\.([A-Za-z]\w*)", re.ASCII)


def validate(text: str, tools: Mapping[str, Tool], budget: int = BUDGET) -> list[Planned]:
    """The steps of a plan, in an order in which they can be done. It calls nothing.

    `text` is what the model said: {"steps": [{"id", "tool", "args", "after": [ids]}, …]}; "after" may be missing. A
    step comes behind those in its "after", and behind those that its arguments use. An id is letters, digits and
    underscores, a letter first: "$5.00" is no use, but a price. Raises BadPlan if that is not what it is, for a plan
    without steps, an id that comes twice, an unknown tool or step, steps that wait for each other, an argument that is
    missing or of another format (tools.py; a use stands for a value of whatever format when it stands alone, and
    within a longer text for text), a use of what that step's tool does not give, and if the tools' costs come to more
    than `budget`. An argument that the tool does not have is left out, or a BadPlan: both are right.
    """
    try:
        raw = {step["id"]: step for step in json.loads(text)["steps"]}
        count = len(json.loads(text)["steps"])
        steps = {ident: Planned(ident, step["tool"], dict(step["args"]), {}) for ident, step in raw.items()}
        behind = {ident: {*step.get("after", ())} | _used(step["args"]) for ident, step in raw.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadPlan(f"this is no plan: {type(error).__name__}: {error}") from None
    if not steps or len(steps) != count:
        raise BadPlan("a plan has steps, and each has an id of its own")
    for step in steps.values():
        if not isinstance(step.id, str) or not _ID.fullmatch(step.id):
            raise BadPlan(f"{step.id} is no id: letters, digits and underscores, a letter first")
        if not isinstance(step.tool, str) or step.tool not in tools:
            raise BadPlan(f"{step.id}: there is no tool {step.tool}")
        if unknown := behind[step.id] - steps.keys():
            raise BadPlan(f"{step.id}: there is no step {sorted(map(str, unknown))[0]}")
    if sum(tools[step.tool].cost for step in steps.values()) > budget:
        raise BadPlan(f"it costs more than {budget}")
    for step in steps.values():
        _check(step, steps, tools)
    try:
        order = list(TopologicalSorter(behind).static_order())
    except CycleError:
        raise BadPlan("steps wait for each other") from None
    return [_without_others(steps[ident], tools) for ident in order]


async def execute(
    steps: list[Planned], call: Callable[[str, dict], Awaitable[dict]], done: dict[str, dict]
) -> dict[str, dict]:
    """Carry out what `validate` has returned: `call(tool, args)` for each step, in order, with all uses filled in.
    What each gave, by its id.

    An argument that is one use, and nothing else, gets the value as it is; in a longer text, it gets it as text.
    `done` is the caller's, empty at first, and what you keep in it is yours: a step that was finished is not called
    again when it is executed with the same `done`, be it in another plan, with another id: it is known by its tool
    and its arguments. What `call` raises passes on. What is filled in is checked, too: if an argument has another
    format then, or there is nothing to fill in, it is a BadPlan, and that step is not called.
    """
    results: dict[str, dict] = {}
    for step in steps:
        try:
            args = {name: _filled(value, results) for name, value in step.args.items()}
        except KeyError as error:
            raise BadPlan(f"{step.id}: nothing gave {error}") from None
        for name, kind in step.formats.items():
            if not is_of(args[name], kind):
                raise BadPlan(f"{step.id}: {name} is {FORMATS[kind]}")
        key = json.dumps([step.tool, args], sort_keys=True)
        if key not in done:
            done[key] = await call(step.tool, args)
        results[step.id] = done[key]
    return results


def _used(args: dict) -> set[str]:
    return {use[0] for value in args.values() if isinstance(value, str) for use in _USE.findall(value)}


def _check(step: Planned, steps: Mapping[str, Planned], tools: Mapping[str, Tool]) -> None:
    for name, kind in tools[step.tool].arguments.items():
        value = step.args.get(name)
        uses = _USE.findall(value) if isinstance(value, str) else []
        for ident, field in uses:
            if field not in tools[steps[ident].tool].gives:
                raise BadPlan(f"{step.id}: {steps[ident].tool} gives no {field}")
        whole = bool(uses) and (kind == "text" or _USE.fullmatch(value))
        if not whole and not is_of(value, kind):
            raise BadPlan(f"{step.id}: {name} is {FORMATS[kind]}")


def _without_others(step: Planned, tools: Mapping[str, Tool]) -> Planned:
    formats = tools[step.tool].arguments
    return Planned(step.id, step.tool, {name: step.args[name] for name in formats}, formats)


def _filled(value: Any, results: Mapping[str, dict]) -> Any:
    if not isinstance(value, str):
        return value
    whole = _USE.fullmatch(value)
    if whole:
        return results[whole[1]][whole[2]]
    return _USE.sub(lambda use: str(results[use[1]][use[2]]), value)
