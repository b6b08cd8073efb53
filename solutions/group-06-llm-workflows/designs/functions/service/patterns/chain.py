"""Chain of responsibility: two lists, and a fold over them."""

from types import SimpleNamespace


def Chain() -> SimpleNamespace:
    links: dict[bool, list] = {False: [], True: []}

    def add(handler, priority: int = 100, always: bool = False) -> None:
        links[always] = sorted([*links[always], (priority, handler)], key=lambda link: link[0])

    async def ask(handler, *args) -> dict | None:
        try:
            outcome = await handler(*args)
            if outcome is not None and not outcome["status"]:
                raise ValueError("what has no status is no outcome")
            return outcome
        except Exception as error:
            return {"status": "failed", "reason": repr(error)}

    async def handle(ticket: dict) -> dict:
        outcome = None
        for _, handler in links[False]:
            outcome = await ask(handler, ticket)
            if outcome is not None:
                break
        outcome = {"status": "unhandled"} if outcome is None else outcome
        for _, handler in links[True]:
            outcome = await ask(handler, ticket, outcome) or outcome
        return outcome

    return SimpleNamespace(add=add, handle=handle)
