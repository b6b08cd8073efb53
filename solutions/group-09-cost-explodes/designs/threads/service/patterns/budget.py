"""Budget enforcement: money is reserved before it is spent, and what was not needed comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from service.store import Database, Tenant, find_tenant, transaction

if TYPE_CHECKING:
    from service.patterns.accounting import Ledger, Part

WARN = 80  # percent of the budget, from which on the cheaper model has to do


class Exhausted(Exception):
    """There is no room for this in the tenant's budget of the month: 402."""


class Busy(Exception):
    """There may be room in a moment: calls under way hold it. 429, and Retry-After."""


def month(at: float, zone: str) -> str:
    """The month, such as 2026-01, of a moment (seconds since 1970) in a zone of the time zone database (Asia/Tokyo)."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m")


class Budget:
    """What may still be spent: the budget of the month, less what was spent, less what open calls may cost."""

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._db, self._ledger = db, ledger
        db.execute(
            "CREATE TABLE IF NOT EXISTS alerts (tenant TEXT, month TEXT, due REAL, sent INTEGER DEFAULT 0,"
            " PRIMARY KEY (tenant, month))"
        )

    def is_low(self, tenant: Tenant) -> bool:
        spent, _ = self._ledger.totals(tenant.name, month(time.time(), tenant.zone))
        return 100 * spent >= WARN * tenant.budget

    def reserve(self, key: str, wanted: Sequence[tuple[Tenant, Part]]) -> list[type[Exception] | None]:
        """Hold the most that a call may cost each of those who pay it: what keeps them from it, Exhausted or Busy, or
        None.

        With nobody left, nothing is begun.
        """
        reasons: list[type[Exception] | None] = []
        fit: list[Part] = []
        with transaction(self._db):
            for tenant, part in wanted:
                at = month(time.time(), tenant.zone)
                mine = sum(each.at_most for each in fit if each.payer.tenant == tenant.name)
                spent, held = self._ledger.totals(tenant.name, at)
                left = tenant.budget - spent - part.at_most
                reasons.append(Exhausted if left < 0 else Busy if left < held + mine else None)
                fit += [part] * (reasons[-1] is None)
            if fit:
                self._ledger.begin(key, fit)
        return reasons

    def reserve_again(self, key: str) -> None:
        """Hold as much once more: another try is about to leave, and both may be billed. Raises Busy, and then holds no
        more than before."""
        with transaction(self._db):
            for part in self._ledger.begin_again(key):
                tenant = find_tenant(self._db, part["tenant"])
                if sum(self._ledger.totals(tenant.name, part["month"])) > tenant.budget:
                    raise Busy(tenant.name)

    def watch(self, tenant: Tenant, at: str) -> None:
        """Something was spent in this month: is it time to tell somebody?"""
        spent, _ = self._ledger.totals(tenant.name, at)
        if 100 * spent >= WARN * tenant.budget:
            self._db.execute("INSERT OR IGNORE INTO alerts (tenant, month, due) VALUES (?, ?, 0)", (tenant.name, at))

    def next_alert(self, again: float) -> tuple[str, str] | None:
        """Tenant and month of an alert that nobody is sending. It is the caller's for `again` seconds."""
        now = time.time()
        row = self._db.execute("SELECT * FROM alerts WHERE NOT sent AND due <= ?", (now,)).fetchone()
        if row is None:
            return None
        found = row["tenant"], row["month"]
        query = "UPDATE alerts SET due = ? WHERE tenant = ? AND month = ? AND due = ?"
        taken = self._db.execute(query, (now + again, *found, row["due"])).rowcount
        return found if taken else None

    def alerted(self, tenant: str, at: str) -> None:
        self._db.execute("UPDATE alerts SET sent = 1 WHERE tenant = ? AND month = ?", (tenant, at))
