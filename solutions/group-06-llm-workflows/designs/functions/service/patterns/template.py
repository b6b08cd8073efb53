"""Template method: the skeleton is a function, which no subclass can get at; what they have is a thin call of it."""

LIMIT = 100_000
NEVER = ("guarantee", "promise", "liable")


class Held(Exception):
    """Not without a person."""


def checked(entry, lines) -> str:
    """What is wrong; "" if nothing."""
    if entry is not None:
        kind, cents = entry
        if isinstance(cents, bool) or not isinstance(cents, int) or not kind or not 0 < cents <= LIMIT:
            return f"an entry of {cents!r}"
    if not isinstance(lines, (list, tuple)) or not lines:
        return "no lines"
    if not all(isinstance(line, str) and line.strip() for line in lines):
        return "an empty mail"
    if any(word in line.casefold() for line in lines for word in NEVER):
        return "a mail that says too much"
    return ""


async def acted(flow, ticket, work) -> None:
    facts = {}
    for tool in flow.look_ups(ticket):
        facts[tool] = await work.look_up(tool)

    def decided() -> list:
        entry = flow.decide(ticket, facts, work.policy)
        lines = flow.write(ticket, facts, entry)
        return [checked(entry, lines), entry, lines]

    objection, entry, lines = await work.keep("decided", decided)
    if objection:
        raise Held(objection)
    if entry is not None:
        await work.book(*entry)
    await work.mail(lines)


class Sealed(type):
    """Classes of which only the first may have a `run`."""

    def __new__(cls, name, bases, names):
        made = super().__new__(cls, name, bases, names)
        if bases and made.run is not Flow.run:
            raise TypeError(f"{name}: run is the same for all flows")
        return made


class Flow(metaclass=Sealed):
    name = ""
    about = ""

    def look_ups(self, ticket):
        return []

    def decide(self, ticket, facts, policy):
        return None

    def write(self, ticket, facts, entry):
        return ["Your ticket is settled."]

    async def run(self, ticket, work) -> dict:
        outcome = {"status": "done"}
        try:
            await acted(self, ticket, work)
        except Held as why:
            outcome = {"status": "held", "reason": str(why)}
        except Exception as error:
            outcome = {"status": "failed", "reason": repr(error)}
        await work.record(outcome)
        return outcome
