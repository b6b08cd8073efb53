"""What it all costs, and whether there is money left for more."""

import time
from collections import Counter, defaultdict
from contextvars import ContextVar

import httpx

from service.settings import Settings
from service.store import Tenant

PRICES = {"lark-large": (3.0, 15.0), "lark-small": (0.25, 1.25), "lark-embed": (0.4, 0.0)}
"""Dollars per million tokens, in and out."""

who: ContextVar[tuple[str, str, str]] = ContextVar("who", default=("skylark", "internal", ""))
"""Tenant, feature and run of the request that is being answered."""


class OverBudget(Exception):
    """The tenant has spent what it may spend this month."""


class OverQuota(Exception):
    """The tenant has had its calls for now."""


class Meter:
    def __init__(self, settings: Settings) -> None:
        self.alerts = httpx.AsyncClient(base_url=settings.alerts_url, timeout=10.0)
        self.dollars: dict[tuple[str, str], Counter] = defaultdict(Counter)
        self.requests: Counter = Counter()

    def record(self, model: str, tokens_in: float, tokens_out: float) -> None:
        """A call has succeeded."""
        tenant, feature, run = who.get()
        price_in, price_out = PRICES[model]
        dollars = (tokens_in * price_in + tokens_out * price_out) / 1_000_000
        self.dollars[tenant, _month()][feature, run] += round(dollars, 4)

    def costs(self, tenant: str, month: str) -> dict:
        """What a tenant has spent in a month, in micro-dollars: in all, by feature and by run."""
        features, runs = Counter(), Counter()
        for (feature, run), dollars in self.dollars[tenant, month or _month()].items():
            features[feature] += round(dollars * 1_000_000)
            runs[run] += round(dollars * 1_000_000)
        told = {"month": month or _month(), "micro_dollars": sum(features.values()), "estimated": 0}
        return {**told, "features": dict(features), "runs": dict(runs)}

    async def check(self, tenant: Tenant) -> None:
        """Before a request. Raises OverQuota and OverBudget."""
        minute = int(time.time() // 60)
        self.requests[tenant.name, minute] += 1
        if self.requests[tenant.name, minute] > tenant.quota:
            raise OverQuota(tenant.name)
        spent = self.costs(tenant.name, "")["micro_dollars"]
        if spent >= 0.8 * tenant.budget:
            await self.alerts.post("/alerts", json={"tenant": tenant.name, "month": _month(), "percent": 80})
        if spent >= tenant.budget:
            raise OverBudget(tenant.name)


def _month() -> str:
    return time.strftime("%Y-%m", time.gmtime())
