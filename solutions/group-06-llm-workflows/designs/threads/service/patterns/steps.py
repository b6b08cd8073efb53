"""Stepwise execution: a run goes on where it stood, and everybody can see where that is."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS run_steps (run TEXT, name TEXT, value TEXT, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS run_sizes (run TEXT PRIMARY KEY, size INTEGER);
"""


class StepLimit(Exception):
    """A run has more steps than it may have."""


class Runs:
    """Steps that are done, of all runs, in the file. A run that is taken up again asks for its steps once more, from
    the first, and gets what they came to. `most`: steps that one run may have. Make the tables that you need."""

    def __init__(self, db: sqlite3.Connection, most: int = 40) -> None:
        self._db = db
        self._most = most
        db.executescript(SCHEMA)

    async def step(self, run: str, name: str, work: Callable[[str], Awaitable[Any]]) -> Any:
        """What step `name` of a run comes to: what JSON can say.

        If it is done, it is what it was, and `work` is not called. Else `work(key)` is, and what it returns is kept
        before this returns. The key is the same whenever this step of this run is tried, in whatever process, and
        another for every other: whoever has an effect sends it along. What `work` raises passes on, and the step is
        not done. Raises StepLimit, and does not call it, when the run has `most` steps already.
        """
        known = self._db.execute(
            "SELECT (SELECT value FROM run_steps WHERE run = ?1 AND name = ?2) AS value, "
            "(SELECT COUNT(*) FROM run_steps WHERE run = ?1) AS count",
            (run, name),
        ).fetchone()
        if known["value"] is not None:
            return json.loads(known["value"])
        if known["count"] >= self._most:
            raise StepLimit(f"{run} has {self._most} steps, and wants {name}")
        value = json.dumps(await work(json.dumps([run, name])))
        self._db.execute("INSERT OR IGNORE INTO run_steps VALUES (?, ?, ?)", (run, name, value))
        return json.loads(value)

    def expect(self, run: str, size: int) -> None:
        """How many steps the run will have, as far as one can tell now."""
        self._db.execute("INSERT OR REPLACE INTO run_sizes VALUES (?, ?)", (run, size))

    def progress(self, run: str) -> tuple[int, int]:
        """How many steps are done, and how many there will be: what was expected last, and never less than are done."""
        row = self._db.execute(
            "SELECT (SELECT COUNT(*) FROM run_steps WHERE run = ?1) AS done, "
            "(SELECT size FROM run_sizes WHERE run = ?1) AS size",
            (run,),
        ).fetchone()
        return row["done"], max(row["done"], row["size"] or 0)
