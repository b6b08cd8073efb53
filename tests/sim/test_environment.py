"""What surrounds a host: a stripped environment, its own session, limits, and five descriptors."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Host, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage


def test_the_environment_is_ours_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "x")
    service = "@app.post('/x')\nasync def x(): return [dict(os.environ), os.getcwd()]"

    async def scenario(sim: Simulation, host: Host) -> Any:
        return (await stage.one(sim, host, "/x")).body, str(host.disk), str(host.service.root)

    (environment, folder), disk, root = stage.play(service, scenario, env={"API_KEY": "k"}).result
    assert environment == {
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent",
        "DATA_DIR": disk, "API_KEY": "k",
    }  # fmt: skip
    assert folder == root


def test_a_host_has_its_own_session_five_descriptors_and_one_thread(stage: Stage) -> None:
    (answer,) = stage.asked(
        """
        @app.post("/x")
        async def x():
            open_now = {}
            for name in os.listdir("/proc/self/fd"):
                with contextlib.suppress(OSError):
                    open_now[name] = os.readlink(f"/proc/self/fd/{name}")
            me = int(os.readlink("/proc/self"))
            return [open_now, os.getsid(0) == me == os.getpgid(0), len(os.listdir("/proc/self/task"))]
        """,
        "/x",
    ).result
    open_now, leads, threads = answer.body
    assert sorted(open_now) == ["0", "1", "2", "3", "4"]
    assert open_now["0"] == "/dev/null"
    assert open_now["1"] == open_now["2"] != open_now["4"]
    assert open_now["3"].startswith("socket:")
    assert (leads, threads) == (True, 1)


def test_limits_are_in_force_and_can_not_be_lifted(stage: Stage) -> None:
    limits = {"AS": 2**30, "NOFILE": 64, "FSIZE": 2**20, "CPU": 30, "CORE": 0, "NO_SUCH_LIMIT": 1}
    (answer,) = stage.asked(
        """
        import resource
        @app.post("/x")
        async def x():
            names = ("AS", "NOFILE", "FSIZE", "CPU", "CORE")
            found = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}
            try:
                (data / "big").write_bytes(b"x" * 2**21)
            except OSError as error:
                written = error.strerror
            try:
                bytearray(2**30)
            except MemoryError:
                memory = "refused"
            return [found, written, memory]
        """,
        "/x",
        limits=limits,
    ).result
    found, written, memory = answer.body
    del limits["NO_SUCH_LIMIT"]
    hard = limits | {"CPU": limits["CPU"] + 1}  # that one kills, and says nothing
    assert found == {name: [value, hard[name]] for name, value in limits.items()}
    assert (written, memory) == ("File too large", "refused")


def test_a_hundred_threads_start_below_a_limit_on_memory(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            threads = [threading.Thread(target=time.sleep, args=(1,)) for _ in range(100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return time.monotonic()
        """,
        "/x",
        limits={"AS": 2**30},
    )
    assert answer.body == pytest.approx(1, abs=0.001)


def test_the_machines_name_and_the_process_number_come_from_the_run(stage: Stage) -> None:
    service = "@app.post('/x')\nasync def x(): return [socket.gethostname(), platform.node(), os.getpid()]"
    (answer,) = stage.ask(service, "/x", top="import platform, socket")
    assert answer.body[:2] == ["api-0", "api-0"]
    assert answer.body[2] != os.getpid()


def test_what_is_logged_reaches_the_tape_whatever_the_service_does_to_its_handlers(stage: Stage) -> None:
    run = stage.asked(
        """
        import logging.config
        logging.config.dictConfig({"version": 1, "root": {"level": "DEBUG", "handlers": []}})
        log = logging.getLogger("shop")
        log.propagate = False
        @app.post("/x")
        async def x():
            log.debug("%s sold", "tea")
            log.error("odd \\udc80")
            log.info("%d", "no number")
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("oh")
        """,
        "/x",
    )
    logs = [(entry.data["level"], entry.data["logger"], entry.data["text"]) for entry in run.tape.of("log")]
    assert logs[0] == ("DEBUG", "shop", "tea sold")
    assert logs[1] == ("ERROR", "shop", "odd \\udc80")
    assert logs[2][2].startswith("a log record that cannot be formatted")
    assert logs[3][2] == "oh [ZeroDivisionError: division by zero]"
    assert run.tape.of("log")[0].data["cause"] == run.tape.of("request")[0].data["id"]


def test_files_of_the_machine_can_be_read_by_name(stage: Stage) -> None:
    menu = "json.loads(pathlib.Path('service/menu.json').read_text())"
    service = stage.service(f"@app.post('/x')\nasync def x(): return {menu}")
    (service.root / "service" / "menu.json").write_text(json.dumps({"tea": 2}))
    assert stage.ask(service, "/x")[0].body == {"tea": 2}
