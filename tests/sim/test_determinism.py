"""One seed, one tape, in this process and in the next; another seed, another order, which is how races are seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, Forkserver, Host, Reply, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

RETRIES = """
llm = httpx.AsyncClient(base_url="https://llm.test", limits=httpx.Limits(max_connections=None))
@app.post("/ask")
async def ask():
    for attempt in range(4):
        try:
            return (await llm.post("/c", json={"attempt": attempt}, timeout=3)).json()
        except httpx.TimeoutException:
            await asyncio.sleep(random.uniform(0.5, 1) * 2 ** attempt)
    return {"gave": "up"}
"""

THREADS = """
jobs, lock, done = queue.Queue(), threading.Lock(), threading.Condition()
results = {}
def work():
    while True:
        number = jobs.get()
        with lock:
            time.sleep(0.01)
        answer = sync_llm.post("/c", json={"n": number}, timeout=9).json()
        with done:
            results[number] = answer
            done.notify_all()
for _ in range(7):
    threading.Thread(target=work, daemon=True).start()
@app.post("/ask")
def ask():
    number = str(uuid.uuid4())
    jobs.put(number)
    with done:
        done.wait_for(lambda: number in results, timeout=30)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(time.sleep, [0.1, 0.2, 0.3]))
    print(number)
    logging.info("answered %s", number)
    return results[number]
"""

CHECK_THEN_ACT = """
path = data / "d.db"
connection = sqlite3.connect(path)
connection.execute("create table if not exists seen(key)")
connection.commit()
@app.post("/ask")
async def ask():
    if connection.execute("select 1 from seen where key = 'a'").fetchone():
        return {"ran": False}
    connection.execute("insert into seen values('a')")
    connection.commit()
    return {"ran": True}
"""


@pytest.mark.parametrize(
    ("endpoints", "requests", "hosts"),
    [
        pytest.param(RETRIES, 200, 1, id="200 requests, four attempts each"),
        pytest.param(THREADS, 40, 1, id="threads, queues, locks and pools"),
        pytest.param(CHECK_THEN_ACT, 40, 4, id="four hosts on one SQLite file"),
    ],
)
def test_eight_runs_of_one_seed_have_one_tape(stage: Stage, endpoints: str, requests: int, hosts: int) -> None:
    service = stage.service(endpoints)
    runs = [stage.asked(service, *["/ask"] * requests, hosts=hosts, server=_slow_at_first()) for _ in range(8)]
    assert {answer.status for answer in runs[0].result} == {200}
    assert len({run.tape.digest() for run in runs}) == 1
    other = stage.asked(service, *["/ask"] * requests, hosts=hosts, server=_slow_at_first(), seed=2)
    assert other.tape.digest() != runs[0].tape.digest()


def test_a_replay_in_another_process_has_the_same_tape(stage: Stage) -> None:
    service = stage.service(THREADS)
    replay = type(stage)(Forkserver.launch(seed=1), stage.folder)
    try:
        tapes = [each.asked(service, *["/ask"] * 20, server=_slow_at_first()).tape.digest() for each in (stage, replay)]
    finally:
        replay.forkserver.close()
    assert tapes[0] == tapes[1]


def test_200_requests_of_four_attempts_take_virtual_seconds_and_hardly_any_real_ones(stage: Stage) -> None:
    async def never(call: Call) -> Reply:
        await call.closed.wait()
        return Reply()

    run = stage.asked(RETRIES, *["/ask"] * 200, server=never)
    assert [answer.body for answer in run.result] == [{"gave": "up"}] * 200
    assert all(4 * 3 + 0.5 * 15 <= answer.seconds <= 4 * 3 + 15.01 for answer in run.result)
    assert len(run.tape.of("call")) == len(run.tape.of("abort", "call-failed")) == 800


def test_seeds_show_a_check_then_act_between_hosts(stage: Stage) -> None:
    service = stage.service(CHECK_THEN_ACT)
    raced = 0
    for seed in range(40):
        answers = stage.asked(service, "/ask", "/ask", hosts=2, seed=seed).result
        raced += sum(answer.body["ran"] for answer in answers) > 1
    assert 5 <= raced <= 38


def test_seeds_show_a_check_then_act_across_an_await(stage: Stage) -> None:
    """The refund overtakes the charge only in some orders, and never in the order of arrival."""
    service = stage.service(
        """
        state = {"charged": False, "refunded": False}
        @app.post("/charge")
        async def charge():
            for _ in range(3):
                await asyncio.sleep(0)
            if not state["refunded"]:
                state["charged"] = True
        @app.post("/refund")
        async def refund():
            for _ in range(3):
                await asyncio.sleep(0)
            if not state["charged"]:
                return "nothing to refund"
            state["refunded"] = True
        """
    )
    lost = sum(
        stage.asked(service, "/charge", "/refund", seed=seed).result[1].body == "nothing to refund"
        for seed in range(40)
    )
    assert 8 <= lost <= 32


def test_tasks_of_one_instant_run_in_an_order_of_the_seed_but_callbacks_in_theirs(stage: Stage) -> None:
    service = stage.service(
        """
        async def note(order, number):
            await asyncio.sleep(0)
            order.append(number)
        @app.post("/tasks")
        async def tasks():
            order = []
            await asyncio.gather(*(note(order, number) for number in range(6)))
            return order
        @app.post("/callbacks")
        async def callbacks():
            order, loop = [], asyncio.get_running_loop()
            for number in range(6):
                loop.call_soon(order.append, number)
            await asyncio.sleep(0.1)
            return order
        """
    )
    orders = set()
    for seed in range(10):
        tasks, callbacks = stage.ask(service, "/tasks", "/callbacks", seed=seed)
        assert callbacks.body == [0, 1, 2, 3, 4, 5]
        assert sorted(tasks.body) == [0, 1, 2, 3, 4, 5]
        orders.add(tuple(tasks.body))
    assert len(orders) >= 8


RANDOMNESS = """
import secrets
@app.post("/draw")
async def draw():
    return [
        random.random(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8).hex(), secrets.token_hex(8),
        secrets.SystemRandom().random(), random.Random().random(), os.getpid(), len(threading.enumerate()),
    ]
"""


def test_all_randomness_comes_from_the_seed(stage: Stage) -> None:
    service = stage.service(RANDOMNESS)
    one, again, other = (stage.ask(service, "/draw", "/draw", seed=seed) for seed in (1, 1, 2))
    assert one == again
    for here, there in zip(one[0].body[:7], other[0].body[:7], strict=True):
        assert here != there
    for first, second in zip(one[0].body[:7], one[1].body[:7], strict=True):
        assert first != second


def test_each_host_and_each_life_draws_its_own_numbers(stage: Stage) -> None:
    async def scenario(sim: Simulation, one: Host, other: Host) -> list[list[object]]:
        drawn = [(await host.request("POST", "/draw")).json() for host in (one, other)]
        await asyncio.sleep(1)
        await one.restart()
        return [*drawn, (await one.request("POST", "/draw")).json()]

    drawn = stage.play(RANDOMNESS, scenario, hosts=2).result
    for column in list(zip(*drawn, strict=True))[:8]:
        assert len(set(column)) == 3


def test_the_hash_of_text_is_another_in_each_process(stage: Stage) -> None:
    service = """
        import dataclasses

        @dataclasses.dataclass(frozen=True)
        class Name:
            text: str

        @app.post("/h")
        async def h():
            text = "brownout"
            assert {Name(text): 1}[Name(text)] == 1
            assert hash(text) == hash("".join(text))
            return [hash(each) for each in (text, text.encode(), (text, 1), ((text,),), Name(text), 1, 0.5, (1, 2))]
    """

    async def scenario(sim: Simulation, one: Host, other: Host) -> list[list[int]]:
        said = [(await host.request("POST", "/h")).json() for host in (one, other, one)]
        await one.restart()
        return [*said, (await one.request("POST", "/h")).json()]

    one, other, still, again = stage.play(service, scenario, hosts=2).result
    assert one == still
    assert stage.play(service, scenario, hosts=2).result[0] == one
    for column in list(zip(one, other, again, strict=True))[:5]:
        assert len(set(column)) == 3
    assert one[5:] == other[5:] == again[5:] == [hash(1), hash(0.5), hash((1, 2))]


def test_the_order_of_sets_is_the_forkservers(stage: Stage) -> None:
    service = stage.service("@app.post('/h')\nasync def h(): return list({'a', 'b', 'c', 'd', 'e'})")
    same = [stage.ask(service, "/h", seed=seed)[0].body for seed in (1, 2)]
    assert same[0] == same[1]
    elsewhere = type(stage)(Forkserver.launch(seed=2), stage.folder)
    try:
        assert elsewhere.ask(service, "/h")[0].body != same[0]
    finally:
        elsewhere.forkserver.close()


def _slow_at_first() -> Callable[[Call], Any]:
    """Answers after 1 to 5 s, which the calls' order decides."""
    served = iter(range(10**6))

    async def server(call: Call) -> Reply:
        await asyncio.sleep(1 + next(served) % 5)
        return Reply.json({"ok": True})

    return server
