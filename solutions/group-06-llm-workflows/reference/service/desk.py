"""The claims desk: what there is (flows, policies, tools, handlers), and the way of a ticket through it."""

import asyncio
import json
from functools import partial
from typing import Any

from service import plugins
from service.clients import Gateway, Llm
from service.flows import FLOWS, Special
from service.patterns.chain import Chain
from service.patterns.composite import Group, Step
from service.patterns.router import CLARIFY, PEOPLE, route
from service.patterns.steps import Runs
from service.patterns.strategy import Strategies
from service.patterns.tools import Tool, Tools
from service.settings import Settings
from service.store import connect, transaction
from service.work import Work, run_of

OPEN = "status IN ('queued', 'running')"
KEY = "tenant = ? AND ticket = ?"
AT_ONCE = 16  # tickets
A_FLOW = 6  # steps, as a rule
REASONS = {CLARIFY: "what is it about?", PEOPLE: "a person will see to it"}


class Desk:
    def __init__(self, settings: Settings) -> None:
        self.db = connect(settings.data_dir)
        self.runs = Runs(self.db)
        self.strategies = Strategies(self.db)
        self.tools = Tools()
        self.flows: dict[str, Any] = {}
        self._llm, self._gateway = Llm(settings), Gateway(settings)
        self._chain = Chain()
        self._tasks: dict[int, asyncio.Task] = {}
        self._trees: dict[int, Group] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        for each in (*(flow() for flow in FLOWS), Special()):
            self.flow(each)
        for name, about, arguments, gives in (
            ("fare", "the fare that was paid", {"booking": "booking"}, ("fare_cents",)),
            ("weather", "the weather at the destination", {"booking": "booking"}, ("sky",)),
            ("quote", "a quote for an alternative", {"booking": "booking"}, ("quote_cents",)),
            ("ledger", "hold an amount in the ledger", {"booking": "booking", "amount_cents": "euros"}, ("entry",)),
            ("mail", "write a mail to the traveller", {"booking": "booking", "text": "text"}, ()),
        ):
            self.tool(Tool(name, about, arguments, partial(self.call, name), gives))
        self.handler(self._take)
        plugins.load(settings.plugins_dir, self)

    # ------------------------------------------------------------------------------------ what plug-ins may add

    def flow(self, flow: Any) -> None:
        self.flows[flow.name] = flow

    def strategy(self, name: str, strategy: Any) -> None:
        self.strategies.register(name, strategy)

    def tool(self, tool: Tool) -> None:
        self.tools.add(tool)

    def handler(self, handler: Any, priority: int = 100, always: bool = False) -> None:
        self._chain.add(handler, priority, always)

    async def call(self, tool: str, args: dict, tenant: str, key: str) -> dict:
        return await self._gateway.call(tool, args, tenant, key)

    # ------------------------------------------------------------------------------------ the way of a ticket

    def resume(self) -> None:
        """Whatever is open, from where it stood."""
        for row in self.db.execute(f"SELECT number FROM tickets WHERE {OPEN} ORDER BY number").fetchall():
            self.begin(row["number"])

    def begin(self, number: int) -> None:
        task = self._tasks[number] = asyncio.create_task(self._handle(number))
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self, ticket: dict) -> None:
        """Nothing more is done for it."""
        number = ticket["number"]
        if self._end(ticket, {"status": "cancelled", "reason": "it was cancelled"}):
            if tree := self._trees.get(number):
                tree.cancel()
            if task := self._tasks.get(number):
                task.cancel()

    async def _handle(self, number: int) -> None:
        async with self._places:
            row = self.db.execute(f"SELECT * FROM tickets WHERE number = ? AND {OPEN}", (number,)).fetchone()
            if row is not None:
                self._end(dict(row), await self._chain.handle(dict(row)))

    async def _take(self, ticket: dict) -> dict:
        """The desk's own handler: route it, and run the flows that it takes."""
        self.db.execute(f"UPDATE tickets SET status = 'running' WHERE number = ? AND {OPEN}", (ticket["number"],))
        run = run_of(ticket)
        abouts = {flow.name: flow.about for flow in self.flows.values()}

        async def ask(messages: list[dict], key: str) -> str:
            return (await self._llm.chat(messages, tenant=ticket["tenant"], key=key))["content"] or ""

        async def decide(key: str) -> list[str]:
            return await route(ticket["text"], abouts, partial(ask, key=key))

        self.runs.expect(run, max(A_FLOW, self.runs.progress(run)[1]))
        names = await self.runs.step(run, "route", decide)
        self.db.execute("UPDATE tickets SET routes = ? WHERE number = ?", (json.dumps(names), ticket["number"]))
        if names[0] in REASONS:
            return {"status": names[0], "reason": REASONS[names[0]]}
        given = {name: ticket[name] for name in ("tenant", "id", "booking", "text")}
        flows = [self.flows[name] for name in names]
        self.runs.expect(run, 1 + A_FLOW * len(flows))
        outcomes: list[dict] = []

        async def follow(flow: Any) -> None:
            work = Work(given, flow.name, self.runs, self._llm, self.tools, self.strategies, self.db)
            outcomes.append(work.recorded() or await flow.run(given, work))

        tree = Group(ticket["id"], [Step(flow.name, partial(follow, flow)) for flow in flows])
        self._trees[ticket["number"]] = tree
        try:
            await tree.run()
        finally:
            del self._trees[ticket["number"]]
        self.runs.expect(run, self.runs.progress(run)[0])
        return next((outcome for outcome in outcomes if outcome["status"] != "done"), {"status": "done"})

    def _end(self, ticket: dict, outcome: dict) -> bool:
        """Note what became of it; False if it had ended. Recorded is that for each route that no flow has recorded,
        and for the only one: of two, each keeps its own end."""
        key = ticket["tenant"], ticket["id"]
        end = outcome["status"], str(outcome.get("reason") or "")  # other teams write handlers
        with transaction(self.db):
            ours = f"UPDATE tickets SET status = ?, reason = ? WHERE number = ? AND {OPEN} RETURNING routes"
            row = self.db.execute(ours, (*end, ticket["number"])).fetchone()
            if row is not None:
                routes = json.loads(row["routes"]) or [""]
                if len(routes) == 1:
                    self.db.execute(f"DELETE FROM records WHERE {KEY}", key)
                known = {each["route"] for each in self.db.execute(f"SELECT route FROM records WHERE {KEY}", key)}
                told = [(*key, name, *end) for name in routes if name not in known]
                columns = "tenant, ticket, route, status, reason"
                self.db.executemany(f"INSERT INTO records ({columns}) VALUES (?, ?, ?, ?, ?)", told)
        return row is not None
