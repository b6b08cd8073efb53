"""SQLite between hosts and threads: who waits, who races, whose clock; and the times of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Host, Simulation

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

Close = Callable[..., Any]

RESERVE = """
path = data / "d.db"
setup = sqlite3.connect(path)
setup.execute("create table if not exists claims(key{unique})")
setup.commit()
setup.close()
lock = threading.Lock()
@app.post("/claim")
def claim():
    with {guard}, contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            if connection.execute("select 1 from claims where key = 'a'").fetchone():
                return "late"
            connection.execute("insert into claims values('a')")
            connection.commit()
            return "mine"
        except sqlite3.IntegrityError:
            return "refused"
"""


def _won(stage: Stage, service: str, hosts: int) -> list[int]:
    """How many claims won, for each of ten seeds."""
    found = stage.service(service)
    runs = [stage.asked(found, *["/claim"] * 4, hosts=hosts, seed=seed).result for seed in range(10)]
    assert {answer.body for answers in runs for answer in answers} <= {"mine", "late", "refused"}, runs
    return [sum(answer.body == "mine" for answer in answers) for answers in runs]


@pytest.mark.parametrize(
    ("hosts", "guard", "unique", "races"),
    [
        (1, "contextlib.nullcontext()", "", True),
        (1, "lock", "", False),
        (4, "lock", "", True),
        (4, "contextlib.nullcontext()", " unique", False),
    ],
    ids=["threads", "threads, a lock", "hosts, a lock in each", "hosts, a unique key"],
)
def test_a_lock_helps_one_process_and_a_unique_key_helps_all(
    stage: Stage, hosts: int, guard: str, unique: str, races: bool
) -> None:
    won = _won(stage, RESERVE.format(guard=guard, unique=unique), hosts)
    assert min(won) >= 1
    assert (max(won) > 1) is races


@pytest.mark.parametrize(
    ("prepare", "timeout", "seconds"),
    [("", "", 5), ("", ", timeout=2", 2), ("c.execute('PRAGMA busy_timeout = 3000');", "", 3), ("", ", timeout=0", 0)],
    ids=["default", "timeout=2", "pragma", "none"],
)
def test_a_busy_wait_is_virtual_and_as_long_as_was_asked_for(
    stage: Stage, prepare: str, timeout: str, seconds: float
) -> None:
    answers = stage.ask(
        f"""
        path = data / "d.db"
        sqlite3.connect(path).execute("create table if not exists t(x)").connection.commit()
        @app.post("/hold")
        async def hold():
            c = sqlite3.connect(path)
            c.execute("begin immediate")
            await asyncio.sleep(60)
        @app.post("/write")
        def write():
            c = sqlite3.connect(path{timeout})
            {prepare}
            try:
                c.execute("insert into t values(1)")
            except sqlite3.OperationalError as error:
                return str(error)
        """,
        "/hold",
        "/write at 1",
        hosts=2,
    )
    assert answers[1].body == "database is locked"
    assert answers[1].seconds == pytest.approx(seconds, abs=0.01)


def test_who_does_not_wait_finds_the_file_locked_by_a_transaction_of_one_instant(stage: Stage) -> None:
    """A writer's statements are one step for other hosts, but for its commit: before that, the file is locked."""
    service = stage.service(
        """
        path = data / "d.db"
        setup = sqlite3.connect(path)
        setup.executescript("create table if not exists t(x)")
        @app.post("/write")
        async def write():
            c = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                c.execute("begin immediate")
                for number in range(3):
                    c.execute("insert into t values(?)", (number,))
                c.execute("commit")
            except sqlite3.OperationalError as error:
                return str(error)
            return "written"
        @app.post("/count")
        async def count():
            return setup.execute("select count(*) from t").fetchone()[0]
        """
    )
    paths = ["/write"] * 6 + ["/count"] * 2
    runs = [stage.asked(service, *paths, hosts=3, seed=seed).result for seed in range(10)]
    assert {answer.body for answers in runs for answer in answers[:6]} == {"written", "database is locked"}
    seen = [answer.body for answers in runs for answer in answers[6:]]
    assert all(body % 3 == 0 for body in seen)
    assert len(set(seen)) > 1


def test_a_look_before_a_long_transaction_is_overtaken(stage: Stage) -> None:
    """Others have as many turns before a transaction ends as it has statements, though none of them is a turn."""
    service = stage.service(
        """
        path = data / "d.db"
        setup = sqlite3.connect(path)
        setup.executescript("create table if not exists t(x)")
        @app.post("/once")
        async def once():
            c = sqlite3.connect(path, isolation_level=None)
            taken = c.execute("select count(*) from t").fetchone()[0]
            c.execute("begin immediate")
            for number in range(8):
                c.execute("insert into t values(?)", (number,))
            c.execute("commit")
            return taken
        """
    )
    runs = [stage.asked(service, "/once", "/once", hosts=2, seed=seed).result for seed in range(20)]
    assert sum(all(answer.body == 0 for answer in answers) for answers in runs) >= 18


@pytest.mark.parametrize("moment", [0.0, 0.002])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_thread_that_asks_again_and_again_holds_up_neither_its_host_nor_the_time(
    stage: Stage, kind: str, moment: float
) -> None:
    service = stage.service(
        f"""
        path = data / "d.db"
        sqlite3.connect(path).executescript("create table if not exists t(x)")
        @app.post("/wait")
        def wait():
            c = sqlite3.connect(path)
            while not c.execute("select count(*) from t").fetchone()[0]:
                pass
        @app.post("/set")
        {kind} set_it():
            with sqlite3.connect(path) as c:
                c.execute("insert into t values(1)")
        """
    )
    waiting, setting = stage.ask(service, "/wait", f"/set at {moment}")
    assert moment <= waiting.seconds <= moment + 0.003
    assert setting.seconds <= 0.003


def test_a_reader_that_wants_to_write_is_refused_at_once_whatever_its_time_out(stage: Stage, close: Close) -> None:
    """SQLite does not wait where that could mean a deadlock."""
    answers = stage.ask(
        """
        path = data / "d.db"
        sqlite3.connect(path).execute("create table if not exists t(x)").connection.commit()
        def transaction(begin):
            c = sqlite3.connect(path, isolation_level=None)
            try:
                c.execute(begin)
                n = c.execute("select count(*) from t").fetchone()[0]
                time.sleep(1)
                c.execute("insert into t values(?)", (n,))
                c.execute("commit")
                return n
            except sqlite3.OperationalError as error:
                return str(error)
            finally:
                c.close()
        @app.post("/deferred")
        def deferred():
            return transaction("begin")
        @app.post("/immediate")
        def immediate():
            return transaction("begin immediate")
        """,
        *["/deferred", "/deferred", "/immediate at 20", "/immediate at 20"],
    )
    assert sorted(str(answer.body) for answer in answers[:2]) == ["0", "database is locked"]
    assert sorted(answer.body for answer in answers[2:]) == [1, 2]


def test_write_ahead_logs_are_shared_between_hosts(stage: Stage) -> None:
    answers = stage.ask(
        """
        path = data / "d.db"
        setup = sqlite3.connect(path)
        setup.execute("pragma journal_mode = wal")
        setup.execute("create table if not exists t(x)")
        setup.commit()
        @app.post("/add")
        async def add():
            c = sqlite3.connect(path)
            with c:
                c.execute("insert into t values(1)")
        @app.post("/count")
        async def count():
            return sqlite3.connect(path).execute("select count(*) from t").fetchone()[0]
        """,
        *["/add"] * 6,
        "/count at 1",
        "/count at 1",
        hosts=2,
    )
    assert [answer.status for answer in answers] == [200] * 8
    assert [answer.body for answer in answers[6:]] == [6, 6]


def test_aiosqlite_and_subclasses_of_connection_are_patient_too(stage: Stage) -> None:
    answers = stage.ask(
        """
        import aiosqlite
        path = data / "d.db"
        class Mine(sqlite3.Connection):
            pass
        @app.post("/hold")
        async def hold():
            async with aiosqlite.connect(path) as c:
                await c.execute("create table if not exists t(x)")
                await c.execute("begin immediate")
                await asyncio.sleep(1)
                await c.execute("insert into t values(1)")
                await c.commit()
        @app.post("/write")
        async def write():
            async with aiosqlite.connect(path) as c:
                await c.execute("insert into t values(2)")
                await c.commit()
                return (await (await c.execute("select count(*) from t")).fetchone())[0]
        @app.post("/subclass")
        def subclass():
            c = sqlite3.connect(path, factory=Mine)
            with c:
                c.execute("insert into t values(3)")
            return type(c).__name__
        """,
        "/hold",
        "/write at 0.2",
        "/subclass at 0.4",
    )
    assert answers[1].body in (2, 3)
    assert answers[2].body == "Mine"
    assert all(0.5 < answer.seconds < 1.2 for answer in answers)


def test_sql_tells_the_hosts_time_in_statements_defaults_and_triggers(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            c = sqlite3.connect(data / "d.db")
            c.executescript('''
                create table t(x, day default current_date, clock default current_time, made default current_timestamp,
                               later default (datetime('now', '+1 day')));
                create table log(at);
                create trigger noted after insert on t begin insert into log values (datetime('now')); end;
            ''')
            c.execute("insert into t(x) values (1)")
            (row,) = c.execute("select day, clock, made, later from t")
            (log,) = c.execute("select at from log").fetchone()
            now = c.execute(
                "select date(), time('now'), strftime('%s', 'now'), unixepoch(), julianday('now'), "
                "strftime('%Y', '1999-12-31'), date('2024-02-28', '+1 day')"
            ).fetchone()
            return [*row, log, *now]
        """,
        "/x at 60",
    )
    assert answer.body[:5] == [
        "2026-01-05", "09:01:00", "2026-01-05 09:01:00", "2026-01-06 09:01:00", "2026-01-05 09:01:00",
    ]  # fmt: skip
    assert answer.body[5:9] == ["2026-01-05", "09:01:00", "1767603660", 1767603660]
    assert answer.body[9] == pytest.approx(2461045.87569, abs=0.0001)
    assert answer.body[10:] == ["1999", "2024-02-29"]


def test_files_are_as_old_as_the_virtual_clock_says(stage: Stage) -> None:
    async def scenario(sim: Simulation, host: Host) -> list[Any]:
        await stage.one(sim, host, "/write at 10")
        early = (await stage.one(sim, host, "/ages at 70")).body
        await host.restart()
        return [early, (await stage.one(sim, host, "/ages at 100")).body]

    ages = stage.play(
        """
        @app.post("/write")
        async def write():
            (data / "a").write_text("a")
            (data / "b.tmp").write_bytes(b"b")
            os.replace(data / "b.tmp", data / "b")
        @app.post("/ages")
        async def ages():
            times = [(data / "a").stat().st_mtime, os.path.getmtime(data / "b")]
            times += [entry.stat().st_mtime for entry in sorted(os.scandir(data), key=lambda e: e.name)]
            return [round(time.time() - at) for at in times]
        """,
        scenario,
    ).result
    assert ages == [[60] * 4, [90] * 4]


def test_rows_scripts_and_returning_clauses_mean_what_they_always_mean(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            c = sqlite3.connect(data / "d.db")
            c.row_factory = sqlite3.Row
            c.executescript("begin; create table t(a, b); insert into t values ('x;y', 1); commit; -- a; comment")
            many = c.executemany("insert into t values (?, ?)", ((f"k{n}", n) for n in range(3)))
            counted = many.rowcount
            c.rollback()
            free = sqlite3.connect(data / "d.db", isolation_level=None)
            free.executemany("insert into t values (?, ?)", [("m", 2), ("n", 3)])
            claimed = free.execute("update t set b = b + 10 where a = 'm' returning b").fetchone()[0]
            return [counted, claimed, [tuple(row) for row in c.execute("select a, b as n from t order by a")],
                    c.execute("select b as n from t").fetchone()["n"], c.execute("pragma busy_timeout").fetchone()[0]]
        """,
        "/x",
    )
    assert answer.body == [3, 12, [["m", 12], ["n", 3], ["x;y", 1]], 1, 5000]


@pytest.mark.parametrize("secure", [False, True])
def test_what_is_deleted_stays_in_the_file_unless_somebody_asks_for_more(stage: Stage, secure: bool) -> None:
    found = stage.asked(
        stage.service(
            f"""
            db = sqlite3.connect(data / "d.db", isolation_level=None)
            if {secure}:
                db.execute("pragma secure_delete = on")
            @app.post("/forget")
            def forget():
                db.execute("create table words(word)")
                db.execute("insert into words values('mandragora')")
                db.execute("delete from words")
                return b"mandragora" in (data / "d.db").read_bytes()
            """
        ),
        "/forget",
    )
    assert found.result[0].body is not secure


def test_nobody_waits_for_a_real_disk(stage: Stage) -> None:
    (answer,) = stage.ask(
        """
        @app.post("/x")
        async def x():
            c, found = sqlite3.connect(data / "d.db"), []
            for pragma in ("", "= normal", "(EXTRA)", "= 'off'", "= 2"):
                rows = c.execute(f"pragma main.synchronous {pragma}").fetchall()
                really = sqlite3.Cursor.__bases__[0](c).execute("pragma synchronous").fetchone()[0]
                found.append([[row[0] for row in rows], c.execute("PRAGMA synchronous;").fetchone()[0], really])
            with open(data / "kept", "w") as file:
                os.fsync(file)
                os.fdatasync(file.fileno())
            try:
                os.fsync(file.fileno())
            except ValueError as error:
                return [*found, str(error)]
        """,
        "/x",
    )
    levels = [[[2], 2, 0], [[], 1, 0], [[], 3, 0], [[], 0, 0], [[], 2, 0]]
    assert answer.body == [*levels, "I/O operation on closed file"]
