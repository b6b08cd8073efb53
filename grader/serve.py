"""Run a learner's service for real, with its neighbours beside it: ports, data folder, environment, a new start a save.

The neighbours are `world/live.py`'s, the service is `host/live.py`'s: in a process of its own, or, for a debugger, in
this one. What happens is told to whoever shows it.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from grader.curriculum import Group, Trouble
from grader.host import live as service
from grader.host.live import DoesNotStart
from grader.sim.forkserver import keep_terminal
from grader.watch import LONGEST, QUIET
from grader.world.everyday import Everyday, Try
from grader.world.live import Called, Live, Neighbours

HERE = "127.0.0.1"
FIRST_PORT = 8000
MOST_PORTS = 200  # looked at for a free one
STARTS = 5.0  # seconds that a start may take before somebody is told that it takes long


class CannotServe(Trouble):
    """There is nothing to serve, or nowhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """What runs where. `neighbours`: the environment variable by which the service finds one -> its URL."""

    url: str
    neighbours: Mapping[str, str]
    provider: str  # the URL of the one that has levers; empty where there is none
    data: Path
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class Up:
    """The service listens. `again`: it has done so before."""

    place: Place
    again: bool


@dataclass(frozen=True, slots=True)
class Down:
    """The service has ended, or did not start: why, in one line. `waits`: a save starts it again."""

    why: str
    waits: bool


@dataclass(frozen=True, slots=True)
class Waits:
    """The service has been starting for so many seconds, and does not listen yet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Saved:
    """The service is started again: these files of it have changed."""

    files: tuple[str, ...]


Event = Up | Down | Waits | Saved | Called
Tell = Callable[[Event], None]


def listen(port: int | None) -> socket.socket:
    """A listening socket at `port`; without one, at the first that is free. Raises CannotServe."""
    if port is not None:
        try:
            return _bound(port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken" if taken else f"is not to be had ({(error.strerror or str(error)).lower()})"
            raise CannotServe(f"port {port} {why}", "learn serve") from None
    return _free(FIRST_PORT)


def serve(
    group: Group,
    *,
    pristine: Path,
    data: Path,
    listener: socket.socket,
    fresh: bool,
    reload: bool,
    wait: bool,
    tell: Tell,
) -> None:
    """Serve the learner's files of `group` at `listener`, until KeyboardInterrupt. `tell` hears what happens.

    `data`: the data folder, which `fresh` empties. `reload`: a process for the service, and a new one at each save;
    otherwise it runs here. `wait`: a service that does not start is waited for. Raises CannotServe, and DoesNotStart.
    """
    live = Live(seed=1)
    everyday = _everyday(pristine, group, live)
    with ExitStack() as stack:
        stack.enter_context(listener)
        if sys.stdin.isatty():
            stack.callback(keep_terminal())  # breakpoint() works here, too
        if fresh:
            shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True, exist_ok=True)
        port = listener.getsockname()[1]
        listeners = {}
        for name in live.servers:
            listeners[name] = stack.enter_context(_free(port + 1))
            port = listeners[name].getsockname()[1]
        place = _place(everyday, live, listener, listeners, data)
        stack.enter_context(Neighbours(live, listeners, tell))
        environment = {**place.neighbours, "DATA_DIR": str(data), **_without_proxy()}
        if reload:
            _Supervised(group, listener, environment, place, wait, tell).run()
        else:
            os.environ.update(environment)
            service.run(str(group.path), group.app, listener, lambda: tell(Up(place, again=False)))


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HERE, port))
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found


def _free(first: int) -> socket.socket:
    for port in range(first, min(first + MOST_PORTS, 65_536)):
        with suppress(OSError):
            return _bound(port)
    return _bound(0)


def _everyday(pristine: Path, group: Group, live: Live) -> Everyday:
    if not (pristine / "everyday.py").is_file():
        raise CannotServe(f"group {group.number} has no everyday.py: nobody knows its neighbours", "learn")
    build = _load(pristine / "everyday.py").everyday
    found: Everyday = build(live.scene, _load(pristine / "incident.py"))
    return found


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"brownout_served_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _place(
    everyday: Everyday, live: Live, listener: socket.socket, listeners: Mapping[str, socket.socket], data: Path
) -> Place:
    urls = {variable: _url(listeners[name]) for variable, name in everyday.urls.items()}
    provider = next((url for variable, url in urls.items() if live.has_levers(everyday.urls[variable])), "")
    service = _url(listener)
    return Place(service, urls, provider, data, tuple(each.at(service, urls) for each in everyday.tries))


def _url(listener: socket.socket) -> str:
    return f"http://{HERE}:{listener.getsockname()[1]}"


def _without_proxy() -> dict[str, str]:
    """Between the service and its neighbours there is none, whatever leads to the world from here."""
    others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    value = ",".join(filter(None, [others, HERE, "localhost"]))
    return {"NO_PROXY": value, "no_proxy": value}


# ------------------------------------------------------------------------------------------- one process after another


@dataclass(eq=False)
class _Process:
    """One life of the service."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    said: list[str] = field(default_factory=list)

    def end(self) -> None:
        """In order, as at a deploy; and after a while not."""
        self.process.terminate()
        try:
            self.process.wait(service.GRACE + 1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.link.close()

    def kill(self) -> None:
        with suppress(OSError):
            self.process.kill()
        self.process.wait()


class _Supervised:
    def __init__(
        self,
        group: Group,
        listener: socket.socket,
        environment: Mapping[str, str],
        place: Place,
        wait: bool,
        tell: Tell,
    ) -> None:
        self._group = group
        self._listener = listener
        self._environment = {**os.environ, **environment}
        self._place = place
        self._wait = wait
        self._tell = tell
        self._news: queue.SimpleQueue[tuple[_Process, str] | None] = queue.SimpleQueue()
        self._files = group.read_own()

    def run(self) -> None:
        been_up = False
        with self._saves():
            process = self._start()
            starting = True
            try:
                while True:
                    try:
                        news = self._news.get(timeout=STARTS if starting else None)
                    except queue.Empty:
                        starting = False
                        self._tell(Waits(STARTS))
                        continue
                    if news is None:
                        other = self._restarted(process)
                        starting = starting or other is not process
                        process = other
                    elif news[0] is not process:
                        continue
                    elif news[1] == "up":
                        starting = False
                        self._tell(Up(self._place, again=been_up))
                        been_up = True
                    elif not (self._wait or been_up):
                        raise DoesNotStart(news[1])
                    else:
                        starting = False
                        self._tell(Down(news[1], waits=True))
            finally:
                self._end(process)

    def _restarted(self, process: _Process) -> _Process:
        """The process that goes on: another one, if a save has changed anything."""
        files = self._group.read_own()
        changed = tuple(sorted(name for name in {*files, *self._files} if files.get(name) != self._files.get(name)))
        if not changed:
            return process
        self._files = files
        self._tell(Saved(changed))
        self._end(process)
        return self._start()

    def _end(self, process: _Process) -> None:
        try:
            process.end()
        except KeyboardInterrupt:  # who asks twice does not want to wait
            process.kill()
            raise

    def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "grader.host.live", str(self._group.path), self._group.app]
        with theirs:
            fds = (self._listener.fileno(), theirs.fileno())
            child = subprocess.Popen(
                [*command, *map(str, fds)], pass_fds=fds, cwd=self._group.path, env=self._environment, stdout=sys.stderr
            )
        process = _Process(child, ours)
        threading.Thread(target=self._hear, args=[process], daemon=True).start()
        return process

    def _hear(self, process: _Process) -> None:
        """In a thread: what the process says, and how it ends."""
        with suppress(OSError), process.link.makefile("r", encoding="utf-8", errors="replace") as lines:
            for said in lines:
                process.said.append(said.strip())
                if said == "up\n":
                    self._news.put((process, "up"))
        status = process.process.wait()
        ended = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
        told = [said for said in process.said if said != "up"]
        self._news.put((process, told[-1] if told else ended))

    @contextmanager
    def _saves(self) -> Iterator[None]:
        closing = threading.Event()

        def hear() -> None:
            from watchfiles import watch

            folder = self._group.path
            for _ in watch(
                folder, stop_event=closing, debounce=LONGEST, step=QUIET, rust_timeout=500, raise_interrupt=False
            ):
                self._news.put(None)

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        try:
            yield
        finally:
            closing.set()
            thread.join(2.0)
