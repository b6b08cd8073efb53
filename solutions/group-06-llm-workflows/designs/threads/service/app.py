"""The HTTP face of Skylark's claims desk."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from service.desk import Desk
from service.patterns.strategy import UnknownStrategy
from service.settings import Settings
from service.work import run_of

Tenant = Annotated[str, Header(alias="X-Tenant")]


class NewTicket(BaseModel):
    ref: str
    booking: str
    text: str


class Policy(BaseModel):
    policy: str


def create_app() -> FastAPI:
    desk = Desk(Settings.from_env())
    db = desk.db

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk.resume()
        yield
        desk.stop()

    app = FastAPI(title="Skylark claims desk", lifespan=lifespan)

    def find(tenant: str, ticket: str) -> dict:
        row = db.execute("SELECT * FROM tickets WHERE tenant = ? AND id = ?", (tenant, ticket)).fetchone()
        if row is None:
            raise HTTPException(404, f"no ticket {ticket}")
        return dict(row)

    def shown(row: dict) -> dict:
        told = {name: row[name] for name in ("id", "status", "reason")}
        done, size = desk.runs.progress(run_of(row))
        size = max(size, done + (row["status"] in ("queued", "running")))
        return {**told, "routes": json.loads(row["routes"]), "steps": {"done": done, "of": size}}

    @app.get("/health")
    def health() -> dict:
        return {"status": "ok"}

    @app.post("/tickets", status_code=202)
    def submit(new: NewTicket, tenant: Tenant) -> dict:
        """A traveller's letter. The same ref is the same ticket, however often it is sent."""
        values = (tenant, new.ref, new.booking, new.text)
        added = db.execute("INSERT OR IGNORE INTO tickets (tenant, id, booking, text) VALUES (?, ?, ?, ?)", values)
        if added.rowcount:
            desk.begin(added.lastrowid)
        return shown(find(tenant, new.ref))

    @app.get("/tickets/{ticket}")
    def ask_after(ticket: str, tenant: Tenant) -> dict:
        return shown(find(tenant, ticket))

    @app.get("/tickets")
    def listed(tenant: Tenant) -> dict:
        rows = db.execute("SELECT * FROM tickets WHERE tenant = ? ORDER BY number", (tenant,)).fetchall()
        return {"tickets": [shown(dict(row)) for row in rows]}

    @app.post("/tickets/{ticket}/cancel")
    def cancel(ticket: str, tenant: Tenant) -> dict:
        desk.cancel(find(tenant, ticket))
        return shown(find(tenant, ticket))

    @app.get("/records")
    def records(tenant: Tenant) -> dict:
        """What came of each ticket, for compliance."""
        names = "ticket, route, status, reason"
        rows = db.execute(f"SELECT {names} FROM records WHERE tenant = ? ORDER BY rowid", (tenant,))
        return {"records": [dict(row) for row in rows]}

    @app.put("/policy")
    def choose(policy: Policy, tenant: Tenant) -> dict:
        """How much this tenant gives back."""
        try:
            desk.strategies.choose(tenant, policy.policy)
        except UnknownStrategy:
            raise HTTPException(422, f"no policy {policy.policy}") from None
        return {"policy": policy.policy}

    @app.get("/policies")
    def policies() -> dict:
        return {"policies": desk.strategies.names()}

    @app.get("/routes")
    def routes() -> dict:
        return {"routes": {flow.name: flow.about for flow in desk.flows.values()}}

    return app
