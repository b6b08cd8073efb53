"""Tool invocation: what a model wants to call is checked as what a stranger sends, and answered whatever it is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

FORMATS = {
    "booking": "two capital letters and four digits, of A to Z and 0 to 9",
    "euros": "whole cents, 0 or more",
    "text": "text, of more than blanks",
}


@dataclass(frozen=True)
class Tool:
    """`arguments`: name -> format, one of FORMATS; all are required. `call`: async (args, tenant, key) -> a dict."""

    name: str
    about: str
    arguments: dict[str, str]
    call: Callable[[dict[str, Any], str, str], Awaitable[dict]]
    gives: tuple[str, ...] = ()  # the names in what it returns; the model is to be told, in its own way
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
        raise NotImplementedError("Tools in service/patterns/tools.py")

    def add(self, tool: Tool) -> None:
        raise NotImplementedError("Tools.add in service/patterns/tools.py")

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
        raise NotImplementedError("Tools.invoke in service/patterns/tools.py")

    async def invoke_all(self, calls: Sequence[dict], tenant: str, key: str) -> list[ToolResult]:
        """All of them at once. A result for each, in their order."""
        raise NotImplementedError("Tools.invoke_all in service/patterns/tools.py")
