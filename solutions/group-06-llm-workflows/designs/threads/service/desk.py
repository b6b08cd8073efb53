"""The claims desk with threads: each ticket has one of them, from its beginning to its end."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
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
from service.store import Database, transaction
from service.work import Cancelled, Case, Work, run_of

OPEN = "status IN ('queued', 'running')"
THREADS = 16
A_FLOW = 6  # steps, as a rule
REASONS = {CLARIFY: "what is it about?", PEOPLE: "a person will see to it"}
ARGUMENTS = {
    "fare": ("the fare that was paid", {"booking": "booking"}, ("fare_cents",)),
    "weather": ("the weather at the destination", {"booking": "booking"}, ("sky",)),
    "quote": ("a quote for an alternative", {"booking": "booking"}, ("quote_cents",)),
    "ledger": ("hold an amount in the ledger", {"booking": "booking", "amount_cents": "euros"}, ("entry",)),
    "mail": ("write a mail to the traveller", {"booking": "booking", "text": "text"}, ()),
}


class Desk:
    def __init__(self, settings: Settings) -> None:
        self.db = Database(settings.data_dir)
        self.runs, self.strategies, self.tools = Runs(self.db), Strategies(self.db), Tools()
        self.flows: dict[str, Any] = {}
        self._llm, self._gateway, self._chain = Llm(settings), Gateway(settings), Chain()
        self._threads = ThreadPoolExecutor(THREADS)
        self._cases: dict[int, Case] = {}
        for flow in (*FLOWS, Special):
            self.flow(flow())
        for name, (about, arguments, gives) in ARGUMENTS.items():
            self.tool(Tool(name, about, arguments, partial(self.call, name), gives))
        self.handler(self._take)
        plugins.load(settings.plugins_dir, self)

    def flow(self, flow: Any) -> None:
        self.flows[flow.name] = flow

    def strategy(self, name: str, strategy: Any) -> None:
        self.strategies.register(name, strategy)

    def tool(self, tool: Tool) -> None:
        self.tools.add(tool)

    def handler(self, handler: Any, priority: int = 100, always: bool = False) -> None:
        self._chain.add(handler, priority, always)

    async def call(self, tool: str, args: dict, tenant: str, key: str) -> dict:
        return self._gateway.call(tool, args, tenant, key)

    def resume(self) -> None:
        for row in self.db.execute(f"SELECT number FROM tickets WHERE {OPEN} ORDER BY number").fetchall():
            self.begin(row["number"])

    def begin(self, number: int) -> None:
        self._threads.submit(self._handle, number)

    def stop(self) -> None:
        for case in list(self._cases.values()):
            case.cancelled = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def cancel(self, ticket: dict) -> None:
        """Nothing more is done for it: what is under way is waited for."""
        self._end(ticket, {"status": "cancelled", "reason": "it was cancelled"})
        if case := self._cases.get(ticket["number"]):
            case.cancel()

    def _handle(self, number: int) -> None:
        row = self.db.execute("SELECT * FROM tickets WHERE number = ?", (number,)).fetchone()
        case = self._cases[number] = Case(dict(row), self.runs)
        now = self.db.execute(f"SELECT 1 FROM tickets WHERE number = ? AND {OPEN}", (number,)).fetchone()
        try:
            if now:  # a cancellation from here on finds the case
                self._end(dict(row), asyncio.run(self._chain.handle(dict(row))))
        except Cancelled:
            pass
        finally:
            del self._cases[number]

    async def _take(self, ticket: dict) -> dict:
        case = self._cases[ticket["number"]]
        self.db.execute(f"UPDATE tickets SET status = 'running' WHERE number = ? AND {OPEN}", (ticket["number"],))
        abouts = {flow.name: flow.about for flow in self.flows.values()}

        async def decide(key: str) -> list[str]:
            async def ask(messages: list[dict]) -> str:
                return self._llm.chat(messages, tenant=ticket["tenant"], key=key)["content"] or ""

            return await route(ticket["text"], abouts, ask)

        self.runs.expect(case.run, max(A_FLOW, self.runs.progress(case.run)[1]))
        names = await case.step("route", decide)
        self.db.execute("UPDATE tickets SET routes = ? WHERE number = ?", (json.dumps(names), ticket["number"]))
        if names[0] in REASONS:
            return {"status": names[0], "reason": REASONS[names[0]]}
        self.runs.expect(case.run, 1 + A_FLOW * len(names))
        given = {name: ticket[name] for name in ("tenant", "id", "booking", "text")}
        outcomes: list[dict] = []

        async def follow(name: str) -> None:
            work = Work(case, name, self._llm, self.tools, self.strategies, self.db)
            outcomes.append(work.recorded() or await self.flows[name].run(given, work))

        await Group(ticket["id"], [Step(name, partial(follow, name)) for name in names]).run()
        self.runs.expect(case.run, self.runs.progress(case.run)[0])
        return next((outcome for outcome in outcomes if outcome["status"] != "done"), {"status": "done"})

    def _end(self, ticket: dict, outcome: dict) -> None:
        """Note what became of it, unless it has ended; record it for its only route, or for those that no flow has
        recorded."""
        end, key = (outcome["status"], str(outcome.get("reason") or "")), (ticket["tenant"], ticket["id"])
        with transaction(self.db):
            ours = f"UPDATE tickets SET status = ?, reason = ? WHERE number = ? AND {OPEN} RETURNING routes"
            row = self.db.execute(ours, (*end, ticket["number"])).fetchone()
            if row is not None:
                names = json.loads(row["routes"]) or [""]
                how = "REPLACE" if len(names) == 1 else "IGNORE"
                for name in names:
                    self.db.execute(f"INSERT OR {how} INTO records VALUES (?, ?, ?, ?, ?)", (*key, name, *end))


__all__ = ["Desk", "run_of"]
