"""Hosts that cannot start, do not come to rest, flood, answer garbage, or die: each a clear outcome, soon, with a line.

After each, no process of the host's is left, and the warm parent serves the next.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Forkserver, Host, HostFailed, Service, Simulation
from tests.sim import probes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sim.conftest import Stage

PATIENCE = 0.5
LIMITS = {"AS": 1024**3, "CPU": 20, "FSIZE": 32 * 1024**2, "CORE": 0}


def _hosts(forkserver: Forkserver) -> set[int]:
    """The warm parent's children, the dead that it did not bury among them."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == forkserver.pid:
                found.add(int(stat.parent.name))
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left_and_the_warm_parent_serves_on(stage: Stage) -> Iterator[None]:
    yield
    assert _hosts(stage.forkserver) == set()
    assert stage.ask("@app.post('/x')\nasync def x(): return 'well'", "/x")[0].body == "well"


def _fail(
    stage: Stage, service: Service, path: str = "/x", within: float = 10 * PATIENCE, patience: float = PATIENCE
) -> HostFailed:
    """How a start, or one request, ends the run; in good time."""
    began = time.monotonic()
    with pytest.raises(HostFailed) as failed:
        stage.asked(service, path, patience=patience, limits=LIMITS)
    assert time.monotonic() - began < within
    return failed.value


# ------------------------------------------------------------------------------------------------ at the start

STARTS = {
    "syntax error": ("def create_app(:  # here", "syntax-error", "invalid syntax"),
    "import error": ("import no_such_library  # here", "import-error", "No module named 'no_such_library'"),
    "the tests' world": ("from grader.world import faults  # here", "import-error", "No module named 'grader.world'"),
    "name error": ("undefined_name  # here", "import-error", "NameError"),
    "a missing name": ("from os import no_such_name  # here", "import-error", "cannot import name 'no_such_name'"),
    "a missing file": ("from service.patterns import retry  # here", "missing-file", "service/patterns.py is missing"),
    "create_app raises": ("def create_app():\n    return 1 / 0  # here", "app-error", "ZeroDivisionError"),
    "create_app wants more": ("def create_app(x): pass", "app-error", "missing 1 required positional argument"),
    "create_app is missing": ("app = 1", "app-error", "create_app is missing"),
    "create_app is no function": ("create_app = 1", "app-error", "create_app is a int, not a function"),
    "create_app returns junk": ("def create_app():  # here\n    return 5", "app-error", "returned a int, not an ASGI"),
    "a stub at import": (
        "raise NotImplementedError('retry')  # here",
        "todo",
        "untouched stub is used at import: retry",
    ),
    "a stub in create_app": ("def create_app():\n    raise NotImplementedError  # here", "todo", "in create_app()"),
    "SystemExit": ("raise SystemExit(3)  # here", "exit", "SystemExit(3)"),
    "os._exit": ("import os\nos._exit(0)  # here", "exit", "os._exit(0)"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt  # here", "exit", "KeyboardInterrupt"),
    "a segmentation fault": ("import ctypes\nctypes.string_at(0)  # here", "killed", "SIGSEGV"),
    "abort": ("import os\nos.abort()  # here", "killed", "SIGABRT"),
    "a loop": ("while True: pass  # here", "limit-time", "did not come to rest in 0.2 s of computing"),
    "a loop in C": ("sum(iter(int, 1))  # here", "limit-time", "did not come to rest"),
    "too much memory": ("x = bytearray(2**31)  # here", "limit-memory", "ran out of memory at import"),
    "too deep": ("def f():\n    f()  # here\nf()", "import-error", "RecursionError"),
    "a fork": ("import os\nos.fork()  # here", "import-error", "another process (os.fork)"),
}


@pytest.mark.parametrize(("source", "kind", "text"), STARTS.values(), ids=STARTS.keys())
def test_a_service_that_cannot_start_says_why_and_where(stage: Stage, source: str, kind: str, text: str) -> None:
    service = stage.write(source)
    failed = _fail(stage, service)
    assert (failed.kind, text in failed.text) == (kind, True), failed
    if "# here" in source:
        assert str(failed).endswith(f"({stage.line(service)})")


def test_a_missing_service_names_the_file(stage: Stage) -> None:
    service = stage.write("")
    (service.root / "service" / "app.py").unlink()
    failed = _fail(stage, service)
    assert (failed.kind, failed.text) == ("missing-file", "service/app.py is missing")


def test_a_syntax_error_in_another_file_is_named_there(stage: Stage) -> None:
    failed = _fail(stage, stage.write("from service import other", other="x = (1,\n\n"))
    assert (failed.kind, failed.places[0].file) == ("syntax-error", "service/other.py")


def test_what_the_service_printed_comes_with_its_failure(stage: Stage) -> None:
    failed = _fail(
        stage, stage.write("print('so far, so good \\udc80')\nimport sys\nprint('!', file=sys.stderr)\n1 / 0")
    )
    assert failed.output == "so far, so good \\udc80\n!"


# ------------------------------------------------------------------------------------------------ in a request

REQUESTS = {
    "a loop": ("while True: pass  # here", "limit-time", "did not come to rest"),
    "a loop in C": ("sum(iter(int, 1))  # here", "limit-time", "did not come to rest"),
    "a loop of awaits": ("while True: await asyncio.sleep(0)  # here", "limit-time", "did not come to rest"),
    "a loop of yields": ("while True: time.sleep(0)  # here", "limit-time", "did not come to rest"),
    "a loop in a thread": ("await asyncio.to_thread(spin)", "limit-time", "did not come to rest"),
    "sys.exit": ("import sys; sys.exit(4)  # here", "exit", "SystemExit(4)"),
    "os._exit": ("os._exit(0)  # here", "exit", "os._exit(0)"),
    "os._exit in a thread": ("await asyncio.to_thread(leave)", "exit", "os._exit(7)"),
    "SIGKILL": ("import signal; os.kill(os.getpid(), signal.SIGKILL)  # here", "killed", "SIGKILL"),
    "SIGTERM": ("import signal; os.kill(os.getpid(), signal.SIGTERM)  # here", "killed", "SIGTERM"),
    "SIGSTOP past us": ("libc().kill(libc().getpid(), 19)", "limit-stall", "and hardly computed"),
    "SIGKILL past us": ("libc().kill(libc().getpid(), 9)", "killed", "ended by SIGKILL"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)  # here", "killed", "SIGSEGV"),
    "a flood of logs": ("while True: logging.info('x')  # here", "flood", "more than 10,000 messages"),
    "a flood of bytes": (
        "for _ in range(9): asyncio.create_task(llm.post('/', content=b'x' * 10**6))",
        "flood",
        "bytes",
    ),
    "a gigantic call": (
        "await llm.post('/big', content=b'x' * 10**8)  # here",
        "flood",
        "/big has a body of 100,000,000",
    ),
    "garbage on the link": ("os.write(3, b'\\0\\0\\0\\4junk')", "garbage", "no message of a host"),
    "a huge frame on the link": ("os.write(3, b'\\xff' * 100)", "flood", "no message of a host"),
    "half a frame on the link": ("os.write(3, b'\\0\\1\\0\\0'); await asyncio.sleep(1)", "limit-stall", "did not come"),
    "a closed link, and on it goes": ("os.close(3)\n    while True: pass", "garbage", "closed its link"),
}

HELPERS = """
def spin():
    while True: pass
def leave():
    os._exit(7)
def libc():
    import ctypes
    return ctypes.CDLL(None)
"""


@pytest.mark.parametrize(("work", "kind", "text"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_that_ends_its_host_says_why_and_where(stage: Stage, work: str, kind: str, text: str) -> None:
    service = stage.service(f"@app.post('/x')\nasync def x():\n    {work}", HELPERS)
    failed = _fail(stage, service, patience=(10 if kind == "flood" else 1) * PATIENCE)  # a flood takes computing
    assert (failed.kind, text in failed.text) == (kind, True), failed
    if "# here" in work:
        assert failed.places[0].file == "service/app.py"
        assert str(failed).endswith(f"({stage.line(service)})")


def test_a_thread_that_does_not_come_to_rest_is_named(stage: Stage) -> None:
    service = stage.service("@app.post('/x')\ndef x():\n    while True:  # here\n        pass")
    failed = _fail(stage, service)
    assert (failed.kind, failed.places[0].function) == ("limit-time", "x")


def test_a_gigantic_answer_names_its_endpoint(stage: Stage) -> None:
    service = stage.service("@app.post('/x')  # here\nasync def x(): return Response(b'x' * 10**7)")
    failed = _fail(stage, service)
    assert (failed.kind, failed.text) == (
        "flood", "the answer to POST /x has a body of 10,000,000 bytes; more than 4,194,304 cannot leave",
    )  # fmt: skip
    assert str(failed).endswith(f"({stage.line(service)})")


def test_an_endless_stream_names_its_endpoint(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")  # here
        async def x():
            async def pieces():
                while True:
                    yield b"x"
            return StreamingResponse(pieces())
        """
    )
    failed = _fail(stage, service)
    assert (failed.kind, stage.line(service) in str(failed)) == ("flood", True)


def test_an_endless_stream_with_pauses_ends_too(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x():
            async def pieces():
                while True:
                    yield b"x" * 4_000_000
                    await asyncio.sleep(0.001)
            return StreamingResponse(pieces())
        """
    )
    failed = _fail(stage, service)
    assert (failed.kind, "268,435,456 bytes" in failed.text) == ("flood", True)


@pytest.mark.parametrize(
    ("work", "what"),
    [
        ("os.fork()", "process"),
        ("import subprocess; subprocess.run(['true'])", "process"),
        ("os.system('true')", "process"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "process"),
        ("os.execv('/bin/true', ['true'])", "process"),
        ("os.kill(os.getppid(), 9)", "process"),
        ("import multiprocessing; multiprocessing.get_context('spawn').Process(target=print).start()", "process"),
        ("list(concurrent.futures.ProcessPoolExecutor(1).map(abs, [1]))", "process"),
        ("import socket; socket.create_connection(('127.0.0.1', 80))", "socket"),
        ("import socket; socket.getaddrinfo('example.com', 80)", "socket"),
        ("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))", "socket"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "socket"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket"),
    ],
)
def test_what_the_simulation_does_not_own_is_refused_at_its_line(stage: Stage, work: str, what: str) -> None:
    service = stage.service(f"@app.post('/x')\ndef x():\n    {work}  # here")
    run = stage.asked(service, "/x", limits=LIMITS)
    entry = run.tape.of("escape")[0]
    assert (entry.data["what"], entry.data["where"][0]) == (what, stage.line(service))
    assert run.result[0].status == 500


@pytest.mark.parametrize(
    "work", ["await asyncio.create_subprocess_exec('true')", "await asyncio.open_connection('127.0.0.1', 9)"]
)
def test_asyncios_own_processes_and_sockets_are_refused_at_their_line(stage: Stage, work: str) -> None:
    service = stage.service(f"@app.post('/x')\nasync def x():\n    {work}  # here")
    run = stage.asked(service, "/x")
    assert run.result[0].status == 500
    found = [*run.tape.of("escape"), *run.tape.of("unhandled")]
    assert stage.line(service) in found[0].data["where"]


def test_a_child_that_was_forked_past_us_ends_with_its_host(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x():
            import ctypes
            child = ctypes.CDLL(None).fork()
            while not child:
                pass
            return child
        """
    )
    (answer,) = stage.asked(service, "/x").result
    with pytest.raises(ProcessLookupError):
        _wait_for(answer.body)


@pytest.mark.parametrize(
    ("kind", "work", "who"),
    [
        ("def", "with locks[n], pause(1), locks[1 - n]: pass  # here", "thread, on a lock"),
        ("async def", "async with tasks[n], apause(1), tasks[1 - n]: pass  # here", "task"),
        ("async def", "locks[0].acquire(); locks[0].acquire()  # here", "the event loop, blocked"),
        ("async def", "await asyncio.Event().wait()  # here", "task"),
        ("def", "threading.Event().wait()  # here", "thread, on a lock"),
    ],
    ids=["two threads' locks", "two tasks' locks", "the loop on its own lock", "an event", "a thread's event"],
)
def test_a_virtual_deadlock_names_who_waits_and_where(stage: Stage, kind: str, work: str, who: str) -> None:
    service = stage.service(
        f"""
        locks, tasks = [threading.Lock(), threading.Lock()], [asyncio.Lock(), asyncio.Lock()]
        @contextlib.contextmanager
        def pause(seconds):
            yield time.sleep(seconds)
        @contextlib.asynccontextmanager
        async def apause(seconds):
            yield await asyncio.sleep(seconds)
        @app.post("/x")
        {kind} x(n: int = 0):
            {work}
        """
    )
    began = time.monotonic()
    with pytest.raises(HostFailed) as failed:
        stage.asked(service, "/x?n=0", "/x?n=1", limits=LIMITS)
    assert time.monotonic() - began < 2
    assert failed.value.kind == "deadlock"
    assert f"api-0: {who} waits at {stage.line(service)}" in failed.value.text


def test_an_endless_rally_in_virtual_time_is_stopped_by_the_horizon(stage: Stage) -> None:
    service = stage.service("@app.post('/x')\nasync def x():\n    while True: await asyncio.sleep(1)  # here")
    with pytest.raises(HostFailed, match="did not finish in 30 s of virtual time") as failed:
        stage.asked(service, "/x", horizon=30)
    assert stage.line(service) in failed.value.text


@pytest.mark.parametrize(
    "forged",
    [
        "wire.Response(1, 200, [], b'1')] * 3 + [wire.ResponseChunk(1, b'', False)",
        "wire.ResponseChunk(1, b'', True), wire.ResponseHead(1, 200, [])",
        "wire.ResponseChunk(99, b'', True), wire.EgressAbort(99), wire.ProbeResult(99, 1), wire.Stopped()",
        "wire.Egress(5, 'GET', 'http://[', [], b'', -1.0, float('nan'), 1e300, 0, [])",
        "wire.Egress(5, 'GET', 'https://llm.test', [], b'', float('inf'), float('inf'), -1.0, 0, [])",
        "wire.Blocked(2**62, -2**62, [wire.Place('/etc/passwd', -1, '')])",
        "wire.Waiting([('x', wire.Place('', 0, ''))] * 1000)",
        "wire.Failed('ours', 'forged', [])",
    ],
)
def test_forged_messages_end_the_run_or_nothing_but_never_the_simulation(stage: Stage, forged: str) -> None:
    service = stage.service(
        f"""
        from grader import wire
        from grader.host.kernel import kernel
        @app.post("/x")
        async def x():
            kernel.out += [{forged}]
            await asyncio.sleep(1)
        """
    )
    ended = ""
    try:
        stage.asked(service, "/x", horizon=30)
    except HostFailed as failed:
        ended = failed.host
    assert ended in ("", "api-0", "simulation")


@pytest.mark.parametrize("value", ["float('nan')", "[msgspec.msgpack.Ext(5, b'x')]", "{1: 2}"])
def test_forged_results_of_probes_are_garbage(stage: Stage, value: str) -> None:
    service = stage.service(
        f"""
        import msgspec, grader.host.probe
        grader.host.probe.plain = lambda _: {value}
        """
    )

    async def scenario(_: Simulation, host: Host) -> Any:
        return await host.probe(probes.returns, "1")

    with pytest.raises(HostFailed) as failed:
        stage.play(service, scenario)
    assert failed.value.kind == "garbage"


def _wait_for(pid: int) -> None:
    """Raises ProcessLookupError once nobody has that number; the dead keep it until init buries them."""
    for _ in range(100):
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError
        time.sleep(0.01)


def test_clocks_that_are_forged_far_ahead_end_at_the_horizon(stage: Stage) -> None:
    service = stage.service(
        "from grader.host.kernel import kernel\n@app.post('/x')\nasync def x(): kernel.clock.now = 2**62"
    )
    with pytest.raises(HostFailed, match="virtual time"):
        stage.asked(service, "/x", "/x at 1", horizon=30)


def test_the_warm_parent_ends_with_its_client() -> None:
    launched = Forkserver.launch()
    pid = launched.pid
    launched.another().close()
    os.kill(pid, 0)
    launched.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
