"""The learner's service for real: uvicorn, real time, real sockets, no simulation. For `learn serve`.

`run` serves in this process. `python -m grader.host.live ROOT APP LISTENER LINK` is a process of its own, which tells
over its link how it goes, and ends when whoever holds the other end has gone.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from grader.host import where

GRACE = 2
"""Seconds that requests in flight are given to end."""

DOES_NOT_START = 3
"""The exit status for it, as uvicorn has it."""


class DoesNotStart(Exception):
    """The service cannot be imported, built or started. Its traceback has been printed."""


def run(root: str, app: str, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, which goes on its way then. Raises DoesNotStart."""
    where.set_root(root)
    _set_up_logs()
    os.chdir(root)
    sys.path.insert(0, root)
    try:
        module, _, name = app.partition(":")
        service = getattr(importlib.import_module(module), name)()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too
        _print(where.detail(error))
        raise DoesNotStart(_in_one_line(error)) from None
    told = _Told(service)
    config = uvicorn.Config(
        told,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
    try:
        _Server(config, on_start).run(sockets=[listener])
    except SystemExit as left:
        if left.code != DOES_NOT_START:
            raise
        raise DoesNotStart(told.failure or "its start-up fails") from None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


class _Told:
    """The service, with a line for each request, and the learner's part of a traceback for whatever fails."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.failure = ""  # of its lifespan, in one line

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def without_traceback(event: dict[str, Any]) -> None:
            await send({**event, "message": ""} if event["type"].endswith(".failed") else event)

        try:
            await self._app(scope, receive, without_traceback)
        except Exception as error:
            _print(where.detail(error))
            self.failure = _in_one_line(error)
            raise

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        began, status = time.monotonic(), 0

        async def telling(event: dict[str, Any]) -> None:
            nonlocal status
            status = event.get("status", status)
            await send(event)

        try:
            await self._app(scope, receive, telling)
        except Exception as error:
            _print(where.detail(error))
            if not status:
                await telling({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"Internal Server Error"})
        finally:
            _print(line("service", scope["method"], scope["path"], status, time.monotonic() - began))


def line(who: str, method: str, path: str, status: int, seconds: float) -> str:
    """A request that has ended, and how."""
    clock = time.strftime("%H:%M:%S")
    return f"{clock}  {who:<10} {method:<6} {path:<34} {status or 'gone':>4} {seconds:8.2f} s"


class _Formatter(logging.Formatter):
    """Of a traceback, the learner's part."""

    def formatException(self, info: Any) -> str:  # noqa: N802 - logging's name
        return where.detail(info[1]).rstrip() if info[1] is not None else ""


def _set_up_logs() -> None:
    """What the service logs is printed, from INFO on; of the libraries below it, what is wrong."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("httpx", "httpcore", "asyncio", "uvicorn", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _print(text: str) -> None:
    print(text.rstrip(), file=sys.stderr, flush=True)


def _in_one_line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    places = where.of_error(error, 1)
    return " ".join(text.split()) + (f" ({places[0].file}:{places[0].line})" if places else "")


def _end_with(link: socket.socket) -> None:
    """Wait until the other end has gone; then end, and at last without asking."""
    link.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE + 1)
    os._exit(1)


def main() -> None:
    root, app, listener, fd = sys.argv[1:]
    link = socket.socket(fileno=int(fd))
    threading.Thread(target=_end_with, args=[link], daemon=True).start()
    try:
        run(root, app, socket.socket(fileno=int(listener)), lambda: link.sendall(b"up\n"))
    except DoesNotStart as error:
        link.sendall(f"{error}\n".encode("utf-8", "replace"))
        sys.exit(DOES_NOT_START)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
