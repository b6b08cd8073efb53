"""Cost attribution: whose a cost is, and for what. What belongs to nobody is paid by everybody."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Payer:
    """Who a call is for."""

    tenant: str
    feature: str  # chat, digest, research or documents
    run: str


payer: ContextVar[Payer] = ContextVar("payer")
"""Of the request that is being answered. A task has what the one had that made it: make it there."""


def split(micro_dollars: int, weights: list[int]) -> list[int]:
    """A cost, shared by weight: each pays the difference between two rounded sums, so nothing gets lost."""
    weights = weights if any(weights) else [1] * len(weights)
    shares, passed, paid = [], 0, 0
    for weight in weights:
        passed += weight
        due = micro_dollars * passed // sum(weights)
        shares.append(due - paid)
        paid = due
    return shares
