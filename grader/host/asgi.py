"""Requests from the outside, spoken to the learner's application as ASGI: streaming, disconnects, lifespan.

A reply leaves when its last byte does, not when the application returns, so background tasks run on behind it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from grader import wire
from grader.host import where
from grader.host.kernel import cause, kernel


def unhandled(error: BaseException) -> None:
    """Tell the simulation of an exception that nobody caught."""
    kernel.send(
        wire.Unhandled(type(error).__name__, wire.text(error), cause.get(), where.of_error(error), where.detail(error))
    )


class _Exchange:
    """One request and its response."""

    def __init__(self, request: wire.Request) -> None:
        self.id = request.id
        self.name = f"the answer to {request.method} {request.path}"
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = False
        self.head: dict[str, Any] | None = None
        self.head_sent = False
        self.over = False
        self.push(request.body, request.more)

    def push(self, body: bytes, more: bool) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self.gone = True
        self.hang_up()

    def hang_up(self) -> None:
        """Nothing more will come: what was not read yet is lost, as with a real server."""
        while not self.incoming.empty():
            self.incoming.get_nowait()
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        if (self.over or self.gone) and self.incoming.empty():
            return {"type": "http.disconnect"}
        return await self.incoming.get()

    async def send(self, event: dict[str, Any]) -> None:
        if self.gone:
            return
        if event["type"] == "http.response.start":
            self.head = event
        elif event["type"] == "http.response.body" and self.head is not None and not self.over:
            body, more = kernel.bounded(bytes(event.get("body", b"")), self.name), bool(event.get("more_body"))
            status = int(self.head["status"])
            if not more and not self.head_sent:
                kernel.tell(wire.Response(self.id, status, self._headers(), body))
            else:
                if not self.head_sent:
                    self.head_sent = True
                    kernel.tell(wire.ResponseHead(self.id, status, self._headers()))
                kernel.send(wire.ResponseChunk(self.id, body, more))
            if not more:
                self.over = True
                self.hang_up()

    def _headers(self) -> wire.Headers:
        assert self.head is not None
        return [(bytes(k).decode("latin-1"), bytes(v).decode("latin-1")) for k, v in self.head.get("headers", [])]


class Server:
    """Serves one ASGI application on the host's loop."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.state: dict[str, Any] = {}
        self._exchanges: dict[int, _Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lifespan: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._phase: asyncio.Future[bool] | None = None
        self._failure: str | None = None
        kernel.handlers[wire.Request] = self._request
        kernel.handlers[wire.RequestChunk] = self._chunk
        kernel.handlers[wire.Disconnect] = self._disconnect

    # --------------------------------------------------------------------------------------------- lifespan

    async def startup(self) -> None:
        """Run the application's lifespan, if it has one, up to its yield. Raises what it raises."""
        self._task = self.loop.create_task(self._run_lifespan())
        await self._enter("lifespan.startup")

    async def shutdown(self) -> None:
        """The orderly end: requests in flight finish, then the lifespan's second half runs."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._enter("lifespan.shutdown")

    async def _enter(self, kind: str) -> None:
        if self._task.done():
            return
        self._phase = self.loop.create_future()
        self._lifespan.put_nowait({"type": kind})
        both: set[asyncio.Future[Any]] = {self._phase, self._task}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        error = self._task.exception() if self._task.done() and not self._task.cancelled() else None
        if self._failure is not None:
            raise error or RuntimeError(self._failure)

    async def _run_lifespan(self) -> None:
        async def send(event: dict[str, Any]) -> None:
            if event["type"].endswith(".failed"):
                self._failure = wire.text(event.get("message", ""))
            if self._phase is not None and not self._phase.done():
                self._phase.set_result(True)

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self.app(scope, self._lifespan.get, send)

    # --------------------------------------------------------------------------------------------- requests

    def _request(self, request: wire.Request) -> None:
        exchange = self._exchanges[request.id] = _Exchange(request)
        task = self.loop.create_task(self._serve(request, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _chunk(self, chunk: wire.RequestChunk) -> None:
        if chunk.id in self._exchanges:
            self._exchanges[chunk.id].push(chunk.body, chunk.more)

    def _disconnect(self, message: wire.Disconnect) -> None:
        if message.id in self._exchanges:
            self._exchanges[message.id].disconnect()

    async def _serve(self, request: wire.Request, exchange: _Exchange) -> None:
        cause.set(request.id)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode("latin-1"),
            "query_string": request.query.encode("latin-1"),
            "root_path": "",
            "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in request.headers],
            "client": ("10.0.0.1", 40000),
            "server": ("service", 80),
            "state": dict(self.state),
        }
        where.origin.set(lambda: where.of_function(scope.get("endpoint")))  # the router says so
        try:
            await self.app(scope, exchange.receive, exchange.send)
            if not exchange.over and not exchange.gone:
                raise RuntimeError("the application returned without a complete response")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            unhandled(error)
            if exchange.head_sent and not exchange.over:
                kernel.send(wire.ResponseBroken(request.id))
            elif not exchange.over:
                exchange.head = {"status": 500, "headers": [(b"content-type", b"text/plain")]}
                await exchange.send({"type": "http.response.body", "body": b"Internal Server Error"})
        finally:
            del self._exchanges[request.id]
