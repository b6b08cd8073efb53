"""Who pays for a call that blocks: everybody on the loop, nobody else in a thread; and which line it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Host, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

PAGES = ["a scanned page"] * 5  # 0.4 s of CPU each

WORK = {
    "sync client in async def": ("async def", "sync_llm.post('/c', json={})", 1, True),
    "time.sleep on the loop": ("async def", "time.sleep(1)", 1, True),
    "vendor's CPU on the loop": ("async def", f"skylark_pdf.extract({PAGES})", 2, True),
    "a lock on the loop": ("async def", "threading.Lock().acquire() and threading.Event().wait(1)", 1, True),
    "result() on the loop": ("async def", "pool.submit(time.sleep, 1).result()", 1, True),
    "sync client in def": ("def", "sync_llm.post('/c', json={})", 1, False),
    "time.sleep in a thread": ("def", "time.sleep(1)", 1, False),
    "vendor's CPU in def": ("def", f"skylark_pdf.extract({PAGES})", 2, False),
    "vendor's CPU in to_thread": ("async def", f"await asyncio.to_thread(skylark_pdf.extract, {PAGES})", 2, False),
    "vendor's CPU in a pool": (
        "async def",
        f"await asyncio.get_running_loop().run_in_executor(None, skylark_pdf.extract, {PAGES})",
        2,
        False,
    ),
    "async client": ("async def", "await llm.post('/c', json={})", 1, False),
}


@pytest.mark.parametrize(("kind", "call", "seconds", "blocks"), WORK.values(), ids=WORK.keys())
def test_the_p99_of_health_shows_who_blocks_the_loop(
    stage: Stage, close: Close, kind: str, call: str, seconds: float, blocks: bool
) -> None:
    service = stage.service(
        f"""
        import skylark_pdf
        pool = concurrent.futures.ThreadPoolExecutor()
        @app.post("/work")
        {kind} work():
            {call}  # here
        @app.post("/health")
        async def health():
            return "ok"
        """
    )

    async def scenario(sim: Simulation, host: Host) -> tuple[float, float]:
        visits = [stage.one(sim, host, f"/health at {0.05 * n}") for n in range(100)]
        worker, *answers = await asyncio.gather(stage.one(sim, host, "/work at 0.5"), *visits)
        return worker.seconds, sorted(answer.seconds for answer in answers)[98]

    run = stage.play(service, scenario)
    took, p99 = run.result
    assert took == close(seconds)
    assert p99 == (pytest.approx(seconds, abs=0.11) if blocks else close(0))
    stood = [(entry.data["where"][0], entry.data["seconds"]) for entry in run.tape.of("blocked")]
    assert stood == ([(stage.line(service), close(seconds))] if blocks else [])


def test_five_blocking_calls_stand_in_a_row(stage: Stage, close: Close) -> None:
    answers = stage.ask("@app.post('/x')\nasync def x(): return sync_llm.post('/c', json={}).json()", *["/x"] * 5)
    assert sorted(answer.seconds for answer in answers) == close([1, 2, 3, 4, 5])


def test_forty_threads_serve_forty_blocking_endpoints_and_the_next_one_waits(stage: Stage, close: Close) -> None:
    answers = stage.ask("@app.post('/x')\ndef x(): return sync_llm.post('/c', json={}).json()", *["/x"] * 41)
    assert sorted(answer.seconds for answer in answers) == close([*[1] * 40, 2])


def test_calls_are_on_the_tape_with_the_line_that_made_them_or_began_their_task(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/await")
        async def a():
            await llm.get("/await")  # await
        @app.post("/gather")
        async def b():
            await asyncio.gather(llm.get("/gather"), llm.get("/gather"))  # gather
        @app.post("/group")
        async def c():
            async with asyncio.TaskGroup() as group:
                group.create_task(llm.get("/group"))  # group
        @app.post("/thread")  # endpoint
        async def d():
            await asyncio.to_thread(sync_llm.get, "/thread")
        """
    )
    run = stage.asked(service, "/await", "/gather", "/group", "/thread")
    where = {entry.data["url"].rpartition("/")[2]: entry.data["where"][:1] for entry in run.tape.of("call")}
    assert where == {
        "await": [stage.line(service, "# await")],
        "gather": [stage.line(service, "# gather")],
        "group": [stage.line(service, "# group")],
        "thread": [stage.line(service, "# endpoint")],
    }


def test_errors_that_nobody_caught_are_on_the_tape_with_their_line_and_a_traceback_without_ours(stage: Stage) -> None:
    service = stage.service(
        """
        def divide(by):
            return 1 / by  # here
        @app.post("/request")
        async def a():
            return divide(0)
        @app.post("/thread")
        async def b():
            thread = threading.Thread(target=divide, args=(0,))
            thread.start()
            thread.join()
        @app.post("/task")
        async def c():
            async def work():
                divide(0)
            task = asyncio.create_task(work())
            await asyncio.sleep(1)
            del task
        @app.post("/group")
        async def d():
            async def work():
                divide(0)
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
        """
    )
    for path in ("/request", "/thread", "/task", "/group"):
        run = stage.asked(service, path)
        (entry,) = run.tape.of("unhandled")
        assert entry.data["where"][0] == stage.line(service), path
        assert "1 / by" in entry.data["detail"]
        assert "grader/host" not in entry.data["detail"]
