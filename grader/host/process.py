"""The life of one host: from the boot message to the last exchange. Runs in a fork of `forkserver.py`."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import logging
import os
import platform
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

import grader
from grader import wire
from grader.host import asgi, debugger, disk, entropy, escape, probe, where
from grader.host.kernel import cause, kernel, real_exit
from grader.host.loop import Loop

STACK = 1024 * 1024
"""Bytes of a thread's stack: hundreds of threads fit below a limit on address space."""


def live(sock: socket.socket, dump: int) -> None:
    """Be the host that the first message on `sock` names. Does not return."""
    faulthandler.enable(file=dump)
    faulthandler.register(signal.SIGUSR1, file=dump, all_threads=True)
    link = wire.Link(sock, wire.to_host)
    boot = link.receive()
    assert isinstance(boot, wire.Boot)
    _confine(boot)
    kernel.connect(link, boot)
    where.set_root(boot.root)
    _identify(boot)
    debugger.attach(boot.terminal) if boot.terminal else debugger.refuse()
    loop = Loop()
    kernel.loop = loop
    asyncio.set_event_loop(loop)
    _handle_control(loop)
    _listen_to_logs()
    threading.excepthook = lambda args: asgi.unhandled(args.exc_value) if args.exc_value else None
    loop.set_exception_handler(_on_loop_error)
    disk.settle(boot.env.get("DATA_DIR", ""))
    status = 1
    try:
        server = asgi.Server(_load(boot), loop)
        probe.install(boot.ports, loop)
        loop.run_until_complete(_serve(server, boot, loop))
        status = 0
    except _Unloadable as error:
        _fail(error.kind, str(error), error.__cause__, error.places)
    except MemoryError as error:
        _fail("limit-memory", "ran out of memory", error)
    except BaseException as error:  # SystemExit and KeyboardInterrupt end a loop, wherever they are raised
        _fail("exit", f"the service ended itself with {type(error).__name__}({error})", error)
    _leave(status)


class _Unloadable(Exception):
    def __init__(self, kind: str, text: str, places: list[wire.Place] | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.places = places or []


def _load(boot: wire.Boot) -> Any:
    """Import the learner's module and build the application."""
    module, _, name = boot.app.partition(":")
    sys.path.insert(0, boot.root)
    package = module.partition(".")[0]
    with _step(package, "import-error", "at import"):
        found = importlib.import_module(module)
    create = getattr(found, name, None)
    if not callable(create):
        what = "is missing" if create is None else f"is a {type(create).__name__}, not a function"
        path = os.path.relpath(found.__file__ or boot.root, boot.root)
        raise _Unloadable("app-error", f"{name} {what}", [wire.Place(path, 1, "")])
    with _step(package, "app-error", f"in {name}()"):
        app = create()
    if not callable(app):
        text = f"{name}() returned a {type(app).__name__}, not an ASGI application"
        raise _Unloadable("app-error", text, where.of_function(create))
    return app


@contextlib.contextmanager
def _step(package: str, kind: str, when: str) -> Iterator[None]:
    """What the learner's `package` raises here means `kind`, unless the error itself says more."""
    try:
        yield
    except SyntaxError as error:
        raise _Unloadable("syntax-error", f"SyntaxError: {error.msg}") from error
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")
        if missing[0] != package:
            raise _Unloadable("import-error", f"{error} {when}") from error
        raise _Unloadable("missing-file", f"{'/'.join(missing)}.py is missing") from error
    except NotImplementedError as error:
        raise _Unloadable("todo", f"an untouched stub is used {when}: {error}") from error
    except MemoryError as error:
        raise _Unloadable("limit-memory", f"ran out of memory {when}") from error
    except Exception as error:
        raise _Unloadable(kind, f"{type(error).__name__} {when}: {error}") from error


def _identify(boot: wire.Boot) -> None:
    """Randomness, process id and host name that come from the seed, so that a replay is one."""
    self = f"{boot.seed}/{boot.name}/{boot.now}"
    entropy.install(self)
    escape.install(pid=1000 + zlib.crc32(self.encode()) % 30_000)
    socket.gethostname = platform.node = lambda: boot.name


def _listen_to_logs() -> None:
    """Tell the simulation what the service logs, whichever handlers it has."""
    module: Any = logging
    module._startTime = time.time_ns() if isinstance(module._startTime, int) else time.time()
    logging.getLogger().setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    handle = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += f" [{type(record.exc_info[1]).__name__}: {record.exc_info[1]}]"
        except Exception as error:
            text = f"a log record that cannot be formatted: {error}"
        kernel.send(wire.Log(record.levelname, record.name, wire.text(text), cause.get()))
        handle(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]


def _confine(boot: wire.Boot) -> None:
    grader.__path__ = []  # behind no walls, the worlds could be imported: they know what their models will answer
    for name, value in boot.limits.items():
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is not None:
            with contextlib.suppress(ValueError, OSError):  # a lower hard limit is in force already
                # the hard limit on CPU is a SIGKILL, which says nothing of why
                resource.setrlimit(which, (value, value + 1 if name == "CPU" else value))
    threading.stack_size(STACK)
    os.environ.clear()
    os.environ.update(boot.env)
    tempfile.tempdir = None
    os.chdir(boot.root)
    if boot.terminal:
        sys.stdin = open(0, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115 - for good
    # what the service prints goes to a file that the simulation reads when something fails, or to the terminal
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = open(  # noqa: SIM115 - for good
            descriptor, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace"
        )
        setattr(sys, name, stream)


def _handle_control(loop: Loop) -> None:
    def set_wall(message: wire.SetWall) -> None:
        kernel.clock.epoch = message.epoch

    def explain(_: wire.Explain) -> None:
        kernel.send(wire.Waiting(_waiting(loop)))

    kernel.handlers[wire.SetWall] = set_wall
    kernel.handlers[wire.Explain] = explain


async def _serve(server: asgi.Server, boot: wire.Boot, loop: Loop) -> None:
    """The life of the service: one task, below which anyio keeps its threads."""
    stopping: asyncio.Future[None] = loop.create_future()

    def stop(_: wire.Stop) -> None:
        stopping.cancel()

    kernel.handlers[wire.Stop] = stop
    with _step(boot.app.partition(".")[0], "startup-error", "at start-up"):
        await server.startup()
    kernel.send(wire.Started())
    await asyncio.wait({stopping})
    try:
        await server.shutdown()
        kernel.send(wire.Stopped())
    except Exception as error:
        _fail("shutdown-error", f"{type(error).__name__}: {error}", error)


def _waiting(loop: Loop) -> list[tuple[str, wire.Place]]:
    """Where the learner's tasks and threads wait, each by its innermost line."""
    found: list[tuple[str, wire.Place]] = []
    for task in sorted(asyncio.all_tasks(loop), key=hash):
        found += [("task", place) for place in where.of_coroutine(task.get_coro(), 1)]
    frames = sys._current_frames()
    for waiter, ident in kernel.parked.items():
        found += [(f"thread, on {waiter.why}", place) for place in where.of_frame(frames.get(ident), 1)]
    if kernel.on_main() and (places := where.here(1)):
        found.append(("the event loop, blocked", places[0]))
    return found[:50]


def _on_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        asgi.unhandled(error)
    else:
        kernel.send(wire.Log("ERROR", "asyncio", wire.text(context.get("message")), 0))


def _fail(kind: str, text: str, error: BaseException | None, places: list[wire.Place] | None = None) -> None:
    found = (where.of_error(error) if error else []) or places or where.here()
    kernel.send(wire.Failed(kind, wire.text(text), found, where.detail(error) if error else ""))


def _leave(status: int) -> None:
    if kernel.link is not None:
        try:
            kernel.link.send(wire.Idle(kernel.clock.now, kernel.out, None))
        except (wire.LinkClosed, wire.FrameTooLong):
            traceback.print_exc()
    sys.stdout.flush()
    real_exit(status)
