"""What the provider writes down: its log, one entry a call, and its invoice.

Times in virtual seconds, money in integer micro-dollars. Who writes lives in `provider.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Entry:
    """One call in the provider's log."""

    id: int
    arrived: float
    path: str
    headers: Mapping[str, str]
    api_key: str  # of Authorization: Bearer, or X-Api-Key
    tenant: str  # X-Tenant
    idempotency_key: str
    model: str = ""
    prompt: str = ""
    prompt_hash: str = ""
    started: float | None = None  # when a slot took it
    finished: float | None = None  # when the provider was done with it
    status: int = 0  # as the provider sees it; 0 if it never answered
    answer: str = ""  # what the model said, once it is done, whether or not it arrived
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0  # of tokens_in
    billed: int = 0
    faults: tuple[str, ...] = ()
    replayed: bool = False  # a repetition of an Idempotency-Key
    client_gone: bool = False  # hung up before the provider was done


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the invoice."""

    call: int
    at: float
    api_key: str
    tenant: str
    model: str
    tokens_in: int
    tokens_out: int
    micro_dollars: int
    arrived: float = 0.0
    idempotency_key: str = ""
    cached: int = 0  # of tokens_in

    @classmethod
    def of(cls, entry: Entry) -> Line:
        """What a call whose work is finished comes to."""
        return cls(
            call=entry.id,
            at=entry.finished or 0.0,
            api_key=entry.api_key,
            tenant=entry.tenant,
            model=entry.model,
            tokens_in=entry.tokens_in,
            tokens_out=entry.tokens_out,
            micro_dollars=entry.billed,
            arrived=entry.arrived,
            idempotency_key=entry.idempotency_key,
            cached=entry.cached,
        )
