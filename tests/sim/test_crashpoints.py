"""Crashes behind every effect: what is lost, what is done twice, and that no effect goes unseen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, Host, HostFailed, Reply, Service, Simulation, SimulationError, enumerate_crashes

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

WORKER = """
path = data / "jobs.db"
def connect():
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("create table if not exists jobs(id integer primary key, state text)")
    return connection
async def work():
    db = connect()
    if not db.execute("select count(*) from jobs").fetchone()[0]:
        db.execute("begin")
        db.executemany("insert into jobs(state) values (?)", [("new",)] * 3)
        db.execute("commit")
    while row := db.execute("select id from jobs where state = 'new' order by id").fetchone():
{loop}
@contextlib.asynccontextmanager
async def lifespan(app):
    task = asyncio.create_task(work())
    yield
app = FastAPI(lifespan=lifespan)
"""

CALL = "        await llm.post('/work', headers={'Idempotency-Key': str(row[0])}, json={}, timeout=9)\n"
ACK = "        db.execute(\"update jobs set state = 'done' where id = ?\", row)\n"

ACK_FIRST = WORKER.format(loop=ACK + CALL)
WORK_FIRST = WORKER.format(loop=CALL + ACK)


@dataclass
class Books:
    """A provider that works for a second and then bills; with `keys`, a key is billed once."""

    keys: bool = False
    billed: Counter[str] | None = None

    async def __call__(self, call: Call) -> Reply:
        assert self.billed is not None
        key = call.headers["idempotency-key"]
        await asyncio.sleep(1)
        if not (self.keys and self.billed[key]):
            self.billed[key] += 1
        return Reply.json({})


def _enumerate(stage: Stage, endpoints: str, *, keys: bool = False) -> list[tuple[int, int, int]]:
    """For no crash, and for a crash at each point: jobs left over, jobs lost, jobs billed twice."""
    service = stage.service(endpoints)

    def play(crash_at: int | None) -> tuple[tuple[int, int, int], int]:
        books = Books(keys, Counter())
        sim = stage.simulation(server=books)
        sim.counts_effects = True
        worker = sim.host("worker", service)
        worker.crash_at(crash_at, restart_after=1)

        async def scenario() -> tuple[int, int, int]:
            await worker.start()
            await sim.until(30)
            assert len(sim.tape.of("crash")) == (crash_at is not None)
            with contextlib.closing(sqlite3.connect(worker.disk / "jobs.db")) as database:
                states = database.execute("select id, state from jobs").fetchall()
            assert books.billed is not None
            return (
                3 - sum(state == "done" for _, state in states),
                sum(state == "done" and not books.billed[str(job)] for job, state in states),
                sum(times > 1 for times in books.billed.values()),
            )

        return sim.run(scenario()), worker.effects

    return enumerate_crashes(play)


def test_acknowledging_before_the_work_loses_jobs(stage: Stage) -> None:
    results = _enumerate(stage, ACK_FIRST)
    assert results[0] == (0, 0, 0)
    assert {left for left, _, _ in results} == {0}
    assert sum(lost for _, lost, _ in results) == 3
    assert sum(doubled for _, _, doubled in results) == 0


def test_working_before_the_acknowledgement_bills_twice(stage: Stage) -> None:
    results = _enumerate(stage, WORK_FIRST)
    assert results[0] == (0, 0, 0)
    assert {left for left, _, _ in results} == {0}
    assert sum(lost for _, lost, _ in results) == 0
    assert sum(doubled for _, _, doubled in results) == 3


def test_an_idempotency_key_loses_nothing_and_bills_once(stage: Stage) -> None:
    assert set(_enumerate(stage, WORK_FIRST, keys=True)) == {(0, 0, 0)}


def test_the_effects_of_a_worker_are_its_commits_and_calls_with_their_lines(stage: Stage) -> None:
    marked = CALL.rstrip() + "  # call\n" + ACK.rstrip() + "  # ack\n"
    service = stage.service(WORKER.format(loop=marked))
    sim = stage.simulation(server=Books(billed=Counter()))
    sim.counts_effects = True
    worker = sim.host("worker", service)

    async def scenario() -> None:
        await worker.start()
        await sim.until(10)

    sim.run(scenario())
    effects = [(entry.data["number"], entry.data["what"]) for entry in sim.tape.of("effect")]
    assert effects == list(enumerate(["open", "commit", "commit", *["call", "commit"] * 3], 1))
    where = [entry.data["where"][0] for entry in sim.tape.of("effect")]
    assert where[3:5] == [stage.line(service, "# call"), stage.line(service, "# ack")]


def _effects(stage: Stage, work: str, top: str = "") -> list[str]:
    """What the effects of one request are; the loud failure would come from `play`."""
    service = stage.service(f"@app.post('/x')\ndef x():\n{_indent(work)}", top)

    async def scenario(sim: Simulation, host: Host) -> list[str]:
        before = host.effects
        assert (await stage.one(sim, host, "/x")).status == 200
        await asyncio.sleep(1)  # one more look at the disk
        return [entry.data["what"] for entry in sim.tape.of("effect")[before:]]

    sim = stage.simulation()
    sim.counts_effects = True
    host = sim.host("api", service)

    async def whole() -> list[str]:
        await host.start()
        return await scenario(sim, host)

    return sim.run(whole())


EFFECTS = {
    "write_text": ("(data / 'f').write_text('a')", "open write"),
    "flush": (
        """
        with open(data / "f", "w") as file:
            file.write("a")
            file.flush()
            file.write("b")
        """,
        "open write write",
    ),
    "unbuffered": (
        """
        with open(data / "f", "ab", 0) as file:
            file.write(b"a")
            file.write(b"b")
        """,
        "open write write",
    ),
    "replace": ("(data / 't').write_bytes(b'a'); os.replace(data / 't', data / 'f')", "open write replace"),
    "pathlib": (
        "(data / 't').touch(); (data / 't').rename(data / 'f'); (data / 'f').unlink()",
        "open rename unlink",
    ),
    "descriptor": (
        """
        file = os.open(data / "f", os.O_CREAT | os.O_RDWR)
        os.write(file, b"ab")
        os.ftruncate(file, 1)
        os.close(file)
        """,
        "open write ftruncate",
    ),
    "tempfile": (
        """
        import tempfile
        with tempfile.NamedTemporaryFile(dir=data) as file:
            file.write(b"a")
        """,
        "open open write unlink",
    ),
    "copy": (
        "import shutil; (data / 'f').write_bytes(b'a'); shutil.copy(data / 'f', data / 'g')",
        "open write open COPY",
    ),
    "rmtree": (
        "import shutil; (data / 'd').mkdir(); (data / 'd' / 'f').touch(); shutil.rmtree(data / 'd')",
        "open unlink",
    ),
    "logging": (
        "logging.getLogger().addHandler(logging.FileHandler(data / 'f')); logging.info('a')",
        "open write",
    ),
    "definitions": (
        """
        db = sqlite3.connect(data / "d")
        db.execute("create table t(x)")
        db.execute("pragma user_version = 7")
        """,
        "open commit commit",
    ),
    "script": (
        """
        db = sqlite3.connect(data / "d")
        db.executescript("create table t(x); insert into t values (1); select 1;")
        """,
        "open commit commit",
    ),
    "transaction": (
        """
        db = sqlite3.connect(data / "d")
        db.execute("create table t(x)")
        for n in range(3):
            db.execute("insert into t values (1)")
        db.commit()
        db.execute("select 1")
        """,
        "open commit commit",
    ),
    "rollback": (
        """
        db = sqlite3.connect(data / "d")
        db.execute("create table t(x)")
        with db:
            db.execute("insert into t values (1)")
        db.execute("delete from t")
        db.rollback()
        db.execute("select 1")
        """,
        "open commit commit",
    ),
    "all rows of an empty table": (
        """
        db = sqlite3.connect(data / "d", isolation_level=None)
        db.execute("create table t(x)")
        db.execute("delete from t")
        """,
        "open commit commit",
    ),
    "definitions in a transaction": (
        """
        db = sqlite3.connect(data / "d", isolation_level=None)
        db.execute("begin")
        db.execute("create table t(x)")
        db.execute("delete from t;")
        db.execute("commit")
        db.execute("begin")
        db.execute("drop table t")
        db.execute("rollback")
        db.execute("select 1")
        """,
        "open commit",
    ),
    "executemany": (
        """
        db = sqlite3.connect(data / "d", isolation_level=None)
        db.execute("create table t(x)")
        db.executemany("insert into t values (?)", [(1,), (2,)])
        """,
        "open commit commit commit",
    ),
    "returning": (
        """
        db = sqlite3.connect(data / "d", isolation_level=None)
        db.execute("create table t(x)")
        db.execute("insert into t values (1) returning x").fetchall()
        """,
        "open commit commit",
    ),
    "write-ahead log": (
        """
        db = sqlite3.connect(data / "d")
        db.execute("pragma journal_mode = wal")
        db.execute("create table t(x)")
        db.execute("insert into t values (1)")
        db.commit()
        db.close()
        """,
        "open commit commit commit",
    ),
    "memory": ("sqlite3.connect(':memory:').execute('create table t(x)')", ""),
    "elsewhere": ("(data.parent / 'elsewhere').write_text('a'); open(__file__).read()", ""),
}


@pytest.mark.parametrize(("work", "effects"), EFFECTS.values(), ids=EFFECTS.keys())
def test_effects_are_announced_one_by_one(stage: Stage, work: str, effects: str) -> None:
    found = " ".join(_effects(stage, work))
    copied = re.sub("sendfile sendfile|copy_file_range copy_file_range", "COPY", found)  # as this Python does it
    assert copied == f"{effects} answer".strip()


HUSHED = {
    "mmap": (
        """
        import mmap
        file = (data / "f").open("w+b")
        file.truncate(9)
        memory = mmap.mmap(file.fileno(), 9)
        memory[:3] = b"abc"
        memory.flush()
        """,
        "",
    ),
    "ctypes": ("import ctypes; ctypes.CDLL(None).creat(os.fsencode(data / 'f'), 0o600)", ""),
    "an effect that is hushed up": (
        "(data / 'f').write_text('a')",
        "import grader.host.disk; grader.host.disk.effect = lambda *_: None",
    ),
    "three commits behind one announcement": (
        """
        for n in range(3):
            db.execute("insert into t values (1)")
        (data / "f").touch()
        """,
        """
        db = sqlite3.connect(os.environ["DATA_DIR"] + "/d", isolation_level=None, check_same_thread=False)
        db.execute("create table t(x)")
        import grader.host.disk as disk, grader.host.kernel as kernel
        real = disk.effect
        disk.effect = lambda kind, text: kind == "open" and real(kind, text)
        kernel.Kernel.step = lambda *_, **__: None
        """,
    ),
}


@pytest.mark.parametrize(("work", "top"), HUSHED.values(), ids=HUSHED.keys())
def test_a_disk_that_changes_more_often_than_the_host_says_ends_the_run(stage: Stage, work: str, top: str) -> None:
    with pytest.raises(HostFailed, match="crash points cannot follow") as failed:
        _effects(stage, work, top)
    assert failed.value.kind == "unannounced"


def test_a_file_written_in_place_can_be_torn_and_a_replaced_one_cannot(stage: Stage) -> None:
    def torn(write: str) -> set[str]:
        service = stage.service(f"@app.post('/x')\nasync def x(): {write}")

        def play(crash_at: int | None) -> tuple[str, int]:
            sim = stage.simulation()
            sim.counts_effects = True
            host = sim.host("api", service)
            (host.disk / "f").write_text("old")
            host.crash_at(crash_at)

            async def scenario() -> str:
                await host.start()
                await stage.one(sim, host, "/x")
                return (host.disk / "f").read_text()

            return sim.run(scenario()), host.effects

        return set(enumerate_crashes(play))

    assert torn("(data / 'f').write_text('new')") == {"", "new"}
    assert torn("(data / 't').write_text('new'); os.replace(data / 't', data / 'f')") == {"old", "new"}


def test_a_crash_behind_the_answer_finds_the_client_served(stage: Stage) -> None:
    service = stage.service(
        """
        @app.post("/x")
        async def x(background: BackgroundTasks):
            background.add_task((data / "f").write_text, "done")
        """
    )

    def play(crash_at: int | None) -> tuple[tuple[int, bool], int]:
        sim = stage.simulation()
        sim.counts_effects = True
        host = sim.host("api", service)
        host.crash_at(crash_at)

        async def scenario() -> tuple[int, bool]:
            await host.start()
            answer = await stage.one(sim, host, "/x")
            await asyncio.sleep(1)
            return answer.status, (host.disk / "f").exists()

        return sim.run(scenario()), host.effects

    assert enumerate_crashes(play) == [(200, True), (200, False), (200, True), (200, True)]


def test_what_the_scenario_or_another_host_writes_is_not_held_against_a_host(stage: Stage) -> None:
    service = stage.service("@app.post('/x')\nasync def x(): (data / os.environ['NAME']).write_text(str(time.time()))")
    sim = stage.simulation()
    hosts = [sim.host(name, service, disk="d", env={"NAME": name}) for name in ("a", "b")]
    hosts[0].crash_at(99)

    async def scenario() -> None:
        for host in hosts:
            await host.start()
        for at in range(3):
            (hosts[0].disk / "seed").write_text(str(at))
            await asyncio.gather(*(stage.one(sim, host, "/x") for host in hosts))

    sim.run(scenario())
    assert [host.effects for host in hosts] == [3 * len(["open", "write", "answer"]), 0]


@pytest.mark.parametrize(
    ("counts", "complaint"), [([0], "no crash points"), ([3, 3, 1], "no crash at effect 2 of 3: this run had 1")]
)
def test_an_enumeration_that_proves_nothing_is_an_error(counts: list[int], complaint: str) -> None:
    left = iter(counts)
    with pytest.raises(SimulationError, match=complaint):
        enumerate_crashes(lambda _: (None, next(left)))


def test_of_many_crash_points_so_many_are_chosen_as_the_seed_says() -> None:
    def play(crash_at: int | None) -> tuple[int | None, int]:
        return crash_at, 40

    chosen = [enumerate_crashes(play, most=7, rng=random.Random(seed)) for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 1 + 7
    assert enumerate_crashes(play, most=40) == enumerate_crashes(play) == [None, *range(1, 41)]


def test_a_crash_while_starting_is_survived_by_the_supervisor_or_told(stage: Stage) -> None:
    service: Service = stage.service(
        """
        (data / "f").write_text("a")
        @app.post("/x")
        async def x():
            return time.monotonic()
        """
    )

    def run(**options: Any) -> Any:
        sim = stage.simulation()
        host = sim.host("api", service)
        host.crash_at(2, **options)

        async def scenario() -> Any:
            await host.start()
            return (await stage.one(sim, host, "/x")).body

        return sim.run(scenario())

    assert run(restart_after=5) == pytest.approx(5, abs=0.001)
    with pytest.raises(SimulationError, match="the host crashed"):
        run()


def _indent(text: str) -> str:
    import textwrap

    return textwrap.indent(textwrap.dedent(text), "    ")
