"""The SQLite file that all replicas share. Each piece of work has a connection of its own, so threads share none."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SCHEMA = """
create table if not exists documents(tenant text, name text, text text, primary key (tenant, name));
create table if not exists vectors(fingerprint text primary key, vector text);
create table if not exists summaries(id text primary key, tenant text, document text, summary text);
create table if not exists calls(
    tenant text, key text, document text, call text, model text, prompt text, primary key (tenant, key, document)
);
create table if not exists keys(
    tenant text, key text, fingerprint text, holder text, until real, status integer, body blob,
    primary key (tenant, key)
);
create table if not exists edits(
    number integer primary key, id text unique, tenant text, document text, kind text, command text, status text,
    reason text
);
"""


def connect() -> sqlite3.Connection:
    return sqlite3.connect(Path(os.environ["DATA_DIR"]) / "skylark.db", isolation_level=None, timeout=30.0)


def create() -> None:
    with closing(connect()) as db:
        db.executescript(SCHEMA)


@contextmanager
def reading() -> Iterator[sqlite3.Connection]:
    with closing(connect()) as db:
        yield db


@contextmanager
def writing() -> Iterator[sqlite3.Connection]:
    """A transaction: all that is done inside, or nothing."""
    with closing(connect()) as db:
        db.execute("begin immediate")
        try:
            yield db
        except BaseException:
            db.execute("rollback")
            raise
        db.execute("commit")
