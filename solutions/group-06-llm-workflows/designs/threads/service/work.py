"""What a flow may do for one ticket. Its thread does nothing else; who cancels it waits for the step under way."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from service.clients import Llm
from service.patterns.steps import Runs
from service.patterns.strategy import Strategies
from service.patterns.tools import Tools


class Failed(Exception):
    """A tool cannot do it."""

    def __init__(self, tool: str, why: object) -> None:
        super().__init__(f"{tool} failed: {why}")
        self.tool = tool


class Cancelled(BaseException):
    """The ticket was: its thread has nothing more to do."""


class Case:
    """One ticket under way: its run, and whether it goes on."""

    def __init__(self, ticket: dict, runs: Runs) -> None:
        self.ticket = ticket
        self.run = run_of(ticket)
        self.runs = runs
        self.cancelled = False
        self.under_way = threading.Lock()

    async def step(self, name: str, work: Any) -> Any:
        with self.under_way:
            if self.cancelled:
                raise Cancelled
            return await self.runs.step(self.run, name, work)

    def cancel(self) -> None:
        with self.under_way:
            self.cancelled = True


class Work:
    Failed = Failed

    def __init__(self, case: Case, route: str, llm: Llm, tools: Tools, strategies: Strategies, db: Any) -> None:
        self.case, self.route, self.tools = case, route, tools
        self.tenant, self.booking = case.ticket["tenant"], case.ticket["booking"]
        self._llm, self._strategies, self._db = llm, strategies, db

    async def look_up(self, tool: str) -> dict:
        return await self.use(tool, {"booking": self.booking})

    def policy(self, fare_cents: int) -> int:
        return self._strategies.decide(self.tenant, fare_cents)

    async def keep(self, name: str, make: Callable[[], Any]) -> Any:
        async def once(key: str) -> Any:
            return make()

        return await self._step(name, once)

    async def book(self, kind: str, amount_cents: int) -> None:
        await self.use("ledger", {"booking": self.booking, "kind": kind, "amount_cents": amount_cents})

    async def use(self, tool: str, args: dict) -> dict:
        call, args = self.tools.known[tool].call, self._ours(tool, args)

        async def attempt(key: str) -> dict:
            try:
                return {"gave": await call(args, self.tenant, key)}
            except Exception as error:
                return {"failed": str(error)}  # kept, too: what is taken up again goes the way that it went

        came = await self._step(f"{tool} {json.dumps(args, sort_keys=True)}", attempt)
        if "failed" in came:
            raise Failed(tool, came["failed"])
        return came["gave"]

    async def ask(self, name: str, messages: list[dict], tools: Sequence[str] = ()) -> dict:
        async def chat(key: str) -> dict:
            return self._llm.chat(messages, tenant=self.tenant, key=key, tools=self.tools.described(tools) or None)

        return await self._step(name, chat)

    def _ours(self, tool: str, args: dict) -> dict:
        kinds = self.tools.known[tool].arguments.items()
        return {**args, **{name: self.booking for name, kind in kinds if kind == "booking"}}

    async def mail(self, lines: list[str]) -> None:
        facts = "".join(f"\n- {line}" for line in lines)
        messages = [{"role": "user", "content": f"Write an email for {self.booking}.{facts}"}]
        for attempt in range(5):
            said = await self.ask(f"draft {attempt}", messages, ["mail"])
            messages = [*messages, said]
            calls = said.get("tool_calls") or []
            if not calls:
                messages.append({"role": "user", "content": "This is an error: only a call of mail sends a mail."})
            sent = False
            for call in calls:
                name = f"send {attempt} {call['id']}"
                ident, ok, content = await self._step(name, lambda key, call=call: self._send(call, key))
                messages.append({"role": "tool", "tool_call_id": ident, "content": content})
                sent = sent or ok
            if sent:
                return
        raise Failed("mail", "the model writes none")

    async def _send(self, call: dict, key: str) -> list:
        mail, tools = self.tools.known["mail"], Tools()
        tools.add(replace(mail, call=lambda args, tenant, key: mail.call(self._ours("mail", args), tenant, key)))
        result = await tools.invoke(call, self.tenant, key)
        return [result.id, result.ok, result.content]

    async def record(self, outcome: dict) -> None:
        values = (self.tenant, self.case.ticket["id"], self.route, outcome["status"], outcome.get("reason", ""))
        self._db.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)", values)

    def recorded(self) -> dict | None:
        """How it ended, if a crash came only after that."""
        named = "SELECT status, reason FROM records WHERE tenant = ? AND ticket = ? AND route = ?"
        row = self._db.execute(named, (self.tenant, self.case.ticket["id"], self.route)).fetchone()
        return dict(row) if row else None

    async def _step(self, name: str, work: Any) -> Any:
        return await self.case.step(f"{self.route}: {name}", work)


def run_of(ticket: dict) -> str:
    return f"{len(ticket['tenant'])} {ticket['tenant']} {ticket['id']}"
