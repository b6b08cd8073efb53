"""The lockstep with the simulation, and the baton: exactly one thread of a host runs at any moment.

The thread that started the host (main, which also runs the service's event loop) is the scheduler. A thread that blocks
parks itself and hands the baton back; when every thread is parked and the loop has nothing left to do, the host tells
the simulation until when it is idle, and takes what the world has for it. What blocks is virtual and lives elsewhere:
locks and threads in `threads.py`, the loop in `loop.py`, calls in `egress.py`, statements in `disk.py`.
"""

from __future__ import annotations

import _thread
import heapq
import itertools
import os
import random
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn

from grader import wire
from grader.host import where
from grader.host.clock import READ_COST, Clock, round_up

SPIN = 1_000_000
"""Nanoseconds that a host may advance its own clock, by reading it, before it hands over to the simulation."""

MOST_OUT = 10_000
"""Messages a host may send at one instant; with more it floods, and ends."""

MOST_BODY = wire.MAX_FRAME // 2
"""Bytes in the body of one message."""

real_exit = os._exit

_allocate_lock = _thread.allocate_lock  # the real ones: this module is imported before threads are made virtual
_start_new_thread = _thread.start_new_thread
_get_ident = _thread.get_ident

cause: ContextVar[int] = ContextVar("brownout_cause", default=0)
"""The id of the request that the current task or thread serves. Advisory."""


class Waiter:
    """One thread, parked until something wakes it or its time is up. `ok` says which."""

    __slots__ = ("done", "main", "ok", "parker", "why")

    def __init__(self, main: bool, why: str) -> None:
        self.done = False
        self.ok = False
        self.main = main
        self.why = why
        self.parker = None if main else _allocate_lock()
        if self.parker:
            self.parker.acquire()


class Kernel:
    """What one host is made of, seen from inside. There is one a process: `kernel`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.rng = random.Random(0)
        self.shuffles = True
        self.out: list[wire.Outbound] = []
        self.interleave = False
        self.counting = False
        self.link: wire.Link | None = None
        self.main = _get_ident()
        self.loop: Any = None
        self.handlers: dict[type, Callable[[Any], None]] = {}
        self.parked: dict[Waiter, int] = {}  # waiter -> thread id
        self.before_idle: list[Callable[[], None]] = []
        self._ready: list[Waiter] = []
        self._left = 0  # threads that are still to have their turn, of those that had been ready
        self._loop_rests = False  # the loop on the main thread has had nothing to run, when they began
        self._timers: list[tuple[int, int, Waiter]] = []
        self._sequence = itertools.count()
        self._ids = itertools.count(1)
        self._idle = _allocate_lock()
        self._idle.acquire()
        self._last_exchange = 0
        self._has_acted = False  # since then, in a way that others could see
        self._unseen = 0  # steps since then that they could not

    def connect(self, link: wire.Link, boot: wire.Boot) -> None:
        """Begin a life as the host that `boot` names."""
        self.link = link
        self.clock.now = self._last_exchange = boot.now
        self.clock.epoch = boot.epoch
        self.interleave, self.counting = boot.interleave, boot.counting
        self.rng = random.Random(f"{boot.seed}/{boot.name}/{boot.now}")
        self.shuffles = boot.shuffles
        self.main = _get_ident()

    # ------------------------------------------------------------------------------------------ to the simulation

    def next_id(self) -> int:
        return next(self._ids)

    def send(self, message: wire.Outbound) -> None:
        """Leaves with the next exchange."""
        self._has_acted = True
        self.out.append(message)
        if len(self.out) > MOST_OUT:
            self.fail("flood", f"sent more than {MOST_OUT:,} messages at one instant of virtual time")

    def tell(self, message: wire.Outbound) -> None:
        """As send; but where crash points are counted, or others share the disk, it leaves at once: a crash can fall
        right behind it, or another host's next statement."""
        self.send(message)
        if self.counting or self.interleave:
            self.exchange(self.clock.now)

    def bounded(self, body: bytes, what: str) -> bytes:
        """`body`, which may leave."""
        if len(body) > MOST_BODY:
            self.fail("flood", f"{what} has a body of {len(body):,} bytes; more than {MOST_BODY:,} cannot leave")
        return body

    def fail(self, kind: str, text: str) -> NoReturn:
        """Tell the simulation why this host cannot go on, from any thread, and be gone."""
        last = wire.Failed(kind, wire.text(text), where.here())
        try:
            if self.link is not None:
                try:
                    self.link.send(wire.Idle(self.clock.now, [*self.out[:MOST_OUT], last], None))
                except (wire.FrameTooLong, MemoryError):
                    self.link.send(wire.Idle(self.clock.now, [last], None))
        finally:
            real_exit(1)

    def exchange(self, deadline: int | None) -> None:
        """Idle until `deadline`: hand over what was sent, take what came in. By whoever has the baton."""
        assert self.link is not None
        for hook in self.before_idle:
            hook()
        try:
            self.link.send(wire.Idle(self.clock.now, self.out, deadline, self._unseen))
            self.out, self._unseen = [], 0
            message = self.link.receive()
        except wire.FrameTooLong as error:
            self.fail("flood", f"sent {error} bytes at one instant of virtual time, over {wire.MAX_FRAME:,}")
        except MemoryError:
            self.fail("limit-memory", "had no memory left for its messages")
        except wire.LinkClosed:
            real_exit(0)
        if message.now > self.clock.now:
            self.clock.now = message.now
        self._last_exchange, self._has_acted = self.clock.now, False
        self.interleave, self.counting = message.interleave, message.counting
        self.expire()
        for each in message.inbox:
            self.handlers[type(each)](each)

    def expire(self) -> None:
        """Wake the threads whose time is up, those of one instant in an order that the seed picks."""
        timers, now = self._timers, self.clock.now
        while timers and timers[0][0] <= now:
            self.wake(heapq.heappop(timers)[2], ok=False)

    def next_timer(self) -> int | None:
        while self._timers and self._timers[0][2].done:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def soonest(self, other: int | None) -> int | None:
        """The earlier of `other` and the next timer of a thread."""
        mine = self.next_timer()
        return other if mine is None else mine if other is None else min(mine, other)

    # ------------------------------------------------------------------------------------------ the baton

    def on_main(self) -> bool:
        return _get_ident() == self.main

    def waiter(self, seconds: float | None, why: str) -> Waiter:
        """A place for the current thread to park, for at most `seconds` of virtual time."""
        return self.waiter_until(None if seconds is None else self.clock.deadline(seconds), why)

    def waiter_until(self, when: int | None, why: str) -> Waiter:
        waiter = Waiter(self.on_main(), why)
        if when is not None:
            heapq.heappush(self._timers, (when, next(self._sequence), waiter))
        return waiter

    def wake(self, waiter: Waiter, ok: bool = True) -> bool:
        """Let `waiter`'s thread go on in its turn. False if it had been woken, or given up, before."""
        if waiter.done:
            return False
        waiter.done, waiter.ok = True, ok
        if not waiter.main:
            self._ready.append(waiter)
        return True

    def park(self, waiter: Waiter) -> bool:
        """Block the current thread until it is woken; True, or until its time is up: False."""
        if not waiter.main:
            self.parked[waiter] = _get_ident()
            self._idle.release()
            assert waiter.parker is not None
            waiter.parker.acquire()
            return waiter.ok
        began, stalled = self.clock.now, False
        while not waiter.done:
            if self._ready:
                self.run_ready()
                self.catch_up()
            else:
                if not stalled and self.loop is not None and self.loop.is_running():
                    stalled = True
                    self.send(wire.Stalled(where.here()))
                self.exchange(self.next_timer())
        if stalled:
            self.send(wire.Blocked(began, self.clock.now, where.here()))
        return waiter.ok

    def catch_up(self) -> None:
        """A host that never idles still moves with the world: its own clock, read often enough, wakes its timers."""
        self.expire()
        if self.clock.now - self._last_exchange >= SPIN:
            self.exchange(self.clock.now)

    def run_ready(self) -> None:
        """Give each thread that is ready now one turn, in an order that the seed picks. Main thread only."""
        turn, self._ready = self._ready, []
        if len(turn) > 1 and self.shuffles:
            self.rng.shuffle(turn)
        for self._left, waiter in zip(reversed(range(len(turn))), turn, strict=True):
            self.parked.pop(waiter, None)
            assert waiter.parker is not None
            waiter.parker.release()
            self._idle.acquire()  # it runs until it parks again, or ends

    def threads_ready(self) -> bool:
        return bool(self._ready)

    def start_thread(self, body: Callable[[], object]) -> int:
        """A new thread, which gets its first turn when the scheduler reaches it. Returns its identifier."""
        waiter = Waiter(False, "start")

        def run() -> None:
            assert waiter.parker is not None
            waiter.parker.acquire()
            try:
                body()
            finally:
                self._idle.release()

        ident = _start_new_thread(run, ())  # raises RuntimeError when no more threads can be had
        self._ready.append(waiter)
        self.parked[waiter] = ident
        return ident

    def sleep(self, seconds: float) -> None:
        """time.sleep: on the loop's thread everybody stands still; on another thread nobody else does."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if seconds == 0:
            self.clock.now += READ_COST
            self.step()
        else:
            self.park(self.waiter(seconds, "time.sleep"))

    def step(self, to_the_world: bool = False, unseen: bool = False) -> None:
        """Let others run here, and come back at once: other threads of this host, or (`to_the_world`) other hosts, too.
        But not where they have just had their turn; and before a step that they cannot see, they get it later."""
        if to_the_world and unseen:
            self._unseen += 1
        elif to_the_world:
            if self._has_acted:
                self.exchange(self.clock.now)
            self._has_acted = True
        if self.on_main():
            if self._ready:
                self.run_ready()
            self.catch_up()
        else:
            self.clock.read()
            self.catch_up()
            if self._others_can_run():
                waiter = self.waiter(None, "a turn")
                self.wake(waiter)
                self.park(waiter)

    def _others_can_run(self) -> bool:
        """Does anybody wait for the baton that a thread has, other threads or the loop?"""
        if self._ready or self._left or not self._loop_rests or self.loop._ready:
            return True
        timers = self.loop._scheduled
        return bool(timers) and timers[0]._when * 1e9 <= self.clock.now

    # ------------------------------------------------------------------------------------------ the loop's thread

    def idle(self, ready: bool, when: float | None) -> None:
        """The loop on the main thread has nothing to run before loop time `when`, or (`ready`) only lets others in."""
        if self._ready:
            self._loop_rests = not ready
            self.run_ready()  # they may give the loop something to do
            self._loop_rests = False
            self.catch_up()
        elif ready:
            self.catch_up()
        else:
            self.exchange(self.soonest(None if when is None else round_up(int(when * 1e9) + 1)))


kernel = Kernel()
