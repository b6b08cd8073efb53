"""The nine ticket types that the desk knows from the start, and the one that is planned."""

from typing import Any

from service.patterns.planner import BadPlan, execute, validate
from service.patterns.template import Flow

PLANS = 8  # that a ticket may need: a flawed one costs one, and so does each tool that fails


class Refund(Flow):
    name = "refund"
    about = "money back: refund, reimburse or repay what was paid"

    def look_ups(self, ticket):
        return ["fare"]

    def decide(self, ticket, facts, policy):
        cents = policy(facts["fare"]["fare_cents"])
        return ("refund", cents) if cents else None

    def write(self, ticket, facts, entry):
        return [f"refund: {entry[1] if entry else 0} cents"]


class Delay(Flow):
    name = "delay"
    about = "compensation for a flight that was late"

    def look_ups(self, ticket):
        return ["fare", "weather"]

    def decide(self, ticket, facts, policy):
        cents = policy(facts["fare"]["fare_cents"])
        return ("compensation", cents) if cents and facts["weather"]["sky"] != "storm" else None

    def write(self, ticket, facts, entry):
        if facts["weather"]["sky"] == "storm":
            return ["no compensation: storm"]
        return [f"compensation: {entry[1] if entry else 0} cents"]


class Rebooking(Flow):
    name = "rebooking"
    about = "rebook to another day"

    def look_ups(self, ticket):
        return ["fare", "quote"]

    def decide(self, ticket, facts, policy):
        fee = facts["quote"]["quote_cents"] - facts["fare"]["fare_cents"]
        return ("fee", fee) if fee > 0 else None

    def write(self, ticket, facts, entry):
        return [f"fee: {entry[1]} cents" if entry else "no fee"]


class Baggage(Flow):
    name = "baggage"
    about = "lost or damaged baggage"

    def decide(self, ticket, facts, policy):
        return "baggage", 15_000

    def write(self, ticket, facts, entry):
        return ["baggage: 15000 cents"]


class Upgrade(Flow):
    name = "upgrade"
    about = "upgrade to business class"

    def look_ups(self, ticket):
        return ["quote"]

    def decide(self, ticket, facts, policy):
        return "upgrade", facts["quote"]["quote_cents"]

    def write(self, ticket, facts, entry):
        return [f"upgrade: {entry[1]} cents"]


class Seat(Flow):
    name = "seat"
    about = "choose a seat, by the window or the aisle"

    def decide(self, ticket, facts, policy):
        return "seat", 1_200

    def write(self, ticket, facts, entry):
        return ["seat: 1200 cents"]


class Meal(Flow):
    name = "meal"
    about = "order a special-diet meal: vegan, kosher, halal"

    def write(self, ticket, facts, entry):
        return ["meal: ordered"]


class Receipt(Flow):
    name = "receipt"
    about = "a receipt or an invoice for the accountant"

    def look_ups(self, ticket):
        return ["fare"]

    def write(self, ticket, facts, entry):
        return [f"receipt: {facts['fare']['fare_cents']} cents"]


class Weather(Flow):
    name = "weather"
    about = "the weather forecast at the destination"

    def look_ups(self, ticket):
        return ["weather"]

    def write(self, ticket, facts, entry):
        return [f"weather: {facts['weather']['sky']}"]


FLOWS = (Refund, Delay, Rebooking, Baggage, Upgrade, Seat, Meal, Receipt, Weather)


class Special:
    """What no flow is made for: the model plans it."""

    name = "special"
    about = "special requests: arrange or combine several things"

    async def run(self, ticket: dict, work: Any) -> dict:
        try:
            outcome = await self._attempt(ticket, work)
        except Exception as error:
            outcome = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        await work.record(outcome)
        return outcome

    async def _attempt(self, ticket: dict, work: Any) -> dict:
        letter = ticket["text"].replace("<", "(").replace(">", ")")  # it cannot close its own fence
        user = {"role": "user", "content": f"Booking {ticket['booking']}.\n<ticket>\n{letter}\n</ticket>"}
        messages = [{"role": "system", "content": "Make a plan for the ticket, as JSON."}, user]
        done: dict[str, dict] = {}
        trouble = ""
        for attempt in range(PLANS):
            said = (await work.ask(f"plan {attempt}", messages, list(work.tools.known)))["content"] or ""
            try:
                await execute(validate(said, work.tools.known), work.use, done)
            except BadPlan as error:
                trouble = f"error: {error}"
            except work.Failed as error:
                if error.tool in ("ledger", "mail"):
                    raise  # without these it would only look done
                trouble = f"error: {error}"
            else:
                return {"status": "done"}
            messages = [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": trouble}]
        return {"status": "failed", "reason": trouble}

