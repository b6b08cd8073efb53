"""Tool invocation: whatever a model sends that is not exactly what was asked for is refused."""

import asyncio
import json
import re
from collections import namedtuple
from types import SimpleNamespace

IS = {
    "booking": lambda value: isinstance(value, str) and bool(re.fullmatch("[A-Z]{2}[0-9]{4}", value)),
    "euros": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "text": lambda value: isinstance(value, str) and bool(value.strip()),
}
Tool = namedtuple("Tool", "name about arguments call gives cost", defaults=((), 1))
ToolResult = namedtuple("ToolResult", "id ok content")


def refusal(tool, args) -> str:
    """What is wrong with these arguments; "" if nothing."""
    if not isinstance(args, dict):
        return "arguments are an object"
    if args.keys() != tool.arguments.keys():
        return f"{tool.name} takes exactly {sorted(tool.arguments)}"
    return "; ".join(f"{name}: this is no {of}" for name, of in tool.arguments.items() if not IS[of](args[name]))


def sane(constant):
    raise ValueError(f"{constant} is no number")


def Tools(most: int = 2_000) -> SimpleNamespace:
    known: dict = {}

    def result(ident, ok, value) -> ToolResult:
        text = json.dumps(value, allow_nan=False)
        size = most
        while len(text) > most:
            size = size * 3 // 4
            name, first = next(iter(value.items()))
            text = json.dumps({"truncated": True, name: json.dumps(first)[:size]})
        return ToolResult(ident, ok, text)

    async def invoke(call, tenant, key) -> ToolResult:
        ident = call.get("id", "") if isinstance(call, dict) else ""
        try:
            name, text = call["function"]["name"], call["function"]["arguments"]
            args = json.loads(text, parse_constant=sane)
            wrong = refusal(known[name], args) if name in known else f"there is no {name[:40]}"
            if wrong:
                return result(ident, False, {"error": wrong})
            return result(ident, True, await known[name].call(args, tenant, f"{len(key)}:{key}:{ident}"))
        except Exception as error:
            return result(ident, False, {"error": repr(error)})

    async def invoke_all(calls, tenant, key) -> list:
        tasks = [asyncio.ensure_future(invoke(call, tenant, key)) for call in calls]
        return [await task for task in tasks]

    def add(tool) -> None:
        known[tool.name] = tool

    return SimpleNamespace(known=known, add=add, invoke=invoke, invoke_all=invoke_all)


def described(tools) -> list[dict]:
    found = []
    for tool in tools:
        properties = {name: {"format": of} for name, of in tool.arguments.items()}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        about = f"{tool.about}. Gives {', '.join(tool.gives)}." if tool.gives else tool.about
        function = {"name": tool.name, "description": about, "parameters": parameters}
        found.append({"type": "function", "function": function})
    return found
