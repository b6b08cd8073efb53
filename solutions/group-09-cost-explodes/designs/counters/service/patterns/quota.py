"""Quota enforcement: what one tenant may take of what all share."""

import json
import sqlite3
import time

from service.store import transaction

WINDOW = 60.0
SCHEMA = "CREATE TABLE IF NOT EXISTS quotas (tenant TEXT PRIMARY KEY, moments TEXT);"


def admit(db: sqlite3.Connection, tenant: str, limit: int) -> float:
    """0 if one more call of the tenant is let in, and counts from now on; else the seconds until one will be."""
    with transaction(db):
        row = db.execute("SELECT moments FROM quotas WHERE tenant = ?", (tenant,)).fetchone()
        now = time.time()
        moments = [at for at in json.loads(row["moments"] if row else "[]") if at > now - WINDOW]
        if len(moments) >= limit:
            return moments[-limit] + WINDOW - now
        db.execute("INSERT OR REPLACE INTO quotas VALUES (?, ?)", (tenant, json.dumps([*moments, now])))
        return 0.0


def give_back(db: sqlite3.Connection, tenant: str) -> None:
    """Who was let in last has made no call."""
    with transaction(db):
        row = db.execute("SELECT moments FROM quotas WHERE tenant = ?", (tenant,)).fetchone()
        db.execute("UPDATE quotas SET moments = ? WHERE tenant = ?", (json.dumps(json.loads(row["moments"])[:-1]), tenant))
