"""What a flow may do for one ticket: each is a step of its run, and done once."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from service.clients import Llm
from service.patterns.steps import Runs
from service.patterns.strategy import Strategies
from service.patterns.tools import Tools

TRIES = 4  # times that the model may want to write a mail


class Failed(Exception):
    """A tool cannot do it."""

    def __init__(self, tool: str, why: object) -> None:
        super().__init__(f"{tool} failed: {why}")
        self.tool = tool


class Work:
    Failed = Failed

    def __init__(
        self, ticket: dict, route: str, runs: Runs, llm: Llm, tools: Tools, strategies: Strategies,
        db: sqlite3.Connection,
    ) -> None:  # fmt: skip
        self.ticket, self.route, self.tools = ticket, route, tools
        self.run = run_of(ticket)
        self._runs, self._llm, self._strategies, self._db = runs, llm, strategies, db

    async def look_up(self, tool: str) -> dict:
        return await self.use(tool, {"booking": self.ticket["booking"]})

    def policy(self, fare_cents: int) -> int:
        return self._strategies.decide(self.ticket["tenant"], fare_cents)

    async def keep(self, name: str, make: Callable[[], Any]) -> Any:
        async def once(key: str) -> Any:
            return make()

        return await self._step(name, once)

    async def book(self, kind: str, amount_cents: int) -> None:
        args = {"booking": self.ticket["booking"], "kind": kind, "amount_cents": amount_cents}
        await self.use("ledger", args)

    async def use(self, tool: str, args: dict) -> dict:
        """What a tool gives. It is known by its name and arguments: the same once more is not done once more."""
        tenant = self.ticket["tenant"]
        call, args = self.tools.known[tool].call, self._ours(tool, args)

        async def attempt(key: str) -> dict:
            try:
                return {"gave": await call(args, tenant, key)}
            except Exception as error:
                return {"failed": str(error)}  # kept, too: what is taken up again goes the way that it went

        came = await self._step(f"{tool} {json.dumps(args, sort_keys=True)}", attempt)
        if "failed" in came:
            raise Failed(tool, came["failed"])
        return came["gave"]

    async def ask(self, name: str, messages: list[dict], tools: Sequence[str] = ()) -> dict:
        """What the model says."""
        told = self.tools.described(tools) or None
        tenant = self.ticket["tenant"]
        return await self._step(name, lambda key: self._llm.chat(messages, tenant=tenant, key=key, tools=told))

    async def mail(self, lines: list[str]) -> None:
        facts = "\n".join(f"- {line}" for line in lines)
        messages = [{"role": "user", "content": f"Write a mail about {self.ticket['booking']}.\n{facts}"}]
        mail, tools = self.tools.known["mail"], Tools()
        tools.add(replace(mail, call=lambda args, tenant, key: mail.call(self._ours("mail", args), tenant, key)))
        for attempt in range(TRIES):
            said = await self.ask(f"draft {attempt}", messages, ["mail"])
            calls = said.get("tool_calls")
            if not calls:
                messages = [*messages, said, {"role": "user", "content": "error: call the tool mail"}]
                continue

            async def invoke(key: str, calls: list = calls) -> list:
                results = await tools.invoke_all(calls[:1], self.ticket["tenant"], key)
                return [[each.id, each.ok, each.content] for each in results]

            results = await self._step(f"send {attempt}", invoke)
            if all(ok for _, ok, _ in results):
                return
            answers = [{"role": "tool", "tool_call_id": ident, "content": content} for ident, _, content in results]
            messages = [*messages, {**said, "tool_calls": calls[:1]}, *answers]
        raise Failed("mail", "the model writes none")

    async def record(self, outcome: dict) -> None:
        """Once for a route, however often it is said."""
        values = (self.ticket["tenant"], self.ticket["id"], self.route, outcome["status"], outcome.get("reason", ""))
        self._db.execute(
            "INSERT INTO records (tenant, ticket, route, status, reason) SELECT ?1, ?2, ?3, ?4, ?5 "
            "WHERE NOT EXISTS (SELECT 1 FROM records WHERE tenant = ?1 AND ticket = ?2 AND route = ?3)",
            values,
        )

    def recorded(self) -> dict | None:
        """How it ended, if a crash came only after that."""
        named = "SELECT status, reason FROM records WHERE tenant = ? AND ticket = ? AND route = ?"
        row = self._db.execute(named, (self.ticket["tenant"], self.ticket["id"], self.route)).fetchone()
        return dict(row) if row else None

    def _ours(self, tool: str, args: dict) -> dict:
        """The arguments, for the booking of the ticket, whichever a letter or a model has named."""
        kinds = self.tools.known[tool].arguments.items()
        return {**args, **{name: self.ticket["booking"] for name, kind in kinds if kind == "booking"}}

    async def _step(self, name, work):
        return await self._runs.step(self.run, f"{self.route}: {name}", work)


def run_of(ticket: dict) -> str:
    return json.dumps([ticket["tenant"], ticket["id"]])
