"""Outbound HTTP: every httpx call of this process becomes a message, and its answer an httpx response or error.

respx puts the interception in place. Connect, read and write time-outs are kept by the simulation, which knows when
nothing came; the client's own connection limits and its pool time-out are kept here.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import respx.mocks

from grader import wire
from grader.host import where
from grader.host.kernel import Waiter, cause, kernel

_END = (wire.Reply, wire.ReplyEnd, wire.ReplyError)


class _Call:
    """One outbound call: a mailbox that a thread or a task waits at."""

    def __init__(self, request: httpx.Request, slots: _Slots) -> None:
        self.request = request
        self.slots = slots
        self.id = kernel.next_id()
        self.inbox: deque[Any] = deque()
        self.over = False
        self.closed = False
        self.waiter: Waiter | asyncio.Future[None] | None = None

    def begin(self, body: bytes) -> None:
        times = self.request.extensions.get("timeout", {})
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in self.request.headers.raw]
        _calls[self.id] = self
        kernel.tell(
            wire.Egress(
                self.id, self.request.method, str(self.request.url), headers,
                kernel.bounded(body, f"{self.request.method} {self.request.url}"),
                times.get("connect"), times.get("read"), times.get("write"), cause.get(), where.here(),
            )
        )  # fmt: skip

    def arrived(self, message: Any) -> None:
        self.inbox.append(message)
        self.over = self.over or isinstance(message, _END)
        waiter, self.waiter = self.waiter, None
        if isinstance(waiter, Waiter):
            kernel.wake(waiter)
        elif waiter is not None:
            waiter.get_loop().call_soon_threadsafe(_resolve, waiter)

    def next(self) -> Any:
        """The next message, on a thread."""
        if not self.inbox:
            self.waiter = kernel.waiter(None, f"{self.request.method} {self.request.url}")
            kernel.park(self.waiter)
        return self.inbox.popleft()

    async def anext(self) -> Any:
        """The next message, on a loop."""
        if not self.inbox:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return self.inbox.popleft()

    def close(self) -> None:
        """The caller has its answer, or no longer wants it. The connection goes back to its pool."""
        if not self.closed:
            self.closed = True
            _calls.pop(self.id, None)
            if not self.over:
                kernel.send(wire.EgressAbort(self.id))
            self.slots.give_back()

    def response(self, message: Any) -> httpx.Response:
        if isinstance(message, wire.ReplyError):
            self.close()
            raise getattr(httpx, message.kind)(message.text, request=self.request)
        first = message.body if isinstance(message, wire.Reply) else None
        stream = _AsyncBody(self, first) if self.is_async else _Body(self, first)
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in message.headers]
        return httpx.Response(message.status, headers=headers, stream=stream, extensions={"http_version": b"HTTP/1.1"})

    is_async = False


class _AsyncCall(_Call):
    is_async = True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _chunk(call: _Call, message: Any) -> bytes | None:
    if isinstance(message, wire.ReplyChunk):
        return message.body
    if isinstance(message, wire.ReplyError):
        raise getattr(httpx, message.kind)(message.text, request=call.request)
    return None


class _Body(httpx.SyncByteStream):
    def __init__(self, call: _Call, whole: bytes | None) -> None:
        self.call, self.whole = call, whole

    def __iter__(self) -> Iterator[bytes]:
        if self.whole is not None:
            yield self.whole
            return
        while (part := _chunk(self.call, self.call.next())) is not None:
            yield part

    def close(self) -> None:
        self.call.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, call: _Call, whole: bytes | None) -> None:
        self.call, self.whole = call, whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.whole is not None:
            yield self.whole
            return
        while (part := _chunk(self.call, await self.call.anext())) is not None:
            yield part

    async def aclose(self) -> None:
        self.call.close()


class _Slots:
    """The connections of one client: its `max_connections`, and who waits for one, first come first served."""

    def __init__(self, most: int) -> None:
        self.free = most
        self.waiting: deque[Waiter | asyncio.Future[None]] = deque()

    def take(self, request: httpx.Request) -> None:
        if self.free > 0 and not self.waiting:
            self.free -= 1
            return
        waiter = kernel.waiter(request.extensions.get("timeout", {}).get("pool"), "a free connection")
        self.waiting.append(waiter)
        if not kernel.park(waiter):
            self._leave(waiter)
            raise httpx.PoolTimeout("no free connection in time", request=request)

    async def atake(self, request: httpx.Request) -> None:
        if self.free > 0 and not self.waiting:
            self.free -= 1
            return
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await future
        except BaseException as error:
            self._leave(future)
            if future.done() and not future.cancelled():
                self.give_back()
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("no free connection in time", request=request) from None
            raise

    def _leave(self, waiter: Any) -> None:
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def give_back(self) -> None:
        while self.waiting:
            waiter = self.waiting.popleft()
            if isinstance(waiter, Waiter):
                if kernel.wake(waiter):
                    return
            elif not waiter.done():
                if waiter.get_loop() is kernel.loop and kernel.on_main():
                    waiter.set_result(None)
                else:
                    waiter.get_loop().call_soon_threadsafe(_resolve, waiter)
                return
        self.free += 1


_calls: dict[int, _Call] = {}
_pools: weakref.WeakKeyDictionary[Any, _Slots] = weakref.WeakKeyDictionary()


def _slots(transport: Any) -> _Slots:
    if transport not in _pools:
        _pools[transport] = _Slots(getattr(transport._pool, "_max_connections", 100))
    return _pools[transport]


def _handle(transport: Any, request: httpx.Request) -> httpx.Response:
    body = request.read()
    slots = _slots(transport)
    slots.take(request)
    call = _Call(request, slots)
    try:
        call.begin(body)
        return call.response(call.next())
    except BaseException:
        call.close()
        raise


async def _ahandle(transport: Any, request: httpx.Request) -> httpx.Response:
    body = await request.aread()
    slots = _slots(transport)
    await slots.atake(request)
    call = _AsyncCall(request, slots)
    try:
        call.begin(body)
        return call.response(await call.anext())
    except BaseException:
        call.close()
        raise


class Interception(respx.mocks.Mocker):
    """Puts our two functions where httpx's own transports would open a socket."""

    name = "brownout"
    targets = ["httpx.HTTPTransport", "httpx.AsyncHTTPTransport"]  # noqa: RUF012 - respx's own convention
    target_methods = ["handle_request", "handle_async_request"]  # noqa: RUF012

    @classmethod
    def mock(cls, spec: Callable[..., Any]) -> Callable[..., Any]:
        return _ahandle if inspect.iscoroutinefunction(spec) else _handle


def _arrived(message: Any) -> None:
    call = _calls.get(message.id)
    if call is not None:
        call.arrived(message)


def install() -> None:
    """Once a process."""
    Interception.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without authorities, 40 ms to load: no connection is made
    default: Any = httpx._transports.default
    default.create_ssl_context = lambda *_, **__: context
    for kind in (wire.Reply, wire.ReplyHead, wire.ReplyChunk, wire.ReplyEnd, wire.ReplyError):
        kernel.handlers[kind] = _arrived
