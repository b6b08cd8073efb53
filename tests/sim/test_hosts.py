"""Several hosts: calls between them, partitions, crashes, restarts, and what a disk keeps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, ConnectionLost, Host, HostFailed, Reply, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

RELAY = """
@app.post("/x")
async def x(request: Request):
    tags = request.query_params.getlist("tag")
    return {"host": request.headers["host"], "said": (await request.body()).decode(), "tags": tags}
@app.post("/relay")
async def relay():
    try:
        response = await llm.post("http://api-1/x?tag=a&tag=b%20c", content="hello", timeout=2)
        return response.json()
    except httpx.HTTPError as error:
        return type(error).__name__
@app.post("/slow")
async def slow(request: Request):
    try:
        await asyncio.sleep(5)
    finally:
        app.state.slow = time.monotonic()
@app.post("/relay-slow")
async def relay_slow():
    try:
        await llm.post("http://api-1/slow", timeout=2)
    except httpx.HTTPError as error:
        return type(error).__name__
@app.post("/drip")
async def drip(request: Request):
    async def pieces():
        try:
            for n in range(4):
                await asyncio.sleep(1)
                yield f"{n}"
        finally:
            app.state.dripped = n, time.monotonic()
    return StreamingResponse(pieces())
@app.post("/relay-drip")
async def relay_drip(most: int = 9):
    got = []
    try:
        async with llm.stream("POST", "http://api-1/drip", timeout=2) as response:
            async for piece in response.aiter_text():
                got.append(piece)
                if len(got) == most:
                    break
    except httpx.HTTPError as error:
        got.append(type(error).__name__)
    return got
@app.post("/state")
async def state():
    return app.state._state
"""


def test_a_host_calls_another_by_its_name(stage: Stage) -> None:
    answer = stage.asked(RELAY, "/relay", hosts=2).result[0]
    assert answer.body == {"host": "api-1", "said": "hello", "tags": ["a", "b c"]}


def test_a_stream_of_another_host_comes_in_pieces_and_can_be_left(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        whole = await stage.one(sim, one, "/relay-drip")
        left = await stage.one(sim, one, "/relay-drip?most=2")
        await asyncio.sleep(5)
        return whole, left, (await stage.one(sim, other, "/state")).body["dripped"]

    whole, left, dripped = stage.play(RELAY, scenario, hosts=2).result
    assert (whole.body, whole.seconds) == (["0", "1", "2", "3"], close(4))
    assert (left.body, left.seconds) == (["0", "1"], close(2))
    assert dripped == [2, close(6)]


def test_a_partition_cuts_two_hosts_off_from_each_other_and_heals(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> list[Any]:
        sim.network.partition("api-0", "api-1")
        cut = await stage.one(sim, one, "/relay")
        outside = await stage.one(sim, other, "/x")
        sim.network.heal()
        healed = await stage.one(sim, one, "/relay")
        sim.loop.call_later(1.5, sim.network.partition, "api-0", "api-1")
        return [cut, outside, healed, await stage.one(sim, one, "/relay-drip")]

    cut, outside, healed, broken = stage.play(RELAY, scenario, hosts=2).result
    assert (cut.body, cut.seconds) == ("ConnectTimeout", close(2))
    assert outside.status == 200
    assert healed.body["said"] == "hello"
    assert (broken.body, broken.seconds) == (["0", "ReadTimeout"], close(3))


def test_the_other_host_sees_that_its_caller_gave_up(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        gave_up = await stage.one(sim, one, "/relay-slow")
        await sim.until(8)
        return gave_up, len(sim.tape.of("disconnect"))

    answer, hung_up = stage.play(RELAY, scenario, hosts=2).result
    assert (answer.body, answer.seconds, hung_up) == ("ReadTimeout", close(2), 1)


@pytest.mark.parametrize(
    ("path", "at", "body"),
    [("/relay", 0.0, "ConnectError"), ("/relay-slow", 0.5, "ReadError"), ("/relay-drip", 1.5, ["0", "ReadError"])],
)
def test_a_crash_breaks_the_calls_of_the_others(stage: Stage, close: Close, path: str, at: float, body: Any) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        if at:
            sim.loop.call_later(at, other.crash)
        else:
            other.crash()
        return await stage.one(sim, one, path)

    answer = stage.play(RELAY, scenario, hosts=2).result
    assert (answer.body, answer.seconds) == (body, close(at))


COUNTER = """
memory = []
@app.post("/x")
async def x():
    memory.append(1)
    with open(data / "log", "a") as file:
        file.write("x")
    await llm.post("/c", json={})
    with open(data / "log", "a") as file:
        file.write("y")
    return [len(memory), (data / "log").read_text()]
"""


def test_a_crash_loses_the_request_in_flight_and_the_memory_but_not_the_disk(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        answering = asyncio.ensure_future(host.request("POST", "/x"))
        await asyncio.sleep(0.5)
        host.crash()
        with pytest.raises(ConnectionLost, match="crashed"):
            await answering
        with pytest.raises(ConnectionLost, match="down"):
            await host.request("POST", "/x")
        assert (host.disk / "log").read_text() == "x"
        await asyncio.sleep(10)
        await host.restart()
        return await stage.one(sim, host, "/x")

    answer = stage.play(COUNTER, scenario).result
    assert (answer.body, answer.seconds) == ([1, "xxy"], close(1))


def test_what_a_crashed_host_had_sent_is_carried_out(stage: Stage) -> None:
    billed: list[float] = []

    async def server(call: Call) -> Reply:
        await asyncio.sleep(1)
        billed.append(asyncio.get_running_loop().time())
        return Reply.json({})

    async def scenario(sim: Simulation, host: Host) -> None:
        sim.loop.call_later(0.5, host.crash)
        with pytest.raises(ConnectionLost):
            await host.request("POST", "/x")
        await asyncio.sleep(2)

    run = stage.play(COUNTER, scenario, server=server)
    assert len(billed) == 1
    assert len(run.tape.of("crash")) == 1


RESUMING = """
lives = data / "lives"
life = len(lives.read_text()) if lives.exists() else 0
lives.write_text("x" * (life + 1))
told = []

async def ask():
    told.append((await llm.post("/c", json={"life": life})).json())

async def lifespan(app):
    asking = asyncio.create_task(ask())
    yield

app = FastAPI(lifespan=contextlib.asynccontextmanager(lifespan))

@app.post("/x")
async def x():
    return told
"""


def test_a_reply_to_an_earlier_life_of_a_host_is_nobodys(stage: Stage) -> None:
    async def server(call: Call) -> Reply:
        await asyncio.sleep(1)
        return Reply.json(json.loads(call.body))

    async def scenario(sim: Simulation, host: Host) -> Any:
        for _ in range(3):  # each begins its call in the instant in which the one before crashes
            await asyncio.sleep(0.3)
            await host.restart()
        await asyncio.sleep(5)
        return (await stage.one(sim, host, "/x")).body

    assert stage.play(RESUMING, scenario, server=server).result == [{"life": 3}]


def test_who_comes_while_a_host_starts_is_refused(stage: Stage) -> None:
    slow = "time.sleep(5)\n@app.post('/x')\nasync def x(): return 1"

    async def scenario(sim: Simulation, host: Host) -> Any:
        host.crash()
        starting = asyncio.ensure_future(host.start())
        await asyncio.sleep(1)
        with pytest.raises(ConnectionLost, match="down"):
            await host.request("POST", "/x")
        await starting
        return (await stage.one(sim, host, "/x")).body

    assert stage.play(slow, scenario).result == 1


def test_a_host_that_is_down_costs_no_time_and_a_long_span_can_be_skipped(stage: Stage) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        with pytest.raises(RuntimeError, match="stop the hosts"):
            await sim.skip(days=1)
        await host.stop()
        await sim.skip(days=30)
        await host.start()
        return (await stage.one(sim, host, "/today")).body

    service = "@app.post('/today')\nasync def today(): return [str(datetime.date.today()), time.monotonic()]"
    date, monotonic = stage.play(service, scenario, horizon=60).result
    assert date == "2026-02-04"
    assert monotonic == pytest.approx(30 * 86_400, abs=0.01)


def test_hosts_live_on_disks_of_their_own_unless_they_share_one(stage: Stage) -> None:
    sim = stage.simulation()
    service = stage.service(COUNTER)
    one, other, third = sim.host("a", service), sim.host("b", service), sim.host("c", service, disk="a")
    assert one.disk == third.disk != other.disk

    async def scenario() -> list[Any]:
        for host in (one, other, third):
            await host.start()
        return [(await host.request("POST", "/x")).json()[1] for host in (one, other, third)]

    assert sim.run(scenario()) == ["xy", "xy", "xyxy"]


def test_a_host_that_cannot_start_is_the_scenarios_to_handle(stage: Stage) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        host.crash()
        (host.disk / "broken").touch()
        with pytest.raises(HostFailed) as failed:
            await host.start()
        (host.disk / "broken").unlink()
        await host.start()
        return failed.value.kind, (await stage.one(sim, host, "/x")).status

    service = (
        "if (data / 'broken').exists(): raise RuntimeError('the disk is broken')\n@app.post('/x')\nasync def x(): pass"
    )
    assert stage.play(service, scenario).result == ("app-error", 200)


STOPWATCH = """
@app.post("/slow")
async def slow():
    began = time.monotonic()
    await asyncio.sleep(5)
    return [began, time.monotonic()]
@app.post("/hold")
async def hold():
    c = sqlite3.connect(data / "d.db")
    c.execute("create table if not exists t(x)")
    c.execute("insert into t values(1)")
    await asyncio.sleep(3)
    c.commit()
@app.post("/write")
async def write():
    c = sqlite3.connect(data / "d.db", timeout=2)
    try:
        c.execute("create table if not exists t(x)")
        c.execute("insert into t values(2)")
    except sqlite3.OperationalError as error:
        return str(error)
"""


def test_a_frozen_host_goes_on_late_and_does_not_know(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        sim.loop.call_later(2, one.freeze)
        sim.loop.call_later(60, one.thaw)
        early, late = await asyncio.gather(stage.one(sim, one, "/slow"), stage.one(sim, one, "/slow at 10"))
        return early, late, (await stage.one(sim, other, "/slow")).seconds

    early, late, other = stage.play(STOPWATCH, scenario, hosts=2).result
    assert (early.body, early.seconds) == (close([0, 60]), close(60))
    assert (late.body, late.seconds) == (close([60, 65]), close(55))
    assert other == close(5)


def test_a_frozen_host_holds_its_locks_until_it_crashes(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        holding = asyncio.ensure_future(one.request("POST", "/hold"))
        await asyncio.sleep(1)
        one.freeze()
        locked = await stage.one(sim, other, "/write at 20")
        one.crash()
        with pytest.raises(ConnectionLost, match="crashed"):
            await holding
        free = await stage.one(sim, other, "/write")
        await one.start()
        return locked, free, (await stage.one(sim, one, "/slow")).seconds

    locked, free, again = stage.play(STOPWATCH, scenario, hosts=2).result
    assert (locked.body, locked.seconds) == ("database is locked", close(2))
    assert (free.body, again) == (None, close(5))


def test_who_comes_before_a_host_listens_is_refused(stage: Stage) -> None:
    """A host that starts on a disk that others use hands over before each statement, and others go on meanwhile."""
    service = """
        setup = sqlite3.connect(data / "d.db", isolation_level=None)
        for n in range(20):
            setup.execute(f"create table if not exists t{n}(x)")
        @app.post("/x")
        async def x():
            return "served"
        """

    async def scenario(sim: Simulation, one: Host, other: Host) -> Any:
        one.crash()
        starting = asyncio.ensure_future(one.start())
        answers = [await stage.one(sim, one, "/x")]
        while not starting.done():
            await asyncio.sleep(1e-5)
            answers.append(await stage.one(sim, one, "/x"))
        return [answer.body for answer in answers], (await stage.one(sim, other, "/x")).body

    answers, other = stage.play(service, scenario, hosts=2).result
    assert (set(answers), answers[0], answers[-1]) == ({"api-0 is down", "served"}, "api-0 is down", "served")
    assert other == "served"
