"""The nine types in a table: what is looked up, what is booked, what is written."""

from service.patterns.planner import BadPlan, execute, validate
from service.patterns.router import fenced
from service.patterns.template import Flow


def flow(name, about, looks=(), books=lambda ticket, facts, policy: None, writes=None):
    def write(self, ticket, facts, entry):
        return [writes(facts, entry) if writes else f"{entry[0]}: {entry[1]} cents"]

    def decide(self, ticket, facts, policy):
        entry = books(ticket, facts, policy)
        return entry if entry and entry[1] > 0 else None

    def look_ups(self, ticket):
        return list(looks)

    hooks = {"look_ups": look_ups, "decide": decide, "write": write}
    return type(name, (Flow,), {"name": name, "about": about, **hooks})()


def fee(ticket, facts, policy):
    return "fee", facts["quote"]["quote_cents"] - facts["fare"]["fare_cents"]


def late(ticket, facts, policy):
    return ("compensation", policy(facts["fare"]["fare_cents"])) if facts["weather"]["sky"] != "storm" else None


FLOWS = [
    flow("refund", "money back: refund, reimburse or repay what was paid", ["fare"],
         lambda ticket, facts, policy: ("refund", policy(facts["fare"]["fare_cents"])),
         lambda facts, entry: f"refund: {entry[1] if entry else 0} cents"),
    flow("delay", "compensation for a flight that was late", ["fare", "weather"], late,
         lambda facts, entry: f"compensation: {entry[1]} cents" if entry else "no compensation: storm"),
    flow("rebooking", "rebook to another day", ["fare", "quote"], fee,
         lambda facts, entry: f"fee: {entry[1]} cents" if entry else "no fee"),
    flow("baggage", "lost or damaged baggage", books=lambda *_: ("baggage", 15_000)),
    flow("upgrade", "upgrade to business class", ["quote"],
         lambda ticket, facts, policy: ("upgrade", facts["quote"]["quote_cents"])),
    flow("seat", "choose a seat, by the window or the aisle", books=lambda *_: ("seat", 1_200)),
    flow("meal", "order a special-diet meal: vegan, kosher, halal", writes=lambda *_: "meal: ordered"),
    flow("receipt", "a receipt or an invoice for the accountant", ["fare"],
         writes=lambda facts, entry: f"receipt: {facts['fare']['fare_cents']} cents"),
    flow("weather", "the weather forecast at the destination", ["weather"],
         writes=lambda facts, entry: f"weather: {facts['weather']['sky']}"),
]  # fmt: skip


def own(steps: list, booking: str) -> list:
    """A plan in which each booking is the ticket's; or a BadPlan."""
    for step in steps:
        if any(of == "booking" and step.args[name] != booking for name, of in step.of.items()):
            raise BadPlan(f"{step.id}: the booking is {booking}")
    return steps


async def planned(ticket, work) -> dict:
    """What fits no type: planned, carried out, and planned anew if that does not work."""
    letter = f"Booking {ticket['booking']}.\n{fenced(ticket['text'])}"
    messages = [{"role": "system", "content": "Answer with a plan."}, {"role": "user", "content": letter}]
    done: dict = {}
    error = ""
    for turn in range(8):
        said = (await work.ask(f"plan {turn}", messages, list(work.tools.known.values())))["content"] or "nothing"
        try:
            await execute(own(validate(said, work.tools.known), ticket["booking"]), work.use, done)
            return {"status": "done"}
        except (BadPlan, work.failed) as why:
            if getattr(why, "tool", "") in ("ledger", "mail"):
                raise
            error = f"error: {why}"
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": error}]
    return {"status": "failed", "reason": error}
