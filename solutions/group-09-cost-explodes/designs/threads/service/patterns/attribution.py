"""Cost attribution: whose a cost is, and for what. What belongs to nobody is paid by everybody."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Payer:
    """Who a call is for. It is handed on with the work, into queues, jobs and sub-agents."""

    tenant: str
    feature: str  # chat, digest, research or documents
    run: str


def split(micro_dollars: int, weights: list[int]) -> list[int]:
    """A cost, shared by weight: whole micro-dollars, in the order of the weights.

    The shares add up to exactly the whole. Each is less than one micro-dollar away from its exact part. Who weighs
    nothing pays nothing; if nobody weighs anything, all weigh the same. There is at least one, and no weight is below
    0. Costs and weights may have more digits than a float.
    """
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    shares = [micro_dollars * weight // whole for weight in weights]
    # what is left goes, one by one, to those who were cut the most
    cut = sorted(range(len(weights)), key=lambda at: -(micro_dollars * weights[at] % whole))
    for at in cut[: micro_dollars - sum(shares)]:
        shares[at] += 1
    return shares
