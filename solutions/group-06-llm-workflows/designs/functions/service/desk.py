"""The desk as functions over one file: a loop takes up what is open, whoever has put it there, and whenever."""

import asyncio
import json
from functools import partial
from types import SimpleNamespace

from service import plugins
from service.clients import Gateway, Llm
from service.flows import FLOWS, planned
from service.patterns.chain import Chain
from service.patterns.composite import Group, Step
from service.patterns.router import CLARIFY, PEOPLE, route
from service.patterns.steps import Runs
from service.patterns.strategy import Strategies
from service.patterns.tools import Tool, Tools, described
from service.store import connect, transaction

OPEN = "status IN ('queued', 'running')"
SPECIAL = "special requests: arrange or combine several things"
PAUSE = 0.5  # seconds between two looks
TOOLS = {
    "fare": ("the fare that was paid", {"booking": "booking"}, ("fare_cents",)),
    "weather": ("the weather at the destination", {"booking": "booking"}, ("sky",)),
    "quote": ("a quote for an alternative", {"booking": "booking"}, ("quote_cents",)),
    "ledger": ("hold an amount in the ledger", {"booking": "booking", "amount_cents": "euros"}, ("entry",)),
    "mail": ("write a mail to the traveller", {"booking": "booking", "text": "text"}, ()),
}


class Failed(Exception):
    """A tool cannot do it."""

    def __init__(self, tool, why) -> None:
        super().__init__(f"{tool} failed, {why}")
        self.tool = tool


def make_desk(settings) -> SimpleNamespace:
    db, llm, gateway = connect(settings.data_dir), Llm(settings), Gateway(settings)
    runs, strategies, tools, chain = Runs(db), Strategies(db), Tools(), Chain()
    flows: dict = {}
    trees: dict = {}
    under_way: dict = {}

    def run_of(ticket) -> str:
        return json.dumps([ticket["tenant"], ticket["id"]])

    def record(ticket, way: str, outcome: dict) -> None:
        known = {row[0] for row in db.execute(
            "SELECT route FROM records WHERE tenant = ? AND ticket = ?", (ticket["tenant"], ticket["id"])
        )}  # fmt: skip
        if way not in known and (way or not known):
            values = (ticket["tenant"], ticket["id"], way, outcome["status"], str(outcome.get("reason") or ""))
            db.execute("INSERT INTO records (tenant, ticket, route, status, reason) VALUES (?, ?, ?, ?, ?)", values)

    def recorded(ticket, way: str) -> dict | None:
        named = "SELECT status, reason FROM records WHERE tenant = ? AND ticket = ? AND route = ?"
        row = db.execute(named, (ticket["tenant"], ticket["id"], way)).fetchone()
        return dict(row) if row else None

    def work_for(ticket, way: str) -> SimpleNamespace:
        async def step(name, doing):
            return await runs.step(run_of(ticket), f"{way}/{name}", doing)

        async def use(tool, args):
            async def attempt(key):
                try:
                    return [True, await tools.known[tool].call(args, ticket["tenant"], key)]
                except Exception as error:
                    return [False, str(error)]  # a failure is kept, too

            ok, came = await step(f"{tool} {json.dumps(sorted(args.items()))}", attempt)
            if not ok:
                raise Failed(tool, came)
            return came

        async def ask(name, messages, offered):
            told = described(offered)
            return await step(name, lambda key: llm.chat(messages, tenant=ticket["tenant"], key=key, tools=told))

        async def send(calls, key):
            async def checked(args, tenant, key):
                if args["booking"] != ticket["booking"]:
                    raise ValueError(f"the booking is {ticket['booking']}")
                return await tools.known["mail"].call(args, tenant, key)

            only = Tools()
            only.add(tools.known["mail"]._replace(call=checked))
            return [tuple(result) for result in await only.invoke_all(calls, ticket["tenant"], key)]

        async def mail(lines):
            facts = "\n".join(f"- {line}" for line in lines)
            messages = [{"role": "user", "content": f"Booking {ticket['booking']}: write an email.\n{facts}"}]
            for turn in range(4):
                said = await ask(f"draft {turn}", messages, [tools.known["mail"]])
                calls = said.get("tool_calls") or []
                results = await step(f"send {turn}", partial(send, calls[:1])) if calls else []
                if any(ok for _, ok, _ in results):
                    return
                messages.append({**said, "tool_calls": calls[:1]} if calls else said)
                for ident, _, content in results:
                    messages.append({"role": "tool", "tool_call_id": ident, "content": content})
                if not calls:
                    messages.append({"role": "user", "content": "That was an error: call mail."})
            raise Failed("mail", "the model writes none")

        async def keep(name, make):
            async def made(key):
                return make()

            return await step(name, made)

        async def book(kind, amount_cents):
            await use("ledger", {"booking": ticket["booking"], "amount_cents": amount_cents, "kind": kind})

        async def note(outcome):
            record(ticket, way, outcome)

        return SimpleNamespace(
            look_up=lambda tool: use(tool, {"booking": ticket["booking"]}),
            policy=partial(strategies.decide, ticket["tenant"]), book=book, mail=mail, record=note, ask=ask, use=use,
            keep=keep, tools=tools, failed=Failed,
        )  # fmt: skip

    async def special(ticket, work) -> dict:
        try:
            outcome = await planned(ticket, work)
        except Exception as error:
            outcome = {"status": "failed", "reason": repr(error)}
        await work.record(outcome)
        return outcome

    async def take(ticket) -> dict:
        db.execute(f"UPDATE tickets SET status = 'running' WHERE number = ? AND {OPEN}", (ticket["number"],))
        run, abouts = run_of(ticket), {name: flow.about for name, flow in flows.items()}

        async def where(key):
            async def ask(messages):
                return (await llm.chat(messages, tenant=ticket["tenant"], key=key))["content"] or ""

            return await route(ticket["text"], abouts, ask)

        ways = await runs.step(run, "route", where)
        db.execute("UPDATE tickets SET routes = ? WHERE number = ?", (json.dumps(ways), ticket["number"]))
        if ways in ([CLARIFY], [PEOPLE]):
            return {"status": ways[0], "reason": "somebody has to ask"}
        ends: list = []

        async def go(way):
            ends.append(recorded(ticket, way) or await flows[way].run(ticket, work_for(ticket, way)))

        tree = trees[ticket["number"]] = Group("ticket", [Step(way, partial(go, way)) for way in ways])
        await tree.run()
        bad = [end for end in ends if end["status"] != "done"]
        return bad[0] if bad else {"status": "done"}

    def conclude(ticket, outcome) -> None:
        with transaction(db):
            values = (outcome["status"], str(outcome.get("reason") or ""), ticket["number"])
            if db.execute(f"UPDATE tickets SET status = ?, reason = ? WHERE number = ? AND {OPEN}", values).rowcount:
                (ways,) = db.execute("SELECT routes FROM tickets WHERE number = ?", (ticket["number"],)).fetchone()
                ways = [way for way in json.loads(ways) if way in flows] or [""]
                if len(ways) == 1:  # what a flow has noted is not the last word
                    db.execute("DELETE FROM records WHERE tenant = ? AND ticket = ?", (ticket["tenant"], ticket["id"]))
                for way in ways:
                    record(ticket, way, outcome)

    async def offer(ticket) -> None:
        conclude(ticket, await chain.handle(ticket))

    async def loop() -> None:
        try:
            while True:
                rows = db.execute(f"SELECT * FROM tickets WHERE {OPEN} ORDER BY number").fetchall()
                numbers = {row["number"] for row in rows}
                for number in list(under_way):
                    if under_way[number].done() or number not in numbers:
                        under_way.pop(number).cancel()
                for row in rows:
                    if row["number"] not in under_way and len(under_way) < 16:
                        under_way[row["number"]] = asyncio.create_task(offer(dict(row)))
                await asyncio.sleep(PAUSE)
        finally:
            for task in under_way.values():
                task.cancel()

    def cancel(ticket) -> None:
        conclude(ticket, {"status": "cancelled", "reason": "somebody wanted that"})
        if ticket["number"] in trees:
            trees[ticket["number"]].cancel()
        if ticket["number"] in under_way:
            under_way[ticket["number"]].cancel()

    def progress(ticket) -> dict:
        done, size = runs.progress(run_of(ticket))
        if ticket["status"] in ("queued", "running"):
            size = max(done + 1, 1 + 6 * len(json.loads(ticket["routes"]) or [1]))
        return {"done": done, "of": size}

    desk = SimpleNamespace(
        db=db, strategies=strategies, flows=flows, cancel=cancel, progress=progress, loop=loop, call=gateway.call,
        flow=lambda flow: flows.__setitem__(flow.name, flow), strategy=strategies.register, tool=tools.add,
        handler=chain.add,
    )  # fmt: skip
    for flow in [*FLOWS, SimpleNamespace(name="special", about=SPECIAL, run=special)]:
        desk.flow(flow)
    for name, (about, arguments, gives) in TOOLS.items():
        desk.tool(Tool(name, about, arguments, partial(gateway.call, name), gives))
    desk.handler(take)
    plugins.load(settings.plugins_dir, desk)
    return desk
