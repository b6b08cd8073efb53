"""The clocks of a host: they agree, they stand still or move with the simulation, and only wall time can be stepped."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Host, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

START = datetime.datetime(2026, 1, 5, 9, tzinfo=datetime.UTC)

BERLIN = "datetime.datetime.now(zoneinfo.ZoneInfo('Europe/Berlin'))"

READINGS = {
    "time.time()": START.timestamp(),
    "time.time_ns() / 1e9": START.timestamp(),
    "time.clock_gettime(time.CLOCK_REALTIME)": START.timestamp(),
    "from_time_import_time()": START.timestamp(),
    "datetime.datetime.now().timestamp()": START.timestamp(),
    "datetime.datetime.utcnow().replace(tzinfo=datetime.UTC).timestamp()": START.timestamp(),
    "datetime.datetime.now(datetime.UTC).timestamp()": START.timestamp(),
    "datetime.datetime.today().timestamp()": START.timestamp(),
    f"{BERLIN}.timestamp()": START.timestamp(),
    "calendar.timegm(time.gmtime())": START.timestamp(),
    "time.mktime(time.localtime())": START.timestamp(),
    "uuid.uuid1().time / 1e7 - 12219292800": START.timestamp(),
    "email.utils.mktime_tz(email.utils.parsedate_tz(email.utils.formatdate()))": START.timestamp(),
    "sqlite3.connect(':memory:').execute(\"select unixepoch('now')\").fetchone()[0]": START.timestamp(),
    "logging.makeLogRecord({}).created": START.timestamp(),
    "time.monotonic()": 0,
    "time.monotonic_ns() / 1e9": 0,
    "time.perf_counter()": 0,
    "time.perf_counter_ns() / 1e9": 0,
    "time.clock_gettime(time.CLOCK_MONOTONIC)": 0,
    "time.process_time()": 0,
    "time.thread_time_ns() / 1e9": 0,
    "timeit.default_timer()": 0,
    "asyncio.get_running_loop().time()": 0,
    "anyio.current_time()": 0,
    "logging.makeLogRecord({}).relativeCreated / 1000": 0,
}


@pytest.mark.parametrize("at", [0, 3.25])
def test_every_clock_that_python_has_is_the_hosts(stage: Stage, at: float) -> None:
    service = stage.service(
        f"""
        @app.post("/x")
        async def x():
            return [{", ".join(READINGS)}]
        """,
        top="import calendar, email.utils, timeit, zoneinfo\nfrom time import time as from_time_import_time",
    )
    (answer,) = stage.ask(service, f"/x at {at}")
    for (reading, origin), value in zip(READINGS.items(), answer.body, strict=True):
        slack = 1 if any(word in reading for word in ("gmtime", "localtime", "formatdate", "unixepoch")) else 0.001
        assert abs(value - (origin + at)) <= slack, reading


def test_dates_and_their_texts_follow(stage: Stage) -> None:
    (answer,) = stage.ask(
        f"""
        @app.post("/x")
        async def x():
            log = logging.Formatter("%(asctime)s").format(logging.makeLogRecord({{}}))
            return [
                str(datetime.date.today()), {BERLIN}.isoformat(timespec="seconds"), time.strftime("%H:%M:%S"),
                time.ctime(), time.asctime(), log, email.utils.formatdate(),
                isinstance(datetime.datetime.now(), datetime.datetime),
            ]
        """,
        f"/x at {15 * 3600}",
        top="import email.utils, zoneinfo",
        horizon=86_400,
    )
    assert answer.body == [
        "2026-01-06", "2026-01-06T01:00:00+01:00", "00:00:00", "Tue Jan  6 00:00:00 2026", "Tue Jan  6 00:00:00 2026",
        "2026-01-06 00:00:00,000", "Tue, 06 Jan 2026 00:00:00 -0000", True,
    ]  # fmt: skip


def test_models_with_dates_work_in_and_out(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x(event: Event) -> Event:
            assert event.at < datetime.datetime.now(datetime.UTC)
            return event.model_copy(update={"day": datetime.date.today(), "seen": datetime.datetime.now(datetime.UTC)})
        @app.post("/now")
        async def now() -> Event:
            return Event(at=datetime.datetime.now(datetime.UTC), day=datetime.date.today(), every=datetime.timedelta(1))
        @app.post("/schema")
        async def schema():
            properties = app.openapi()["components"]["schemas"]["Event"]["properties"]
            return [each["format"] for each in properties.values() if "format" in each]
        """,
        top="""
        import pydantic
        class Event(pydantic.BaseModel):
            at: datetime.datetime
            day: datetime.date
            every: datetime.timedelta = datetime.timedelta(hours=1)
            seen: datetime.datetime | None = None
            made: datetime.datetime = pydantic.Field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
        """,
    )

    async def scenario(_: Simulation, host: Host) -> list[Any]:
        event = {"at": "2025-12-31T23:59:59Z", "day": "2025-12-31"}
        one = await host.request("POST", "/x", json=event)
        return [one.json(), (await host.request("POST", "/now")).json(), (await host.request("POST", "/schema")).json()]

    given, made, formats = stage.play(service, scenario).result
    assert (given["at"], given["day"], given["every"]) == ("2025-12-31T23:59:59Z", "2026-01-05", "PT1H")
    assert given["seen"].startswith(given["made"][:19])
    assert made["at"].startswith("2026-01-05T09:00:00")
    assert (made["day"], made["every"]) == ("2026-01-05", "P1D")
    assert formats == ["date-time", "date", "duration", "date-time"]


def test_a_step_of_the_wall_clock_moves_no_other_and_survives_a_restart(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, host: Host) -> list[Any]:
        async def look() -> Any:
            return (await stage.one(sim, host, "/x")).body

        seen = [await look()]
        sleeping = asyncio.ensure_future(stage.one(sim, host, "/sleep"))
        await asyncio.sleep(1)
        host.set_wall_clock(-3600)
        seen.append(await look())
        assert (await sleeping).seconds == close(2)
        await host.restart()
        seen.append(await look())
        host.set_wall_clock(0)
        return [*seen, await look()]

    wall, mono, perf, loop = zip(
        *stage.play(
            """
            @app.post("/x")
            async def x():
                loop = asyncio.get_running_loop()
                return [time.time(), time.monotonic(), time.perf_counter(), loop.time()]
            @app.post("/sleep")
            async def sleep():
                await asyncio.sleep(2)
            """,
            scenario,
        ).result,
        strict=True,
    )
    start = START.timestamp()
    assert wall == close([start, start + 1 - 3600, start + 2 - 3600, start + 2])
    for clock in (mono, perf, loop):
        assert clock == close([0, 1, 2, 2])


def test_two_hosts_can_disagree_about_the_time_of_day(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> list[float]:
        other.set_wall_clock(90)
        return [(await stage.one(sim, host, "/x")).body for host in (one, other)]

    run = stage.play("@app.post('/x')\nasync def x(): return time.time()", scenario, hosts=2)
    assert run.result == close([START.timestamp(), START.timestamp() + 90])


def test_monotonic_clocks_never_go_back_whoever_looks(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            seen = []
            def look():
                for _ in range(50):
                    seen.append(time.monotonic())
                    seen.append(time.perf_counter())
                    time.sleep(0.001)
            threads = [threading.Thread(target=look) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(50):
                seen.append(asyncio.get_running_loop().time())
                await asyncio.sleep(0.001)
            for thread in threads:
                thread.join()
            return seen == sorted(seen) and len(set(seen)) == len(seen)
        """,
        "/x",
    )
    assert answer.body is True
