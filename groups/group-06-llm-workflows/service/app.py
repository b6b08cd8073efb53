"""The HTTP face of Skylark's claims desk."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from service.clients import Gateway, Llm
from service.handle import ABOUT, POLICIES, handle
from service.settings import Settings
from service.store import connect

Tenant = Annotated[str, Header(alias="X-Tenant")]


class NewTicket(BaseModel):
    ref: str
    booking: str
    text: str


class Policy(BaseModel):
    policy: str


def create_app() -> FastAPI:
    settings = Settings.from_env()
    db, llm, gateway = connect(settings.data_dir), Llm(settings), Gateway(settings)
    tasks: dict[int, asyncio.Task] = {}

    def begin(number: int) -> None:
        tasks[number] = asyncio.create_task(handle(number, db, llm, gateway))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for row in db.execute("SELECT number FROM tickets WHERE status IN ('queued', 'running')").fetchall():
            begin(row["number"])
        yield
        for task in tasks.values():
            task.cancel()

    app = FastAPI(title="Skylark claims desk", lifespan=lifespan)

    def find(tenant: str, ticket: str) -> dict:
        row = db.execute("SELECT * FROM tickets WHERE tenant = ? AND id = ?", (tenant, ticket)).fetchone()
        if row is None:
            raise HTTPException(404, f"no ticket {ticket}")
        return dict(row)

    def shown(row: dict) -> dict:
        told = {name: row[name] for name in ("id", "status", "reason")}
        return {**told, "routes": json.loads(row["routes"]), "steps": {"done": row["done"], "of": row["steps"]}}

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.post("/tickets", status_code=202)
    async def submit(new: NewTicket, tenant: Tenant) -> dict:
        """A traveller's letter. The same ref is the same ticket, however often it is sent."""
        values = (tenant, new.ref, new.booking, new.text)
        added = db.execute("INSERT OR IGNORE INTO tickets (tenant, id, booking, text) VALUES (?, ?, ?, ?)", values)
        if added.rowcount:
            begin(added.lastrowid)
        return shown(find(tenant, new.ref))

    @app.get("/tickets/{ticket}")
    async def ask_after(ticket: str, tenant: Tenant) -> dict:
        return shown(find(tenant, ticket))

    @app.get("/tickets")
    async def listed(tenant: Tenant) -> dict:
        rows = db.execute("SELECT * FROM tickets WHERE tenant = ? ORDER BY number", (tenant,)).fetchall()
        return {"tickets": [shown(dict(row)) for row in rows]}

    @app.post("/tickets/{ticket}/cancel")
    async def cancel(ticket: str, tenant: Tenant) -> dict:
        row = find(tenant, ticket)
        open_ones = "number = ? AND status IN ('queued', 'running')"
        db.execute(f"UPDATE tickets SET status = 'cancelled' WHERE {open_ones}", (row["number"],))
        return shown(find(tenant, ticket))

    @app.get("/records")
    async def records(tenant: Tenant) -> dict:
        """What came of each ticket, for compliance."""
        names = "ticket, route, status, reason"
        rows = db.execute(f"SELECT {names} FROM records WHERE tenant = ? ORDER BY number", (tenant,))
        return {"records": [dict(row) for row in rows]}

    @app.put("/policy")
    async def choose(policy: Policy, tenant: Tenant) -> dict:
        """How much this tenant gives back."""
        if policy.policy not in POLICIES:
            raise HTTPException(422, f"no policy {policy.policy}")
        db.execute("INSERT OR REPLACE INTO policies VALUES (?, ?)", (tenant, policy.policy))
        return {"policy": policy.policy}

    @app.get("/policies")
    async def policies() -> dict:
        return {"policies": sorted(POLICIES)}

    @app.get("/routes")
    async def routes() -> dict:
        return {"routes": ABOUT}

    return app
