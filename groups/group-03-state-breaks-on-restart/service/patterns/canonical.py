"""Canonical data model: many sources, one shape, and nobody behind the door knows where a booking came from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Unmappable(Exception):
    """This is no booking as its source sends them, or no such source."""


@dataclass(frozen=True)
class Booking:
    """A booking, whoever sent it."""

    id: str  # of all sources together: "web:1047"
    source: str
    amount_cents: int
    at: str  # UTC, to the second: "2026-03-01T09:30:00Z"
    extra: dict[str, Any] = field(default_factory=dict)  # what the source said beyond that, as it said it


def register(source: str, mapping: Callable[[dict[str, Any]], Booking]) -> None:
    """From now on, `mapping` makes bookings of what `source` sends."""
    raise NotImplementedError("register in service/patterns/canonical.py")


def to_canonical(raw: dict[str, Any], source: str) -> Booking:
    """The booking that `source` means by `raw`. Three sources are known from the start:

        web      {"id": 1047, "amount": "12.30", "time": "2026-03-01T10:30:00+01:00"}     euros as text, time with an offset
        partner  {"ref": "1047", "amount_cents": 1230, "epoch": 1772357400}              seconds since 1970
        counter  {"no": 1047, "amount": "12,30", "local": "2026-03-01 10:30:00", "dst": false}
                 euros with a comma, the clock on the wall in Berlin; in the hour that comes twice in October, "dst" says
                 whether it is still summer time

    Two sources may use the same number for different bookings. All further fields go into `extra`. Raises Unmappable for
    an unknown source, a field that is missing, and a value that makes no sense.
    """
    raise NotImplementedError("to_canonical in service/patterns/canonical.py")
