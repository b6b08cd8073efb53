"""The disk of a host: SQLite's waits and clocks, file times, file locks, and an announcement of each durable effect.

A host whose disk others share hands over before each statement that they could tell from a later one: otherwise
lockstep makes all that lies between two awaits atomic, and no check-then-act between hosts ever races. Durable effects
below the data folder (a commit, a file opened for writing, a write, a rename, a removal) are announced when they have
happened, so that the simulation can crash a host right behind any of them. A crash ends the process, not the machine,
so nothing waits for a real disk: fsync, and what SQLite does of it, is left out. What goes past Python's own ways
(mmap, other libraries) is not announced; the simulation sees that the disk changed, and says so.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import io
import os
import re
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from grader import wire
from grader.host import where
from grader.host.kernel import kernel

T = TypeVar("T")

_real_connect = sqlite3.connect
_real_cursor = sqlite3.Cursor
_LONGEST_NAP = 0.1

# --------------------------------------------------------------------------------------------------- effects

_data = "\0"  # the data folder, with a slash behind it


def effect(kind: str, text: str) -> None:
    """Something durable has happened."""
    if kernel.counting or kernel.interleave:
        kernel.tell(wire.Effect(kind, wire.text(text), where.here()))


def _inside(path: Any) -> str | None:
    """The full path, if it lies below the data folder."""
    if not isinstance(path, (str, os.PathLike)):
        return None
    full = os.path.abspath(os.fspath(path))
    return full if isinstance(full, str) and full.startswith(_data) else None


# --------------------------------------------------------------------------------------------------- SQLite

_BUSY_TIMEOUT = re.compile(r"\bpragma\s+(?:\w+\s*\.\s*)?busy_timeout\b(?:\s*[=(]\s*(\d+)\s*\)?)?", re.IGNORECASE)
_SYNCHRONOUS = re.compile(r"\bpragma\s+(?:\w+\s*\.\s*)?synchronous\b(\s*[=(]\s*'?(\w+)'?\s*\)?)?", re.IGNORECASE)
_LEVELS = {"0": 0, "off": 0, "no": 0, "false": 0, "2": 2, "full": 2, "3": 3, "extra": 3}  # the rest is "normal"
_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*([a-z]*)", re.IGNORECASE | re.DOTALL)
_LOCKING = re.compile(r"begin\s+(?:immediate|exclusive)|insert|replace|update|delete|create|drop|alter", re.IGNORECASE)
_PRAGMA = r"pragma\s+(?:\w+\s*\.\s*)?(?:user_version|application_id|journal_mode|wal_checkpoint|optimize|\w*vacuum)"
_CHANGING = re.compile(rf"\b(returning|{_PRAGMA})\b", re.IGNORECASE)
_ALL_ROWS = r"delete\s+from\s+[\w.\"`\[\]]+\s*;?\s*$"  # writes the file even where there are none
_UNCOUNTED = re.compile(
    rf"\b((create|drop|alter|reindex|vacuum|{_PRAGMA})\b|{_ALL_ROWS})", re.IGNORECASE
)  # by total_changes


def _patiently(seconds: float, statement: Callable[[], T]) -> T:
    """Run `statement`; while the file is locked, wait in virtual time as SQLite's busy handler would."""
    until, nap = kernel.clock.now + round(seconds * 1e9), 0.001
    while True:
        try:
            return statement()
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            busy = code & 0xFF == sqlite3.SQLITE_BUSY and code != sqlite3.SQLITE_BUSY_SNAPSHOT
            left = (until - kernel.clock.now) / 1e9
            if not busy or left <= 0:
                raise
            kernel.sleep(min(nap, left))
            nap = min(nap * 2, _LONGEST_NAP)


class Cursor(sqlite3.Cursor):
    """sqlite3.Cursor, patient in virtual time."""

    connection: Connection
    _rows: deque[Any] | None = None  # of a statement that changes something: it ran to its end, which commits

    def execute(self, sql: str, *args: Any) -> Cursor:
        def run() -> Cursor:
            self._rows = None
            result = super(Cursor, self).execute(sql, *args)
            if self.description is not None and _CHANGING.search(sql):
                self._rows = deque(super(Cursor, self).fetchall())
            return result

        sql = self.connection._virtual(sql)
        return self.connection._perform(sql, run)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        left, run = deque(parameters), super().executemany

        def rows() -> Iterator[Any]:
            while left:
                yield left[0]
                left.popleft()
                if left:  # the one before is done, and without a transaction it is committed
                    self.connection._tell(sql, not self.connection.in_transaction)

        return self.connection._perform(sql, lambda: run(sql, rows()))

    def executescript(self, script: str) -> Cursor:
        connection = self.connection
        if connection.in_transaction and getattr(connection, "autocommit", -1) == -1:
            connection.commit()
        for sql in _statements(connection._virtual(script)):
            run = super().execute if connection.in_transaction else super().executescript
            connection._perform(sql, partial(run, sql))
        return self

    def fetchone(self) -> Any:
        if self._rows is None:
            return super().fetchone()
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        most = self.arraysize if size is None else size
        if self._rows is None:
            return super().fetchmany(most)
        return [self._rows.popleft() for _ in range(min(most, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        return super().fetchall() if self._rows is None else self.fetchmany(len(self._rows))

    def __next__(self) -> Any:
        if self._rows is None:
            return super().__next__()
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()


def _statements(script: str) -> Iterator[str]:
    sql = ""
    for part in re.split("(?<=;)", script):
        sql += part
        if sqlite3.complete_statement(sql):
            yield sql
            sql = ""
    if sql.strip():
        yield sql


class Connection(sqlite3.Connection):
    """sqlite3.Connection with a virtual busy time-out, and SQL clocks that tell the host's time."""

    def __init__(self, database: Any, timeout: float = 5.0, *args: Any, **kwargs: Any) -> None:
        self._patience = timeout
        self._synchronous = _LEVELS["full"]
        self._changes = 0  # as far as they have been told of
        self._uncounted = False  # has changed something that total_changes does not count, and is not committed yet
        self._holds = False  # a transaction has read or written
        self._writes = False  # a transaction has the file's write lock
        path = _inside(database)
        self._durable = path is not None or str(database).startswith("file:")
        new = path is not None and not os.path.exists(path)
        if path is not None:
            _watch(path)
        super().__init__(database, 0, *args, **kwargs)
        for name, arity in (("datetime", -1), ("date", -1), ("time", -1), ("julianday", -1), ("strftime", -1)):
            self.create_function(name, arity, _sql_clock(name), deterministic=True)
        self.create_function("unixepoch", -1, _sql_clock("unixepoch"), deterministic=True)
        for name, shape in (("current_timestamp", "datetime"), ("current_date", "date"), ("current_time", "time")):
            self.create_function(name, 0, _sql_clock(shape), deterministic=True)
        # builds of SQLite differ in this: here, what is deleted stays in the file until somebody asks for more
        sqlite3.Cursor(self).execute("pragma secure_delete = off").close()
        _real_cursor(self).execute("pragma synchronous = off").close()
        if new:
            effect("open", "a new SQLite file")

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *args: Any) -> Any:
        return self.cursor().execute(sql, *args)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        self._perform("commit", super().commit)

    def rollback(self) -> None:
        self._perform("rollback", super().rollback)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        if kind is None:
            try:
                self.commit()
            except BaseException:
                self.rollback()
                raise
        else:
            self.rollback()
        return False

    def _virtual(self, sql: str) -> str:
        """`sql`, in which a busy time-out is ours, and so is how often the disk is waited for: never."""
        if found := _BUSY_TIMEOUT.search(sql):
            if found[1]:
                self._patience = int(found[1]) / 1000
            sql = _BUSY_TIMEOUT.sub(f"select {round(self._patience * 1000)} as timeout", sql)
        if found := _SYNCHRONOUS.search(sql):
            if found[1]:
                self._synchronous = _LEVELS.get(found[2].lower(), 1)
            sql = _SYNCHRONOUS.sub(f"select {self._synchronous} as synchronous where {int(not found[1])}", sql)
        return sql

    def _perform(self, sql: str, statement: Callable[[], T]) -> T:
        found = _WORD.match(sql)
        word, at = (found[1].lower(), found.start(1)) if found else ("", 0)
        ends = word in ("commit", "end", "rollback")
        # of what a writer does before it ends, other hosts see only that the file is locked
        kernel.step(to_the_world=kernel.interleave, unseen=self._writes and not ends)
        # where waiting could mean a deadlock (a reader that wants to write), SQLite gives up at once, and so do we
        result = _patiently(self._patience if ends or not self._holds else 0.0, statement)
        self._holds = self.in_transaction and (self._holds or word != "begin")
        self._writes = self.in_transaction and (self._writes or bool(_LOCKING.match(sql, at)))
        if word == "rollback":
            self._changes, self._uncounted = self.total_changes, False
        else:
            self._tell(sql, not self.in_transaction or word in ("commit", "end"))
        return result

    def _tell(self, sql: str, committed: bool) -> None:
        """If a change has been committed, say so."""
        self._uncounted = self._uncounted or bool(_UNCOUNTED.search(sql))
        if committed and self._durable and (self.total_changes != self._changes or self._uncounted):
            self._changes = self.total_changes
            effect("commit", "SQLite")
        self._uncounted = self._uncounted and not committed


def _connect(database: Any, timeout: float = 5.0, *args: Any, **kwargs: Any) -> Any:
    if len(args) < 4:  # the factory is the fourth after the time-out
        kwargs.setdefault("factory", Connection)
    return _real_connect(database, timeout, *args, **kwargs)


_calendar = _real_connect(":memory:", check_same_thread=False, factory=sqlite3.Connection)


def _sql_clock(name: str) -> Callable[..., Any]:
    """SQLite's date function `name`, in which 'now' is the host's wall clock."""

    def call(*args: Any) -> Any:
        values = list(args)
        at = 1 if name == "strftime" else 0
        if len(values) <= at:
            values.append("now")
        if isinstance(values[at], str) and values[at].strip().lower() == "now":
            wall = kernel.clock.wall() // 1_000_000
            values[at] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall // 1000)) + f".{wall % 1000:03d}"
        marks = ", ".join("?" * len(values))
        return _calendar.execute(f"select {name}({marks})", values).fetchone()[0]

    return call


# --------------------------------------------------------------------------------------------------- files

_stamps: dict[str, int] = {}  # path -> the time, in nanoseconds, that we last gave it
_real_stat = os.stat


def _watch(path: str) -> None:
    if path not in _stamps:
        try:
            _stamps[path] = _real_stat(path).st_mtime_ns
        except OSError:
            _stamps[path] = -1


def _stamp(path: str) -> None:
    """If `path` was written since we last looked, it was written at the host's time, not the machine's."""
    try:
        found = _real_stat(path).st_mtime_ns
        if found != _stamps[path]:
            now = kernel.clock.epoch + kernel.clock.now
            os.utime(path, ns=(now, now))
            _stamps[path] = _real_stat(path).st_mtime_ns
    except OSError:
        _stamps.pop(path, None)


def _stamp_all() -> None:
    for path in list(_stamps):
        _stamp(path)


def _stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
    if isinstance(path, (str, os.PathLike)) and _stamps:
        where_to = os.path.abspath(os.fspath(path))
        if where_to in _stamps:
            _stamp(where_to)
    return _real_stat(path, *args, **kwargs)


class _File(io.FileIO):
    """A file below the data folder. What it writes is durable: a crash ends the process, not the machine."""

    durable = True

    def write(self, data: Any) -> int:
        written = super().write(data)
        self.tell_effect("write")
        return written

    def truncate(self, size: int | None = None) -> int:
        left = super().truncate(size)
        self.tell_effect("truncate")
        return left

    def close(self) -> None:
        if not self.closed:
            _descriptors.discard(self.fileno())
        super().close()

    def tell_effect(self, kind: str) -> None:
        if self.durable:
            effect(kind, os.path.basename(str(self.name)))


_real_open = io.open
_real_descriptor = os.open
_descriptors: set[int] = set()  # open for writing, below the data folder
_WRITING = re.compile(r"(?=.*[wax+])(?=[^rwax]*[rwax][^rwax]*$)[rwax+]*[bt]?[rwax+]*")


def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    """open(), whose files below the data folder announce what they write."""
    full = _inside(file)
    ours = full is not None or opener is not None or (isinstance(file, int) and file in _descriptors)
    odd = ("b" in mode and (encoding or errors or newline)) or (buffering == 0 and "b" not in mode)
    if not ours or not _WRITING.fullmatch(mode) or odd:
        return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if full is not None:
        _watch(full)
    raw = _File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    raw.durable = full is not None or raw.fileno() in _descriptors
    if raw.durable:
        _descriptors.add(raw.fileno())
    raw.tell_effect("open")
    if buffering == 0:
        return raw
    kind: Any = io.BufferedRandom if "+" in mode else io.BufferedWriter
    buffer = kind(raw, buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE)
    if "b" in mode:
        return buffer
    text = io.TextIOWrapper(buffer, io.text_encoding(encoding), errors, newline, line_buffering=buffering == 1)
    text.mode = mode  # type: ignore[misc]
    return text


def _open_descriptor(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
    full = _inside(path) if flags & (os.O_WRONLY | os.O_RDWR) else None
    if full is not None:
        _watch(full)
    descriptor = _real_descriptor(path, flags, *args, **kwargs)
    _descriptors.discard(descriptor)
    if full is not None:
        _descriptors.add(descriptor)
        effect("open", os.path.basename(full))
    return descriptor


def _telling(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """os.`name`, which says so when it has changed something below the data folder."""

    def call(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        given = (*args[:2], *kwargs.values())
        paths = [full for each in given if (full := _inside(each))]
        if paths or any(isinstance(each, int) and each in _descriptors for each in given) or kwargs.get("dir_fd"):
            if len(paths) == 2 and paths[0] in _stamps:
                _stamps[paths[1]] = _stamps[paths[0]]
            effect(name, os.path.basename(paths[-1]) if paths else "")
        return result

    return call


def _no_wait(file: Any) -> None:
    """os.fsync, which only looks whether there is such a file."""
    os.fstat(file if isinstance(file, int) else file.fileno())


# --------------------------------------------------------------------------------------------------- file locks


def _virtual_flock(real: Callable[..., Any], unlock: int, at_once: int) -> Callable[..., Any]:
    def lock(descriptor: Any, operation: int, *args: Any) -> Any:
        nap = 0.001
        while True:
            kernel.step(to_the_world=kernel.interleave)
            try:
                return real(descriptor, operation if operation & unlock else operation | at_once, *args)
            except OSError as error:
                if operation & at_once or error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            kernel.sleep(nap)
            nap = min(nap * 2, _LONGEST_NAP)

    return lock


def install() -> None:
    """Once a process."""
    import fcntl

    module: Any = sqlite3
    module.connect = module.dbapi2.connect = _connect
    module.Connection = module.dbapi2.Connection = Connection
    module.Cursor = module.dbapi2.Cursor = Cursor
    os.stat = _stat
    fcntl.flock = _virtual_flock(fcntl.flock, fcntl.LOCK_UN, fcntl.LOCK_NB)
    fcntl.lockf = _virtual_flock(fcntl.lockf, fcntl.LOCK_UN, fcntl.LOCK_NB)
    builtins.open = io.open = _open
    os.open = _open_descriptor
    for name in ("fsync", "fdatasync"):
        if hasattr(os, name):
            setattr(os, name, _no_wait)
    for name in (
        "rename", "replace", "remove", "unlink", "truncate", "link", "symlink",
        "write", "pwrite", "writev", "pwritev", "ftruncate", "posix_fallocate", "sendfile", "copy_file_range",
    ):  # fmt: skip
        if hasattr(os, name):
            setattr(os, name, _telling(name, getattr(os, name)))
    importlib.reload(tempfile)  # it has bound os.unlink


def settle(data: str) -> None:
    """Watch the data folder of this host, in which all that is durable lies."""
    global _data
    if data:
        _data = os.path.abspath(data) + os.sep
        kernel.before_idle.append(_stamp_all)
