"""How the provider charges: a tariff that changes, prompts that it keeps, and the pages on which a client reads of it.

GET /v1/prices and GET /v1/usage stand here; executing and refusing calls is the business of `provider.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.world import model

if TYPE_CHECKING:
    from grader.world.ledger import Line

PRICES_PATH, USAGE_PATH = "/v1/prices", "/v1/usage"
PAGE = 50
"""Lines of a report that one answer has, at most."""

RULES = f"""\
Where an account has a tariff of its own:
- GET {PRICES_PATH}: {{"prices": [{{"model", "from", "input", "cached", "output"}}, …]}}, in micro-dollars per 1,000
  tokens. A price holds from the moment `from` (seconds since 1970), until a later one of the same model does. A call
  has the prices of the moment at which it arrives: `created` in its reply has that in whole seconds, rounded down, and
  prices change at whole seconds. (Embeddings have no `created`.) A change is on the list an hour before it holds. This
  list takes the place of the prices that stand beside the models above.
- Prompts are kept: leading messages (all but the last one, at most) with which a request of the same API key for the
  same model began in the last 300 s cost `cached` instead of `input`. usage.prompt_tokens_details.cached_tokens says
  how many of the prompt_tokens that were.
- Each executed call has an id, in the header X-Request-Id of its reply. A repetition has that of the call it repeats.
- GET {USAGE_PATH}?after=N: {{"lines": [{{"id", "key", "created", "model", "prompt_tokens", "cached_tokens",
  "completion_tokens", "micro_dollars"}}, …], "next": M, "more": …, "complete_until": …}}: the lines of the invoice
  behind the first N (0, or the `next` of another answer), {PAGE} at most, in the order in which they were booked, some
  time after the call has ended. `key` is its Idempotency-Key. When there are no more, `complete_until` is the moment
  before which calls that arrived are on the report, or were never billed; else it is null.
"""


@dataclass(frozen=True)
class Tariff:
    """The prices of an account. `changes`: from a moment on (virtual seconds), what some models cost.

    `keeps`: virtual seconds for which prompts are kept. `lag`: after how many a call that has ended is on the report.
    """

    prices: Mapping[str, model.Price] = field(default_factory=lambda: model.PRICES)
    changes: Sequence[tuple[float, Mapping[str, model.Price]]] = ()
    keeps: float = 300.0
    lag: float = 120.0

    def price(self, name: str, moment: float) -> model.Price:
        """What a model costs at a moment. Raises KeyError."""
        found = self.prices[name]
        for begin, prices in sorted(self.changes, key=lambda change: change[0]):
            if begin <= moment:
                found = prices.get(name, found)
        return found

    def listed(self, epoch: float, now: float) -> dict[str, Any]:
        """The price list as a client reads it at `now`. `epoch`: seconds since 1970 at virtual 0."""
        known = [(0.0, self.prices), *(change for change in self.changes if change[0] <= now + 3_600)]
        rows = [
            {
                "model": name,
                "from": round(epoch + begin) if begin else 0,
                "input": price.input,
                "cached": price.input if price.cached is None else price.cached,
                "output": price.output,
            }
            for begin, prices in known
            for name, price in prices.items()
        ]
        return {"prices": rows}


class Prompts:
    """Which leading messages came when, for each API key and model."""

    def __init__(self, keeps: float) -> None:
        self._keeps = keeps
        self._seen: dict[tuple[object, ...], float] = {}

    def known(self, who: tuple[str, str], turns: Sequence[tuple[str, str]], now: float) -> int:
        """How many of the leading messages are kept; from now on all of them are."""
        heads = [(who, tuple(turns[:count])) for count in range(1, len(turns))]
        lengths = (count for count, head in enumerate(heads, 1) if now - self._seen.get(head, -math.inf) <= self._keeps)
        found = max(lengths, default=0)
        self._seen.update(dict.fromkeys(heads, now))
        return found


def report(
    invoice: Sequence[Line], open_since: float, after: int, epoch: float, now: float, lag: float
) -> dict[str, Any]:
    """What a client reads at `now`. `open_since`: when the first of the calls arrived that are still in work."""
    booked = [line for line in invoice if line.at + lag <= now]
    page = booked[after : after + PAGE]
    more = after + len(page) < len(booked)
    waiting = min((line.arrived for line in invoice if line.at + lag > now), default=math.inf)
    complete = epoch + min(now - lag, open_since, waiting)
    rows = [
        {
            "id": f"req_{line.call}",
            "key": line.idempotency_key,
            "created": math.floor(epoch + line.arrived),
            "model": line.model,
            "prompt_tokens": line.tokens_in,
            "cached_tokens": line.cached,
            "completion_tokens": line.tokens_out,
            "micro_dollars": line.micro_dollars,
        }
        for line in page
    ]
    return {"lines": rows, "next": after + len(page), "more": more, "complete_until": None if more else complete}
