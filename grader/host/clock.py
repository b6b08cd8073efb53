"""The one clock of a host, in integer nanoseconds, and how every clock that Python code can read comes to follow it.

freezegun carries the wall clock (`datetime`, `time.time`, names bound by `from time import …`); its fakes are replaced
by ours, which read this clock. Sleeping lives in `kernel.py`, the event loop's time in `loop.py`.
"""

from __future__ import annotations

import datetime as dt
import math
import time
import warnings
from typing import Any

import freezegun
import freezegun.api
from pydantic_core import core_schema

READ_COST = 1_000
"""Nanoseconds that reading a clock takes, so that a busy-wait ends and a rate is finite."""

SLACK = 50_000
"""Nanoseconds to which deadlines are rounded up, as Linux does by default (timer slack): nobody wakes early."""

_EPOCH = dt.datetime(1970, 1, 1)


class Clock:
    """Virtual time of this host. `now` never goes back; `epoch`, the wall clock at virtual 0, may be stepped."""

    def __init__(self) -> None:
        self.now = 0
        self.epoch = 0

    def read(self) -> int:
        """Nanoseconds on the monotonic clock; costs READ_COST."""
        self.now += READ_COST
        return self.now

    def wall(self) -> int:
        """Nanoseconds since 1970 on the wall clock; costs READ_COST."""
        return self.epoch + self.read()

    def deadline(self, seconds: float) -> int:
        """When a wait of `seconds` that begins now is over."""
        return round_up(self.now + math.ceil(seconds * 1e9) + 1)


def round_up(when: int) -> int:
    """The next moment, not before `when`, at which a timer can fire."""
    return -(-when // SLACK) * SLACK


def install(clock: Clock) -> None:
    """Make every clock of this process read `clock`. Once a process; the libraries to patch are imported before."""
    api: Any = freezegun.api
    api.fake_time = lambda: clock.wall() / 1e9
    api.fake_time_ns = clock.wall
    api.fake_monotonic = api.fake_perf_counter = lambda: clock.read() / 1e9
    api.fake_monotonic_ns = api.fake_perf_counter_ns = clock.read

    def current() -> dt.datetime:
        return api.real_datetime.__add__(_EPOCH, dt.timedelta(microseconds=clock.wall() // 1000))  # type: ignore[no-any-return]

    def localtime(seconds: float | None = None) -> time.struct_time:
        return api.real_localtime(clock.wall() / 1e9 if seconds is None else seconds)  # type: ignore[no-any-return]

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return api.real_gmtime(clock.wall() / 1e9 if seconds is None else seconds)  # type: ignore[no-any-return]

    def strftime(pattern: str, moment: Any = None) -> str:
        return api.real_strftime(pattern, localtime() if moment is None else moment)  # type: ignore[no-any-return]

    api.fake_localtime, api.fake_gmtime, api.fake_strftime = localtime, gmtime, strftime
    # models are declared with the fakes, and pydantic knows types by identity
    api.FakeDatetime.__get_pydantic_core_schema__ = classmethod(lambda *_: core_schema.datetime_schema())
    api.FakeDate.__get_pydantic_core_schema__ = classmethod(lambda *_: core_schema.date_schema())
    # threading and queue are on freezegun's default ignore list, and would stay on real time
    freezegun.configure(default_ignore_list=["_pytest."])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        freezegun.freeze_time("1970-01-01", real_asyncio=False).start()
    api.freeze_factories[-1] = current
    api.call_stack_inspection_limit = 0  # nobody here is on real time: spare each reading the walk up the stack

    real_ctime, real_asctime = time.ctime, time.asctime
    time.ctime = lambda seconds=None: real_ctime(clock.wall() / 1e9 if seconds is None else seconds)
    time.asctime = lambda moment=None: real_asctime(localtime() if moment is None else moment)
    time.process_time = time.thread_time = lambda: clock.read() / 1e9
    time.process_time_ns = time.thread_time_ns = clock.read
    realtime = {time.CLOCK_REALTIME}

    def clock_gettime_ns(which: int) -> int:
        return clock.wall() if which in realtime else clock.read()

    time.clock_gettime_ns = clock_gettime_ns
    time.clock_gettime = lambda which: clock_gettime_ns(which) / 1e9
