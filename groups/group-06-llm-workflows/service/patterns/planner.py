"""Planner → executor: the model says what is to be done, and none of it is done before all of it is known to be
sound."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.patterns.tools import Tool

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
    raise NotImplementedError("validate in service/patterns/planner.py")


async def execute(
    steps: list[Planned], call: Callable[[str, dict], Awaitable[dict]], done: dict[str, dict]
) -> dict[str, dict]:
    """Carry out what `validate` has returned: `call(tool, args)` for each step, in order, with all uses filled in.
    What each gave, by its id.

    An argument that is one use, and nothing else, gets the value as it is; in a longer text, it gets it as text.
    `done` is the caller's, empty at first, and what you keep in it is yours: a step that was finished is not called
    again when it is executed with the same `done`, be it in another plan, or in this one, with another id: it is known
    by its tool and its arguments. What `call` raises passes on: that it failed is the caller's to keep. What is filled
    in is checked, too: if an argument has another format then, or there is nothing to fill in, it is a BadPlan, and
    that step is not called.
    """
    raise NotImplementedError("execute in service/patterns/planner.py")
