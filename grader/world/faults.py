"""What goes wrong at the provider, and when: a declarative schedule of faults in virtual time.

A fault has a kind, a begin, an end and a selector; what a kind does to a call is the provider's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from grader.sim.history import FAULT

if TYPE_CHECKING:
    from grader.sim import Simulation
    from grader.sim.network import Call

Draw = Callable[[str], float]
"""A call's dice: label -> a number in [0, 1); the same label gives the same number again."""


class Kind(StrEnum):
    BROWN_OUT = "brown-out"  # work that starts meanwhile takes `factor` times as long
    ERROR = "error"  # answered with `status`; nothing is executed or billed
    UNREACHABLE = "unreachable"  # fails on the network, in the way that `how` says; nothing is executed or billed
    HANG = "hang"  # accepted, and never answered; nothing is executed or billed
    REPLY_LOST = "reply-lost"  # executed and billed; then the connection hangs, or is reset
    DRIP = "drip"  # executed and billed; the reply trickles over `seconds`, a piece a second
    MALFORMED = "malformed"  # executed and billed; the body breaks off in the middle
    WRONG_CITATION = "wrong-citation"  # executed and billed; the answer cites a source that it did not use


class Selector(TypedDict, total=False):
    """Which calls: a seeded draw takes `share` of those for which `when` holds. Everything, if left out."""

    share: float
    when: Callable[[Call], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Strikes calls that arrive at begin <= t < end (brown-out: whose work starts then), in virtual seconds.

    Make one with the functions below.
    """

    kind: Kind
    begin: float
    end: float
    share: float = 1.0
    when: Callable[[Call], bool] | None = None
    factor: float = 1.0
    status: int = 0
    retry_after: float | None = None  # seconds; None: no such header. It never points beyond the fault's end
    as_date: bool = False  # Retry-After as an HTTP-date
    seconds: float = 0.0
    how: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise ValueError(f"a fault needs 0 <= begin < end, not {self.begin} and {self.end}")
        if not 0 <= self.share <= 1:
            raise ValueError(f"a share lies between 0 and 1: {self.share}")


def brown_out(begin: float, end: float, factor: float, **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.BROWN_OUT, begin=begin, end=end, factor=factor, **selector)


def rate_limited(
    begin: float, end: float, *, retry_after: float = math.inf, as_date: bool = False, **selector: Unpack[Selector]
) -> Fault:
    """429. Its Retry-After names the end of the fault, unless `retry_after` seconds are over before."""
    return failing(begin, end, 429, retry_after=retry_after, as_date=as_date, **selector)


def failing(
    begin: float,
    end: float,
    status: int,
    *,
    retry_after: float | None = None,
    as_date: bool = False,
    **selector: Unpack[Selector],
) -> Fault:
    """500, 503, or any other error."""
    if not 400 <= status <= 599:
        raise ValueError(f"not the status of an error: {status}")
    return Fault(
        kind=Kind.ERROR,
        begin=begin,
        end=end,
        status=status,
        retry_after=retry_after,
        as_date=as_date,
        **selector,
    )


def unreachable(
    begin: float,
    end: float,
    how: Literal["refused", "connect-hang", "write-hang", "reset"] = "refused",
    **selector: Unpack[Selector],
) -> Fault:
    return Fault(kind=Kind.UNREACHABLE, begin=begin, end=end, how=how, **selector)


def hanging(begin: float, end: float, **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.HANG, begin=begin, end=end, **selector)


def reply_lost(begin: float, end: float, how: Literal["hang", "reset"] = "hang", **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.REPLY_LOST, begin=begin, end=end, how=how, **selector)


def dripping(begin: float, end: float, seconds: float = 300.0, **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.DRIP, begin=begin, end=end, seconds=seconds, **selector)


def malformed(begin: float, end: float, **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.MALFORMED, begin=begin, end=end, **selector)


def wrong_citation(begin: float, end: float, **selector: Unpack[Selector]) -> Fault:
    return Fault(kind=Kind.WRONG_CITATION, begin=begin, end=end, **selector)


class Schedule:
    """The faults of one run. Where several of a kind other than brown-out strike a call, the first listed wins."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = list(enumerate(faults))

    def add(self, fault: Fault, now: float) -> None:
        """One more, which takes the place of its kind, and wins over others. Those that are over are forgotten."""
        others = [each for _, each in self._faults if each.end > now and each.kind is not fault.kind]
        self._faults = list(enumerate([fault, *others]))

    def clear(self) -> None:
        """None strikes any more."""
        self._faults = []

    def striking(self, call: Call, now: float, draw: Draw) -> Fault | None:
        """The fault that this arrival meets."""
        met = (
            fault
            for index, fault in self._faults
            if fault.kind is not Kind.BROWN_OUT and _strikes(fault, index, call, now, draw)
        )
        return next(met, None)

    def slowness(self, call: Call, now: float, draw: Draw) -> float:
        """By how much work that starts now is stretched: brown-outs multiply."""
        return math.prod(
            fault.factor
            for index, fault in self._faults
            if fault.kind is Kind.BROWN_OUT and _strikes(fault, index, call, now, draw)
        )

    def announce(self, sim: Simulation, source: str) -> Coroutine[Any, Any, None]:
        """Record each begin and end on the tape when it comes; what began before is recorded now.

        To be called before the first call is served: it asks the run's history which faults take place.
        """
        self._faults = [each for each in self._faults if sim.history.has(f"{FAULT} {source} {each[0]}")]
        return self._announce(sim, source)

    async def _announce(self, sim: Simulation, source: str) -> None:
        moments = sorted(
            ((moment, phase, fault) for _, fault in self._faults
             for moment, phase in ((fault.begin, "begin"), (fault.end, "end")) if moment * 1e9 <= sim.horizon_ns),
            key=lambda each: each[:2],
        )  # fmt: skip
        for moment, phase, fault in moments:
            await sim.until(moment)
            end = min(fault.end, sim.horizon_ns / 1e9)
            sim.tape.record(
                "fault", source, fault=fault.kind.value, phase=phase, begin=fault.begin, end=end, share=fault.share,
                factor=fault.factor, status=fault.status, seconds=fault.seconds, how=fault.how,
            )  # fmt: skip


def _strikes(fault: Fault, index: int, call: Call, now: float, draw: Draw) -> bool:
    return (
        fault.begin <= now < fault.end
        and (fault.when is None or fault.when(call))
        and (fault.share == 1 or draw(f"fault {index}") < fault.share)
    )
