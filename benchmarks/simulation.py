"""What the simulation costs: microseconds an event, milliseconds a start of a host. A plain script.

An event is an entry of the tape: a request, a call, a reply, a time-out, an answer. The best of several runs, since
this measures the work, and not what else the machine does.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from grader.sim import Call, Forkserver, Host, Reply, Service, Simulation

SERVICE = """
import asyncio, os, sqlite3, httpx, pydantic
from fastapi import FastAPI, HTTPException

class Question(pydantic.BaseModel):
    text: str
    top_k: int = 3

class Answer(pydantic.BaseModel):
    text: str
    sources: list[str] = []

def create_app():
    app = FastAPI()
    llm = httpx.AsyncClient(base_url="https://llm.test", limits=httpx.Limits(max_connections=None))
    sync_llm = httpx.Client(base_url="https://llm.test", limits=httpx.Limits(max_connections=None))
    path = os.environ["DATA_DIR"] + "/d.db"
    sqlite3.connect(path).execute("create table if not exists t(x)").connection.commit()

    @app.get("/health")
    async def health():
        return {"ok": True}

    @app.post("/ask")
    async def ask(question: Question) -> Answer:
        return Answer(text=(await llm.post("/v1/chat", json={"q": question.text}, timeout=9)).json()["text"])

    @app.post("/thread")
    def thread(question: Question) -> Answer:
        return Answer(text=sync_llm.post("/v1/chat", json={"q": question.text}, timeout=9).json()["text"])

    @app.post("/retry")
    async def retry(question: Question) -> Answer:
        for attempt in range(4):
            try:
                await llm.post("/v1/never", json={"q": question.text}, timeout=3)
            except httpx.TimeoutException:
                await asyncio.sleep(2 ** attempt)
        raise HTTPException(503)

    @app.post("/write")
    async def write(question: Question) -> Answer:
        connection = sqlite3.connect(path)
        connection.execute("insert into t values (1)")
        connection.commit()
        connection.close()
        return Answer(text="written")

    return app
"""


def simulation(forkserver: Forkserver, **options: Any) -> Simulation:
    async def provider(call: Call) -> Reply:
        await (call.closed.wait() if call.path == "/v1/never" else asyncio.sleep(1))
        return Reply.json({"text": "Yes."})

    sim = Simulation(forkserver, seed=1, **options)
    sim.network.attach("llm.test", provider)
    return sim


def requests(forkserver: Forkserver, service: Service, path: str, count: int, hosts: int = 1) -> tuple[float, int]:
    """Seconds that `count` requests at once took, and how many events they were."""
    sim = simulation(forkserver)
    made = [sim.host(f"api-{n}", service, disk="d") for n in range(hosts)]

    async def scenario() -> tuple[float, int]:
        for host in made:
            await host.start()
        began, before = time.perf_counter(), len(sim.tape)
        body = {"text": "Is it dry?"}
        await asyncio.gather(*(made[n % hosts].request("POST", path, json=body) for n in range(count)))
        return time.perf_counter() - began, len(sim.tape) - before

    return sim.run(scenario())


def starts(forkserver: Forkserver, service: Service, act: Callable[[Host], Coroutine[Any, Any, None]]) -> float:
    """Seconds that `act` took on a host that runs."""
    sim = simulation(forkserver)
    host = sim.host("api", service)

    async def scenario() -> float:
        await host.start()
        began = time.perf_counter()
        await act(host)
        return time.perf_counter() - began

    return sim.run(scenario())


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "service").mkdir()
    (folder / "service" / "app.py").write_text(SERVICE)
    service = Service(folder)
    began = time.perf_counter()
    forkserver = Forkserver.launch()
    simulation(forkserver).close()
    starts(forkserver, service, Host.restart)
    print(f"Python {sys.version.split()[0]}: warm parent and first hosts {time.perf_counter() - began:.2f} s\n")
    print(f"{'what':<42}{'events':>8}{'ms':>9}{'µs/event':>10}")
    for name, path, count, hosts in (
        ("200 requests, a call each", "/ask", 200, 1),
        ("200 requests, four time-outs each", "/retry", 200, 1),
        ("200 requests in threads, a call each", "/thread", 200, 1),
        ("200 commits, one host", "/write", 200, 1),
        ("200 commits, four hosts on one file", "/write", 200, 4),
    ):
        runs = [requests(forkserver, service, path, count, hosts) for _ in range(7)]
        seconds, events = min(runs)
        print(f"{name:<42}{events:>8}{seconds * 1e3:>9.1f}{seconds * 1e6 / events:>10.0f}")
    restart = min(starts(forkserver, service, Host.restart) for _ in range(20))
    print(f"\n{'crash and start again, app built':<50}{restart * 1e3:>9.1f} ms")
    forkserver.close()


if __name__ == "__main__":
    main()
