"""Thirty services that learners would naturally write, and what each must answer in virtual time.

`Stage.ask` plays each twice, and wants one tape. The provider at llm.test takes one second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import HostFailed

if TYPE_CHECKING:
    from tests.sim.conftest import Answer, Stage

Close = Callable[..., Any]

REAL_WORK = """
def work():
    import hashlib
    for _ in range(150):
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2000)
    return 1
"""


def seconds(answers: list[Answer]) -> list[float]:
    assert {answer.status for answer in answers} == {200}, answers
    return [answer.seconds for answer in answers]


def test_01_five_sleeps_in_threads_run_side_by_side(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        @app.post("/x")
        async def x():
            await asyncio.to_thread(time.sleep, 1)
            return {"t": time.monotonic()}
        """,
        *["/x"] * 5,
    )
    assert seconds(answers) == close([1] * 5)
    assert [answer.body["t"] for answer in answers] == close([1] * 5)


def test_02_real_work_in_a_thread_beats_any_virtual_time_out(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        @app.post("/x")
        async def x():
            return {"r": await asyncio.wait_for(asyncio.to_thread(work), 5)}
        """,
        *["/x"] * 2,
        top=REAL_WORK,
    )
    assert [answer.body for answer in answers] == [{"r": 1}] * 2
    assert seconds(answers) == close([0, 0])


def test_03_real_work_in_a_thread_is_waited_for_when_nothing_else_is_pending(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            return {"r": await asyncio.to_thread(work)}
        """,
        "/x",
        top=REAL_WORK,
    )
    assert (answer.body, answer.seconds) == ({"r": 1}, close(0))


def test_04_sync_calls_in_an_executor_run_side_by_side(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        @app.post("/x")
        async def x():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, lambda: sync_llm.post("/c", json={}, timeout=3).json())
        """,
        *["/x"] * 5,
    )
    assert [answer.body for answer in answers] == [{"ok": True}] * 5
    assert seconds(answers) == close([1] * 5)


def test_05_a_lock_held_across_a_call_makes_the_second_wait(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        lock = threading.Lock()
        @app.post("/x")
        def x():
            with lock:
                return sync_llm.post("/c", json={}, timeout=3).json()
        """,
        *["/x"] * 2,
    )
    assert sorted(seconds(answers)) == close([1, 2])


def test_06_an_empty_queue_is_waited_at_for_its_time_out(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        def x():
            began = time.monotonic()
            try:
                queue.Queue().get(timeout=2)
            except queue.Empty:
                return {"waited": time.monotonic() - began}
        """,
        "/x",
    )
    assert (answer.seconds, answer.body["waited"]) == close([2, 2])
    assert answer.body["waited"] >= 2


def test_07_a_timer_fires_before_a_later_look(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        flag = []
        @app.post("/x")
        async def x():
            threading.Timer(1, lambda: flag.append(1)).start()
            await asyncio.sleep(2)
            return {"fired": bool(flag)}
        """,
        "/x",
    )
    assert (answer.body, answer.seconds) == ({"fired": True}, close(2))


def test_08_an_event_that_nobody_sets_is_waited_for(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        def x():
            began = time.monotonic()
            return {"set": threading.Event().wait(1), "waited": time.monotonic() - began}
        """,
        "/x",
    )
    assert answer.body["set"] is False
    assert (answer.seconds, answer.body["waited"]) == close([1, 1])


def test_09_one_worker_thread_serves_three_requests_one_by_one(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        jobs = queue.Queue()
        def worker():
            while True:
                future = jobs.get()
                time.sleep(1)
                future.set_result(7)
        threading.Thread(target=worker, daemon=True).start()
        @app.post("/x")
        def x():
            future = concurrent.futures.Future()
            jobs.put(future)
            return {"r": future.result(timeout=30)}
        """,
        *["/x"] * 3,
    )
    assert [answer.body for answer in answers] == [{"r": 7}] * 3
    assert sorted(seconds(answers)) == close([1, 2, 3])


def test_10_a_thread_pool_makes_five_sync_calls_at_once(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        def x():
            with concurrent.futures.ThreadPoolExecutor(5) as pool:
                return {"r": list(pool.map(lambda _: sync_llm.post("/c", json={}, timeout=9).json(), range(5)))}
        """,
        "/x",
    )
    assert (answer.body, answer.seconds) == ({"r": [{"ok": True}] * 5}, close(1))


def test_11_asyncio_run_works_in_a_threads_endpoint(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        async def work():
            await asyncio.sleep(1)
            return 3
        @app.post("/x")
        def x():
            return {"r": asyncio.run(work())}
        """,
        "/x",
    )
    assert (answer.body, answer.seconds) == ({"r": 3}, close(1))


def test_12_the_reply_does_not_wait_for_a_background_task(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        ended = []
        async def later():
            await asyncio.sleep(5)
            ended.append(time.monotonic())
        @app.post("/x")
        async def x(background: BackgroundTasks):
            background.add_task(later)
            return {}
        @app.post("/ended")
        async def _():
            return ended
        """,
        "/x",
        "/ended at 6",
    )
    assert answers[0].seconds == close(0)
    assert answers[1].body == close([5])


def test_13_all_clocks_agree_in_threads_and_on_the_loop(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        def clocks():
            return {
                "time": time.time(), "now": datetime.datetime.now().timestamp(),
                "mono": time.monotonic(), "perf": time.perf_counter(),
            }
        @app.post("/def")
        def x():
            return clocks()
        @app.post("/thread")
        async def y():
            out = []
            thread = threading.Thread(target=lambda: out.append(clocks()))
            thread.start()
            thread.join()
            return out[0]
        @app.post("/to_thread")
        async def z():
            return await asyncio.to_thread(clocks)
        """,
        "/def at 0",
        "/thread at 1",
        "/to_thread at 2",
    )
    start = 1_767_603_600  # Monday, 5 January 2026, 09:00 UTC
    for at, answer in enumerate(answers):
        assert (answer.body["time"], answer.body["now"]) == close([start + at] * 2)
        assert (answer.body["mono"], answer.body["perf"]) == close([at] * 2)


def test_14_a_deadline_on_the_monotonic_clock_is_one_on_the_loops(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            try:
                async with asyncio.timeout_at(time.monotonic() + 2):
                    await asyncio.sleep(60)
            except TimeoutError:
                return {"r": "timed out"}
        """,
        "/x",
    )
    assert (answer.body, answer.seconds) == ({"r": "timed out"}, close(2))


def test_15_nobody_wakes_early(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            early = 0
            for _ in range(250):
                for clock in (time.monotonic, time.time):
                    pause, began = random.uniform(.001, .5), clock()
                    await asyncio.sleep(pause)
                    early += clock() - began < pause - (1e-6 if clock is time.time else 0)
            return {"early": early}
        """,
        "/x",
    )
    assert answer.body == {"early": 0}


def test_16_a_busy_wait_on_the_clock_ends(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            end = time.monotonic() + .01
            while time.monotonic() < end:
                await asyncio.sleep(0)
            return {}
        """,
        "/x",
    )
    assert (answer.status, answer.seconds) == (200, close(0.01))


def test_17_a_request_without_an_answer_ends_at_the_horizon_which_names_its_line(stage: Stage) -> None:
    service = stage.service(
        """
        async def beat():
            while True:
                await asyncio.sleep(1)
        @app.post("/x")
        async def x():
            app.state.beat = asyncio.create_task(beat())
            await asyncio.Event().wait()  # here
        """
    )
    with pytest.raises(HostFailed) as failed:
        stage.ask(service, "/x", horizon=60)
    assert failed.value.kind == "horizon"
    assert "60 s of virtual time" in failed.value.text
    assert stage.line(service) in failed.value.text


def test_18_two_connections_let_two_through_and_the_others_time_out_at_the_pool(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        limited = httpx.AsyncClient(
            base_url="https://llm.test", limits=httpx.Limits(max_connections=2), timeout=httpx.Timeout(30, pool=1.5)
        )
        @app.post("/x")
        async def x():
            began = time.monotonic()
            found = await asyncio.gather(*(limited.post("/c", json={}) for _ in range(10)), return_exceptions=True)
            return {"took": time.monotonic() - began, "kinds": sorted(type(each).__name__ for each in found)}
        """,
        "/x",
    )
    assert answer.body["took"] == close(2)
    assert answer.body["kinds"] == ["PoolTimeout"] * 6 + ["Response"] * 4


def test_19_another_process_is_refused_at_the_line_that_starts_it(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x():
            import multiprocessing
            process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1,))
            process.start()  # here
            return {"alive": process.is_alive()}
        """
    )
    run = stage.asked(service, "/x")
    assert run.result[0].status == 500
    (escape,) = run.tape.of("escape")
    assert escape.data["where"][0] == stage.line(service)
    assert "another process" in escape.data["text"]


def test_20_anyio_groups_locks_and_scopes_keep_virtual_time(stage: Stage, close: Close) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            lock, got = asyncio.Lock(), []
            async def enter(number):
                async with lock:
                    await anyio.sleep(1)
                    got.append(number)
            with anyio.move_on_after(3.5):
                async with anyio.create_task_group() as group:
                    for number in range(10):
                        group.start_soon(enter, number)
            return {"got": got}
        """,
        "/x",
    )
    assert len(set(answer.body["got"])) == 3
    assert answer.seconds == close(3.5)


def test_21_stamina_and_tenacity_wait_in_virtual_time(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        import stamina, tenacity
        @stamina.retry(on=ValueError, attempts=3, wait_jitter=0, wait_initial=1)
        async def doubling():
            raise ValueError
        @tenacity.retry(stop=tenacity.stop_after_delay(5), wait=tenacity.wait_fixed(1), reraise=True)
        def steady():
            raise ValueError
        @app.post("/stamina")
        async def x():
            try:
                await doubling()
            except ValueError:
                return {}
        @app.post("/tenacity")
        def y():
            try:
                steady()
            except ValueError:
                return {}
        """,
        "/stamina",
        "/tenacity",
    )
    assert seconds(answers) == close([1 + 2, 5])


def test_22_the_clocks_of_sqlite_and_of_files_are_virtual(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            connection, file = sqlite3.connect(":memory:"), data / "f"
            file.write_text("x")
            return {
                "sql": connection.execute("select datetime('now'), current_timestamp").fetchone(),
                "python": str(datetime.datetime.now()), "age": time.time() - file.stat().st_mtime,
            }
        """,
        "/x at 90",
    )
    assert answer.body["sql"] == ["2026-01-05 09:01:30"] * 2
    assert answer.body["python"].startswith("2026-01-05 09:01:30.0000")
    assert 0 <= answer.body["age"] < 0.001


HOLD_AND_WRITE = """
path = data / "d.db"
sqlite3.connect(path).execute("create table if not exists t(x)").connection.commit()
@app.post("/hold")
{hold}
@app.post("/write")
{write} write():
    connection = sqlite3.connect(path)
    connection.execute("insert into t values(2)")
    connection.commit()
    return {{}}
"""

HOLD = """{kind} hold():
    connection = sqlite3.connect(path)
    connection.execute("begin immediate")
    connection.execute("insert into t values(1)")
    {call}.post("/c", json={{}}, timeout=9)
    connection.commit()
    return {{}}
"""


def test_23_a_writer_waits_in_virtual_time_for_a_transaction_in_another_thread(stage: Stage) -> None:
    hold = HOLD.format(kind="def", call="sync_llm")
    answers = stage.ask(HOLD_AND_WRITE.format(hold=hold, write="def"), "/hold", "/write at 0.5")
    held, waited = seconds(answers)
    assert 1 <= held < 1.01
    assert 0.5 <= waited < 0.62  # SQLite tries again every 100 ms


def test_24_a_writer_waits_in_virtual_time_for_a_transaction_on_another_host(stage: Stage) -> None:
    hold = HOLD.format(kind="async def", call="await llm")
    answers = stage.ask(HOLD_AND_WRITE.format(hold=hold, write="async def"), "/hold", "/write at 0.5", hosts=2)
    held, waited = seconds(answers)
    assert 1 <= held < 1.01
    assert 0.5 <= waited < 0.62


def test_25_a_check_then_act_on_four_hosts_is_seen_to_race(stage: Stage) -> None:
    service = stage.service(
        """
        path = data / "d.db"
        sqlite3.connect(path).execute("create table if not exists k(key)").connection.commit()
        @app.post("/x")
        async def x():
            connection = sqlite3.connect(path)
            if connection.execute("select 1 from k where key = 'a'").fetchone():
                return {"ran": False}
            connection.execute("insert into k values('a')")
            connection.commit()
            await llm.post("/c", json={}, timeout=9)
            return {"ran": True}
        """
    )
    raced = 0
    for seed in range(10):
        answers = stage.ask(service, *["/x"] * 8, hosts=4, seed=seed)
        ran = sum(answer.body["ran"] for answer in answers)
        assert ran >= 1
        raced += ran > 1
    assert raced >= 3


def test_26_opentelemetrys_batches_are_exported_by_their_thread(stage: Stage) -> None:
    answers = stage.ask(
        """
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        tracer = provider.get_tracer("x")
        @app.post("/wait")
        async def x():
            with tracer.start_as_current_span("a"):
                pass
            at_once = len(exporter.get_finished_spans())
            await asyncio.sleep(30)
            return [at_once, len(exporter.get_finished_spans())]
        @app.post("/flush")
        async def y():
            with tracer.start_as_current_span("b"):
                pass
            provider.force_flush(2000)
            return [len(exporter.get_finished_spans())]
        """,
        "/wait",
        "/flush at 40",
    )
    assert [answer.body for answer in answers] == [[0, 1], [2]]


def test_27_a_real_socket_is_refused_at_the_line_that_opens_it(stage: Stage) -> None:
    service = stage.service(
        """
        import socket
        @app.post("/x")
        def x():
            return socket.create_connection(("127.0.0.1", 9), timeout=1)  # here
        """
    )
    run = stage.asked(service, "/x")
    assert run.result[0].status == 500
    (escape,) = run.tape.of("escape")
    assert (escape.data["what"], escape.data["where"][0]) == ("socket", stage.line(service))


def test_28_a_file_lock_makes_another_host_wait(stage: Stage) -> None:
    answers = stage.ask(
        """
        import fcntl
        @app.post("/x")
        async def x():
            with open(data / "lock", "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                await llm.post("/c", json={}, timeout=9)
            return {}
        """,
        "/x",
        "/x at 0.5",
        hosts=2,
    )
    first, second = seconds(answers)
    assert 1 <= first < 1.01
    assert 1.5 <= second < 1.62


def test_29_a_database_thread_that_answers_through_the_loop(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        class Database:
            def __init__(self):
                self.jobs = queue.SimpleQueue()
                threading.Thread(target=self.run, daemon=True).start()
            def run(self):
                connection = sqlite3.connect(":memory:")
                while True:
                    future, sql = self.jobs.get()
                    rows = connection.execute(sql).fetchall()
                    future.get_loop().call_soon_threadsafe(future.set_result, rows)
            async def query(self, sql):
                future = asyncio.get_running_loop().create_future()
                self.jobs.put((future, sql))
                return await future
        database = Database()
        @app.post("/x")
        async def x():
            return [await database.query(f"select {n}") for n in range(20)]
        @app.post("/sleep")
        async def y():
            await asyncio.sleep(100)
        """,
        "/x",
        "/x",
        "/sleep",
    )
    assert answers[0].body == answers[1].body == [[[n]] for n in range(20)]
    assert seconds(answers) == close([0, 0, 100])


def test_30_a_benchmark_on_the_clock_gives_a_finite_rate(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            began = time.perf_counter()
            sum(range(10**6))
            return {"seconds": time.perf_counter() - began}
        """,
        "/x",
    )
    assert 0 < answer.body["seconds"] < 0.001
