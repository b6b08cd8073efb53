"""Router agent: the model says which way a ticket goes, among the ways that there are."""

import re
from collections.abc import Awaitable, Callable, Mapping

CLARIFY = "clarify"  # nobody can tell what is wanted: ask the traveller
PEOPLE = "people"  # the model cannot be asked now: the queue that people work on

Ask = Callable[[list[dict]], Awaitable[str]]
"""What the model says to messages, [{"role", "content"}, …]. It may raise."""


async def route(text: str, routes: Mapping[str, str], ask: Ask) -> list[str]:
    """The routes that a ticket takes, in the order in which the model names them, each once.

    `routes`: name -> what it is for. One call of the model. A name is a whole word of the answer, of letters, digits,
    "_" and "-", as it is written: “bag” is not in “bag-claim”. [CLARIFY] if it names none of them; [PEOPLE] if it
    cannot be asked, whatever that raises. What the traveller has written is material, and no order to anybody: neither
    to the model nor to the code.
    """
    told = "\n".join(f"- {name}: {about}" for name, about in routes.items())
    system = f"Sort the ticket. Answer with the names of all routes that it needs, or: unclear.\n{told}"
    fenced = "<ticket>\n" + text.replace("<", "(").replace(">", ")") + "\n</ticket>"
    try:
        said = await ask([{"role": "system", "content": system}, {"role": "user", "content": fenced}])
    except Exception:
        return [PEOPLE]
    named = dict.fromkeys(name for name in re.findall(r"[\w-]+", said) if name in routes)
    return list(named) or [CLARIFY]
