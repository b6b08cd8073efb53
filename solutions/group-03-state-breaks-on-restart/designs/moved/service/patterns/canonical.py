"""Canonical data model: many sources, one shape, and nobody behind the door knows where a booking came from."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

MOST = 10**14  # cents of one booking


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
    _mappings[source] = mapping


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
    if source not in _mappings:
        raise Unmappable(source)
    try:
        return _mappings[source](raw)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        raise Unmappable(f"{source}: {error!r}") from error


def _web(raw: dict[str, Any]) -> Booking:
    moment = datetime.fromisoformat(raw["time"])
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return _booking("web", raw, raw["id"], _cents(raw["amount"]), moment, "id", "amount", "time")


def _partner(raw: dict[str, Any]) -> Booking:
    moment = datetime.fromtimestamp(raw["epoch"], UTC)
    if type(raw["amount_cents"]) is not int:
        raise ValueError("cents are whole")
    return _booking("partner", raw, raw["ref"], raw["amount_cents"], moment, "ref", "amount_cents", "epoch")


def _counter(raw: dict[str, Any]) -> Booking:
    if type(raw["dst"]) is not bool:
        raise ValueError(raw["dst"])
    local = datetime.fromisoformat(raw["local"]).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=not raw["dst"])
    return _booking("counter", raw, raw["no"], _cents(raw["amount"].replace(",", ".")), local, "no", "amount", "local", "dst")


def _cents(euros: str) -> int:
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,2})?", euros):
        raise ValueError(euros)
    return int(Decimal(euros) * 100)


def _booking(source: str, raw: dict[str, Any], number: Any, cents: int, moment: datetime, *known: str) -> Booking:
    if type(number) not in (int, str) or abs(cents) > MOST:
        raise ValueError(number, cents)
    extra = {name: value for name, value in raw.items() if name not in known}
    json.dumps([number, extra], ensure_ascii=False).encode()  # raises where it cannot be told again
    at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Booking(f"{source}:{number}", source, cents, at, extra)


_mappings: dict[str, Callable[[dict[str, Any]], Booking]] = {"web": _web, "partner": _partner, "counter": _counter}
