"""Stepwise execution: what has happened in a run is a log, and how far it is follows from that."""

import hashlib
import json
from types import SimpleNamespace


class StepLimit(Exception):
    pass


def Runs(db, most: int = 40) -> SimpleNamespace:
    columns = "seq INTEGER PRIMARY KEY, run TEXT, what TEXT, name TEXT, value TEXT"
    db.execute(f"CREATE TABLE IF NOT EXISTS happened ({columns})")
    db.execute("CREATE UNIQUE INDEX IF NOT EXISTS once ON happened (run, name) WHERE what = 'step'")

    def log(run: str, what: str) -> list:
        found = db.execute("SELECT name, value FROM happened WHERE run = ? AND what = ? ORDER BY seq", (run, what))
        return [tuple(row) for row in found]

    async def step(run: str, name: str, work):
        done = dict(log(run, "step"))
        if name not in done:
            if len(done) >= most:
                raise StepLimit(run)
            key = hashlib.sha256(f"{len(run)} {run} {name}".encode()).hexdigest()
            done[name] = json.dumps(await work(key))
            db.execute("INSERT INTO happened VALUES (NULL, ?, 'step', ?, ?)", (run, name, done[name]))
        return json.loads(done[name])

    def expect(run: str, size: int) -> None:
        db.execute("INSERT INTO happened VALUES (NULL, ?, 'expected', '', ?)", (run, size))

    def progress(run: str) -> tuple[int, int]:
        done, expected = len(log(run, "step")), log(run, "expected")
        return done, max(done, int(expected[-1][1]) if expected else 0)

    return SimpleNamespace(step=step, expect=expect, progress=progress)
