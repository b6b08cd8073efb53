"""Planner → executor: a plan is read strictly, put in order by hand, and carried out from left to right."""

import json
import re
from collections import namedtuple

from service.patterns.tools import IS

Planned = namedtuple("Planned", "id tool args of")
NAME = "[a-zA-Z][a-zA-Z0-9_]*"
USE = re.compile(rf"\$({NAME})\.({NAME})")


class BadPlan(ValueError):
    pass


def sure(holds, why: str) -> None:
    if not holds:
        raise BadPlan(why)


def read(text: str) -> list:
    try:
        steps = json.loads(text)["steps"]
        found = [(Planned(step["id"], step["tool"], step["args"], {}), list(step.get("after") or ())) for step in steps]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadPlan("that is no plan") from None
    for step, after in found:
        sure(isinstance(step.id, str) and re.fullmatch(NAME, step.id), "an id is a word")
        sure(isinstance(step.tool, str) and isinstance(step.args, dict), "that is no step")
        sure(all(isinstance(each, str) for each in after), "after is a list of ids")
    return found


def validate(text: str, tools, budget: int = 8) -> list:
    found = read(text)
    steps = {step.id: step for step, _ in found}
    sure(found and len(steps) == len(found), "each step has an id of its own, and there is one at least")
    for step in steps.values():
        sure(step.tool in tools, f"there is no {step.tool}")
    sure(sum(tools[step.tool].cost for step in steps.values()) <= budget, "that is too dear")
    waits = {}
    for step, after in found:
        uses = {name: USE.findall(value) for name, value in step.args.items() if isinstance(value, str)}
        waits[step.id] = {*after, *(ident for each in uses.values() for ident, _ in each)}
        sure(waits[step.id] <= steps.keys(), f"{step.id} waits for what there is not")
        tool = tools[step.tool]
        sure(step.args.keys() == tool.arguments.keys(), f"{tool.name} takes exactly {sorted(tool.arguments)}")
        for name, of in tool.arguments.items():
            given = [field in tools[steps[ident].tool].gives for ident, field in uses.get(name, ())]
            alone = of == "text" or USE.fullmatch(str(step.args[name]))
            sure(alone and all(given) if given else IS[of](step.args[name]), f"{step.id}: {name} is no {of}")
    order: list = []
    while len(order) < len(steps):
        ready = [each for each in steps if each not in order and waits[each] <= {*order}]
        sure(ready, "steps wait for each other")
        order += ready
    return [steps[each]._replace(of=tools[steps[each].tool].arguments) for each in order]


async def execute(steps, call, done: dict) -> dict:
    gave: dict = {}

    def filled(value):
        if not isinstance(value, str):
            return value
        for ident, field in USE.findall(value):
            sure(field in gave[ident], f"{ident} gave no {field}")
        alone = USE.fullmatch(value)
        return gave[alone[1]][alone[2]] if alone else USE.sub(lambda use: str(gave[use[1]][use[2]]), value)

    for step in steps:
        args = {name: filled(value) for name, value in step.args.items()}
        for name, value in args.items():
            sure(IS[step.of[name]](value), f"{step.id}: {name} is no {step.of[name]}")
        what = step.tool + json.dumps(sorted(args.items()))
        gave[step.id] = done[what] if what in done else done.setdefault(what, await call(step.tool, args))
    return gave
