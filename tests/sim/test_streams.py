"""Bodies that come in pieces, both ways; who has hung up and how it is noticed; the lifespan; background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, ClientTimeout, ConnectionLost, Host, HostFailed, Reply, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

EVENTS = [f"data: token {n}\n\n".encode() for n in range(5)]


class Dripping:
    """A server that streams `pieces`, one a second, and remembers when its client was gone."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = 0
        self.gone_at: float | None = None

    async def __call__(self, call: Call) -> Reply:
        async def watch() -> None:
            await call.closed.wait()
            self.gone_at = asyncio.get_running_loop().time()

        self.watching = asyncio.ensure_future(watch())
        return Reply(200, {"content-type": "text/event-stream"}, self.body())

    async def body(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(1)
            self.sent += 1
            yield piece


READERS = {
    "async": """
        @app.post("/read")
        async def read(stop_after: int = 99):
            got = []
            async with llm.stream("POST", "/c", json={}, timeout=2) as response:
                async for line in response.aiter_lines():
                    if line:
                        got.append([line, time.monotonic()])
                    if len(got) == stop_after:
                        break
            return got
        """,
    "sync": """
        @app.post("/read")
        def read(stop_after: int = 99):
            got = []
            with sync_llm.stream("POST", "/c", json={}, timeout=2) as response:
                for line in response.iter_lines():
                    if line:
                        got.append([line, time.monotonic()])
                    if len(got) == stop_after:
                        break
            return got
        """,
}

readers = pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())


@readers
def test_server_sent_events_arrive_one_by_one_and_outlast_the_read_time_out(
    stage: Stage, close: Close, reader: str
) -> None:
    (answer,) = stage.asked(reader, "/read", server=Dripping(EVENTS)).result
    assert [line for line, _ in answer.body] == [f"data: token {n}" for n in range(5)]
    assert [at for _, at in answer.body] == close([1, 2, 3, 4, 5])


@readers
def test_a_stream_left_half_way_is_hung_up_on(stage: Stage, close: Close, reader: str) -> None:
    server = Dripping(EVENTS)

    async def scenario(sim: Simulation, host: Host) -> Any:
        answer = await stage.one(sim, host, "/read?stop_after=2")
        await asyncio.sleep(10)
        return answer

    run = stage.play(reader, scenario, server=server)
    assert run.result.seconds == close(2)
    assert (server.sent, server.gone_at) == (2, close(2))
    assert len(run.tape.of("abort")) == 1


def test_a_call_whose_caller_gave_up_is_hung_up_on_but_goes_on_at_the_server(stage: Stage, close: Close) -> None:
    worked: list[float] = []

    async def server(call: Call) -> Reply:
        await asyncio.sleep(5)
        worked.append(asyncio.get_running_loop().time())
        assert call.closed.is_set()
        return Reply()

    async def scenario(sim: Simulation, host: Host) -> Any:
        answer = await stage.one(sim, host, "/x")
        await asyncio.sleep(10)
        return answer

    answer = stage.play(
        """
        @app.post("/x")
        async def x():
            try:
                await asyncio.wait_for(llm.post("/c", json={}), 1)
            except TimeoutError:
                return "gave up"
        """,
        scenario,
        server=server,
    ).result
    assert (answer.body, answer.seconds, worked) == ("gave up", close(1), [close(5)])


STREAMING = """
state = {"sent": 0, "closed": None}
@app.post("/stream")
async def stream():
    async def pieces():
        try:
            for n in range(5):
                await asyncio.sleep(1)
                state["sent"] += 1
                yield f"piece {n};"
        finally:
            state["closed"] = time.monotonic()
    return StreamingResponse(pieces())
@app.post("/state")
async def _():
    return state
"""


def test_a_streaming_answer_comes_in_pieces(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, host: Host) -> list[tuple[bytes, float]]:
        stream = host.open("POST", "/stream")
        assert await stream.head() == 200
        return [(piece, sim.now) async for piece in stream if piece]

    pieces = stage.play(STREAMING, scenario).result
    assert [piece for piece, _ in pieces] == [f"piece {n};".encode() for n in range(5)]
    assert [at for _, at in pieces] == close([1, 2, 3, 4, 5])


def test_a_client_that_hangs_up_ends_the_stream(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        stream = host.open("POST", "/stream")
        await stream.head()
        await sim.until(2.5)
        stream.disconnect()
        await sim.until(20)
        return (await stage.one(sim, host, "/state")).body

    state = stage.play(STREAMING, scenario).result
    assert (state["sent"], state["closed"]) == (2, close(2.5))


DISCONNECTS = {
    "is_disconnected": """
        @app.post("/x")
        async def x(request: Request):
            await request.body()
            while not await request.is_disconnected():
                await asyncio.sleep(0.5)
            app.state.seen = time.monotonic()
            assert await request.is_disconnected()
        """,
    "receive": """
        @app.post("/x")
        async def x(request: Request):
            while (await request.receive())["type"] != "http.disconnect":
                pass
            app.state.seen = time.monotonic()
            assert (await request.receive())["type"] == "http.disconnect"
        """,
    "race": """
        @app.post("/x")
        async def x(request: Request):
            await request.body()
            async def gone():
                while (await request.receive())["type"] != "http.disconnect":
                    pass
            work = asyncio.create_task(asyncio.sleep(60))
            await asyncio.wait({work, asyncio.create_task(gone())}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            app.state.seen = time.monotonic()
        """,
}


@pytest.mark.parametrize("endpoint", DISCONNECTS.values(), ids=DISCONNECTS.keys())
def test_the_service_sees_that_its_client_has_gone(stage: Stage, close: Close, endpoint: str) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        with pytest.raises(ClientTimeout):
            await host.request("POST", "/x", json={"a": 1}, timeout=3)
        await sim.until(10)
        return (await stage.one(sim, host, "/seen")).body

    seen = '\n@app.post("/seen")\nasync def seen():\n    return app.state.seen\n'
    run = stage.play(stage.service(_dedent(endpoint) + seen), scenario)
    assert run.result == pytest.approx(3, abs=0.51 if "is_disconnected" in endpoint else 0.002)
    assert not run.tape.of("unhandled")


def test_a_request_body_comes_in_pieces(stage: Stage, close: Close) -> None:
    async def scenario(sim: Simulation, host: Host) -> Any:
        stream = host.open("POST", "/x", body=b"one;", more=True)
        for piece in (b"two;", b"three"):
            await asyncio.sleep(1)
            stream.send(piece, more=piece != b"three")
        await stream.head()
        return await stream.body()

    body = stage.play(
        """
        @app.post("/x")
        async def x(request: Request):
            return [[piece.decode(), round(time.monotonic(), 1)] async for piece in request.stream()]
        """,
        scenario,
    ).result
    assert body == b'[["one;",0.0],["two;",1.0],["three",2.0],["",2.0]]'


def test_the_lifespan_runs_around_the_service(stage: Stage, close: Close) -> None:
    service = stage.service(
        """
        @contextlib.asynccontextmanager
        async def lifespan(app):
            await asyncio.sleep(2)
            logging.info("up")
            yield {"pool": "warm"}
            await asyncio.sleep(3)
            logging.info("down")
        app = FastAPI(lifespan=lifespan)
        @app.post("/x")
        async def x(request: Request):
            await asyncio.sleep(4)
            return request.state.pool
        """
    )

    async def scenario(sim: Simulation, host: Host) -> Any:
        started = sim.now
        answering = asyncio.ensure_future(stage.one(sim, host, "/x"))
        await asyncio.sleep(1)
        await host.stop()
        return started, (await answering).body, sim.now, host.alive

    run = stage.play(service, scenario)
    assert run.result == (close(2), "warm", close(2 + 4 + 3), False)
    assert [(entry.data["text"], entry.at) for entry in run.tape.of("log")] == [("up", close(2)), ("down", close(9))]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("raise RuntimeError('no disk')", "pass", "startup-error"),
        ("pass", "raise RuntimeError('no disk')", "shutdown-error"),
    ],
)
def test_a_lifespan_that_fails_is_named_by_its_line(stage: Stage, before: str, after: str, kind: str) -> None:
    service = stage.service(
        f"""
        @contextlib.asynccontextmanager
        async def lifespan(app):
            {before}{"  # here" if before != "pass" else ""}
            yield
            {after}{"  # here" if after != "pass" else ""}
        app = FastAPI(lifespan=lifespan)
        """
    )

    async def scenario(_: Simulation, host: Host) -> None:
        await host.stop()

    with pytest.raises(HostFailed) as failed:
        stage.play(service, scenario)
    assert failed.value.kind == kind
    assert stage.line(service) in str(failed.value)
    assert "RuntimeError" in failed.value.text
    assert "no disk" in failed.value.text


def test_an_application_without_a_lifespan_starts(stage: Stage) -> None:
    service = stage.write(
        """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
def create_app():
    return app
"""
    )
    assert stage.ask(service, "/x")[0].status == 204


def test_background_tasks_of_a_stream_and_of_a_thread_run_on_behind_the_answer(stage: Stage, close: Close) -> None:
    answers = stage.ask(
        """
        ended = []
        def later(seconds):
            time.sleep(seconds)
            ended.append(round(time.monotonic()))
        @app.post("/x")
        def x(background: BackgroundTasks):
            background.add_task(later, 5)
            background.add_task(later, 2)
        @app.post("/ended")
        async def _():
            return ended
        """,
        "/x",
        "/ended at 6",
        "/ended at 8",
    )
    assert answers[0].seconds == close(0)
    assert [answer.body for answer in answers[1:]] == [[5], [5, 7]]


def test_an_error_after_the_answer_began_breaks_the_stream_and_is_on_the_tape(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x():
            async def pieces():
                yield "half"
                raise RuntimeError("out of ink")  # here
            return StreamingResponse(pieces())
        """
    )

    async def scenario(sim: Simulation, host: Host) -> Any:
        stream = host.open("POST", "/x")
        got = []
        assert await stream.head() == 200
        try:
            async for piece in stream:
                got.append(piece)  # noqa: PERF401 - until it breaks off
        except ConnectionLost as error:
            got.append(str(error).encode())
        return got

    run = stage.play(service, scenario)
    assert run.result == [b"half", b"api-0 broke off its answer"]
    (entry,) = run.tape.of("unhandled")
    assert entry.data["where"][0] == stage.line(service)


def _dedent(text: str) -> str:
    import textwrap

    return textwrap.dedent(text)
