"""httpx's four time-outs, its errors, and its connection limits: async and sync, on the loop and in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, Hangup, Host, Reply, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

TIMES = "timeout=httpx.Timeout(connect=1, read=2, write=3, pool=4)"

CALLERS = {
    "async on the loop": f"async def x():\n    return await outcome(lambda: llm.post('/c', json={{}}, {TIMES}))",
    "sync on the loop": f"async def x():\n    return outcome_sync(lambda: sync_llm.post('/c', json={{}}, {TIMES}))",
    "sync in a thread": f"def x():\n    return outcome_sync(lambda: sync_llm.post('/c', json={{}}, {TIMES}))",
    "sync in to_thread": (
        "async def x():\n"
        f"    return await asyncio.to_thread(outcome_sync, lambda: sync_llm.post('/c', json={{}}, {TIMES}))"
    ),
    "async in a thread's loop": (
        "def x():\n"
        "    async def work():\n"
        f"        async with httpx.AsyncClient(base_url='https://llm.test', {TIMES}) as client:\n"
        "            return await outcome(lambda: client.post('/c', json={}))\n"
        "    return asyncio.run(work())"
    ),
}

OUTCOMES = """
async def outcome(call):
    try:
        return (await call()).json()
    except httpx.HTTPError as error:
        return type(error).__name__
def outcome_sync(call):
    try:
        return call().json()
    except httpx.HTTPError as error:
        return type(error).__name__
"""

callers = pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS.keys())


async def connect_hang(_: Call) -> Reply:
    raise Hangup("connect-hang")


async def write_hang(_: Call) -> Reply:
    raise Hangup("write-hang")


async def refused(_: Call) -> Reply:
    raise Hangup("refused")


async def reset(_: Call) -> Reply:
    await asyncio.sleep(0.5)
    raise Hangup("reset")


async def never(call: Call) -> Reply:
    await call.closed.wait()
    return Reply()


async def broken_off(_: Call) -> Reply:
    async def body() -> Any:
        yield b'{"half'
        await asyncio.sleep(1)
        raise Hangup("reset")

    return Reply(200, {}, body())


async def stalled(_: Call) -> Reply:
    async def body() -> Any:
        yield b'{"half'
        await asyncio.sleep(60)

    return Reply(200, {}, body())


@callers
@pytest.mark.parametrize(
    ("server", "error", "seconds"),
    [
        (connect_hang, "ConnectTimeout", 1),
        (never, "ReadTimeout", 2),
        (stalled, "ReadTimeout", 2),
        (write_hang, "WriteTimeout", 3),
        (refused, "ConnectError", 0),
        (reset, "ReadError", 0.5),
        (broken_off, "ReadError", 1),
    ],
)
def test_what_goes_wrong_below_http_is_httpxs_own_error_after_its_own_time_out(
    stage: Stage, close: Close, caller: str, server: Any, error: str, seconds: float
) -> None:
    (answer,) = stage.ask(f"{OUTCOMES}@app.post('/x')\n{caller}", "/x", server=server)
    assert (answer.body, answer.seconds) == (error, close(seconds))


@callers
def test_a_name_that_nobody_has_is_a_connect_error(stage: Stage, caller: str) -> None:
    elsewhere = caller.replace("'/c'", "'https://nobody.test/c'")
    (answer,) = stage.ask(f"{OUTCOMES}@app.post('/x')\n{elsewhere}", "/x")
    assert answer.body == "ConnectError"


@callers
def test_a_partition_is_a_connect_time_out_and_ends_when_healed(stage: Stage, close: Close, caller: str) -> None:
    async def scenario(sim: Simulation, host: Host) -> list[Any]:
        sim.network.partition("api-0", "llm.test")
        first = await stage.one(sim, host, "/x")
        sim.network.heal()
        return [first, await stage.one(sim, host, "/x")]

    cut, healed = stage.play(f"{OUTCOMES}@app.post('/x')\n{caller}", scenario).result
    assert (cut.body, cut.seconds) == ("ConnectTimeout", close(1))
    assert (healed.body, healed.seconds) == ({"ok": True}, close(1))


@callers
def test_an_answer_lost_in_a_partition_is_a_read_time_out(stage: Stage, close: Close, caller: str) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        sim.loop.call_later(0.5, sim.network.partition, "api-0", "llm.test")
        return await stage.one(sim, host, "/x")

    answer = stage.play(f"{OUTCOMES}@app.post('/x')\n{caller}", scenario).result
    assert (answer.body, answer.seconds) == ("ReadTimeout", close(2))


@pytest.mark.parametrize(
    ("kind", "call"),
    [("async def", "await one.post('/c', json={})"), ("def", "one_sync.post('/c', json={})")],
    ids=["async", "sync"],
)
def test_the_third_of_three_calls_waits_for_a_connection_until_the_pool_time_out(
    stage: Stage, close: Close, kind: str, call: str
) -> None:
    service = f"""
    limits = dict(limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(30, pool=1.5), base_url="https://llm.test")
    one, one_sync = httpx.AsyncClient(**limits), httpx.Client(**limits)
    @app.post("/x")
    {kind} x():
        try:
            return ({call}).json()
        except httpx.PoolTimeout:
            return "PoolTimeout"
    """
    answers = stage.ask(service, "/x", "/x", "/x")
    assert sorted(str(answer.body) for answer in answers) == ["PoolTimeout", "{'ok': True}", "{'ok': True}"]
    assert sorted(answer.seconds for answer in answers) == close([1, 1.5, 2])


def test_a_bulkhead_of_two_lets_two_through_and_gets_its_slots_back(stage: Stage, close: Close) -> None:
    """After time-outs, cancellations and streams that were left early, two connections are still two."""
    most = 0

    async def server(call: Call) -> Reply:
        nonlocal most
        open_now.append(call.id)
        most = max(most, len(open_now))
        try:
            async with asyncio.timeout(5 if call.path == "/slow" else 1):
                await call.closed.wait()
        except TimeoutError:
            pass
        open_now.remove(call.id)
        return Reply(200, {}, b"{}")

    open_now: list[int] = []
    answers = stage.asked(
        """
        two = httpx.AsyncClient(
            base_url="https://llm.test", limits=httpx.Limits(max_connections=2), timeout=httpx.Timeout(2, pool=None)
        )
        @app.post("/fast")
        async def fast():
            return (await two.get("/fast")).json()
        @app.post("/slow")
        async def slow():
            try:
                await two.get("/slow")
            except httpx.ReadTimeout:
                return "ReadTimeout"
        @app.post("/cancelled")
        async def cancelled():
            try:
                async with asyncio.timeout(0.5):
                    await two.get("/slow")
            except TimeoutError:
                return "TimeoutError"
        @app.post("/streamed")
        async def streamed():
            async with two.stream("GET", "/fast") as response:
                return response.status_code
        @app.post("/waiting")
        async def waiting():
            calls = [asyncio.create_task(two.get("/fast")) for _ in range(6)]
            await asyncio.sleep(0.1)
            for call in calls[2:5]:
                call.cancel()
            return [type(each).__name__ for each in await asyncio.gather(*calls, return_exceptions=True)]
        """,
        *["/slow", "/slow", "/cancelled at 4", "/cancelled at 4", "/streamed at 5", "/streamed at 5"],
        *["/waiting at 10", *["/fast at 20"] * 6],
        server=server,
    ).result
    assert [answer.body for answer in answers[:6]] == ["ReadTimeout"] * 2 + ["TimeoutError"] * 2 + [200] * 2
    assert sorted(answers[6].body) == ["CancelledError"] * 3 + ["Response"] * 3
    # three are left, two at a time; if those that were cancelled had the slots, they begin when these are free
    assert answers[6].seconds in (close(2), close(2.1))
    assert sorted(answer.seconds for answer in answers[7:]) == close([1, 1, 2, 2, 3, 3])
    assert most == 2


def test_a_reply_lost_after_billing_is_a_read_time_out_and_billed_twice_by_a_retry(stage: Stage) -> None:
    billed: list[str] = []

    async def server(call: Call) -> Reply:
        billed.append(call.headers["idempotency-key"])
        if len(billed) == 1:
            await call.closed.wait()
        return Reply.json({"charge": len(billed)})

    (answer,) = stage.asked(
        """
        @app.post("/x")
        async def x():
            for _ in range(2):
                try:
                    return (await llm.post("/charge", headers={"Idempotency-Key": "k"}, timeout=2)).json()
                except httpx.ReadTimeout:
                    pass
        """,
        "/x",
        server=server,
    ).result
    assert answer.body == {"charge": 2}
    assert billed == ["k", "k"]


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("await asyncio.wait_for(asyncio.Event().wait(), 2)", 2),
        ("await asyncio.wait_for(llm.post('/c', json={}), 0.5)", 0.5),
        ("await asyncio.wait({asyncio.create_task(asyncio.sleep(9))}, timeout=2)", 2),
        ("with anyio.fail_after(2): await anyio.sleep(9)", 2),
        ("await asyncio.to_thread(threading.Lock().acquire) and None; await asyncio.sleep(2)", 2),
        ("await asyncio.to_thread(threading.Condition(threading.Lock()).__enter__); await asyncio.sleep(1)", 1),
        ("await asyncio.to_thread(threading.Semaphore(0).acquire, timeout=2)", 2),
        ("await asyncio.to_thread(threading.Barrier(2, timeout=2).wait)", 2),
        ("await asyncio.to_thread(queue.LifoQueue().get, timeout=2)", 2),
        ("await asyncio.to_thread(concurrent.futures.wait, [concurrent.futures.Future()], 2)", 2),
        ("thread = threading.Thread(target=time.sleep, args=(9,)); thread.start(); thread.join(2)", 2),
        ("await asyncio.get_running_loop().run_in_executor(concurrent.futures.ThreadPoolExecutor(), time.sleep, 2)", 2),
        ("e = asyncio.Event(); asyncio.get_running_loop().call_at(time.monotonic() + 2, e.set); await e.wait()", 2),
        ("async with asyncio.timeout(2): await asyncio.get_running_loop().create_future()", 2),
        ("async with asyncio.timeout(float('inf')): await asyncio.to_thread(time.sleep, 2)", 2),
        ("import sched; s = sched.scheduler(); s.enter(2, 1, print); await asyncio.to_thread(s.run)", 2),
    ],
)
def test_every_way_to_wait_takes_its_virtual_time(stage: Stage, close: Close, wait: str, seconds: float) -> None:
    head = wait.split(":")[0] + ":" if wait.startswith(("with", "async with")) else "if True:"
    body = wait.removeprefix(head).strip()
    (answer,) = stage.ask(
        f"""
        @app.post("/x")
        async def x():
            try:
                {head}
                    {body}
            except (TimeoutError, asyncio.TimeoutError, queue.Empty, threading.BrokenBarrierError):
                pass
        """,
        "/x",
    )
    assert (answer.status, answer.seconds) == (200, close(seconds))
