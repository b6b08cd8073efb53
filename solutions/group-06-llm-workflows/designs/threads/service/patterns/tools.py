"""Tool invocation: what a model wants to call is checked as what a stranger sends, and answered whatever it is."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

FORMATS = {
    "booking": "two capital letters and four digits, of A to Z and 0 to 9",
    "euros": "whole cents, 0 or more",
    "text": "text, not empty",
}


@dataclass(frozen=True)
class Tool:
    """`arguments`: name -> format, one of FORMATS; all are required. `call`: async (args, tenant, key) -> a dict."""

    name: str
    about: str
    arguments: dict[str, str]
    call: Callable[[dict[str, Any], str, str], Awaitable[dict]]
    gives: tuple[str, ...] = ()  # the names in what it returns
    cost: int = 1


@dataclass(frozen=True)
class ToolResult:
    """The answer to the call `id`. `content` is JSON, for a message of role tool."""

    id: str
    ok: bool
    content: str


class Tools:
    """The tools that there are. `most`: characters that a result may have."""

    def __init__(self, most: int = 2_000) -> None:
        self.known: dict[str, Tool] = {}
        self._most = most

    def add(self, tool: Tool) -> None:
        self.known[tool.name] = tool

    async def invoke(self, call: dict, tenant: str, key: str) -> ToolResult:
        """Make one call, as it stands in the model's `tool_calls`: {"id", "function": {"name", "arguments": JSON}}.

        The tool gets its arguments, checked: each is there, and has its format. Others it never gets: leave them out,
        or refuse the call, both are right. `tenant` is ours to say, never the model's. The tool's key is made of
        `key` and the call's id: the same for the same, and another for another.

        It raises nothing, whatever the call is. A call that cannot be made, and a tool that raises or gives what JSON
        cannot say (NaN and Infinity are no JSON), is a result that is not ok, with {"error": …} that says what is
        wrong. A result of either kind that is longer than `most` is cut so that it is JSON all the same, and says that
        it was cut ("truncated": true); a shorter one is whole.
        """
        ident = str(call.get("id", "")) if isinstance(call, dict) else ""
        try:
            function = call["function"]
            args = self.checked(function["name"], json.loads(function["arguments"], parse_constant=_no_json))
            found = await self.known[function["name"]].call(args, tenant, json.dumps([key, ident]))
            return ToolResult(ident, True, self._short(found))
        except Exception as error:
            return ToolResult(ident, False, self._short({"error": f"{type(error).__name__}: {error}"}))

    async def invoke_all(self, calls: Sequence[dict], tenant: str, key: str) -> list[ToolResult]:
        """All of them at once. A result for each, in their order."""
        return list(await asyncio.gather(*(self.invoke(call, tenant, key) for call in calls)))

    def checked(self, name: str, args: Any) -> dict[str, Any]:
        """The arguments that a tool gets. Raises ValueError."""
        if name not in self.known:
            raise ValueError(f"there is no tool {name}; there are {', '.join(self.known)}")
        if not isinstance(args, dict):
            raise ValueError("arguments are an object")
        wanted = self.known[name].arguments
        wrong = [f"{each} is {FORMATS[of]}" for each, of in wanted.items() if not is_of(args.get(each), of)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return {each: args[each] for each in wanted}

    def described(self, names: Sequence[str]) -> list[dict]:
        """For the model."""
        return [_described(self.known[name]) for name in names]

    def _short(self, value: dict) -> str:
        text = json.dumps(value, allow_nan=False)
        if len(text) <= self._most:
            return text
        keep = self._most - 80
        while True:
            name = "error" if "error" in value else "beginning"
            short = json.dumps({"truncated": True, name: text[:keep]})
            if len(short) <= self._most:
                return short
            keep -= max(1, (len(short) - self._most) // 2)


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def is_of(value: Any, kind: str) -> bool:
    """Has the value this format?"""
    match kind:
        case "booking":
            return isinstance(value, str) and re.fullmatch("[A-Z]{2}[0-9]{4}", value) is not None
        case "euros":
            return type(value) is int and value >= 0
    return isinstance(value, str) and bool(value.strip())


def _described(tool: Tool) -> dict:
    types = {"euros": "integer"}
    properties = {name: {"type": types.get(of, "string"), "format": of} for name, of in tool.arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    about = f"{tool.about}. Gives {', '.join(tool.gives)}" if tool.gives else tool.about
    return {"type": "function", "function": {"name": tool.name, "description": about, "parameters": parameters}}
