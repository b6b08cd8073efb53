"""Router agent: the model says which way a ticket goes, among the ways that there are."""

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
    raise NotImplementedError("route in service/patterns/router.py")
