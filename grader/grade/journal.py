"""What a batch has found out so far, on the disk: a line for each result, written before it counts.

The first line says what all the others depend on: the group, its tests, the versions, the seeds; and what was handed
in. A line that was not written to its end is no line. So a kill, a full disk or a power cut costs what was under way,
and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from grader.curriculum import Trouble
from grader.outcome import GroupOutcome

NAME = "journal.jsonl"
LOCK = ".lock"


class Terms(msgspec.Struct, frozen=True):
    """What a result depends on, beside the work itself."""

    group: str
    tests: str  # SHA-256 of the group as it ships, and of the private tests
    versions: Mapping[str, str]
    seeds: tuple[int, ...]
    sandbox: bool


class _Head(msgspec.Struct, frozen=True):
    terms: Terms
    submissions: tuple[str, ...]  # their names


class _Line(msgspec.Struct):
    digest: str  # of the submission
    outcomes: tuple[GroupOutcome, ...]


class OtherTerms(Trouble):
    """The journal is of other tests, or of another version: its results do not compare with new ones."""


class OtherBatch(Trouble):
    """The journal is of submissions that are not named now."""


class NoBatch(Trouble):
    """There is nothing to go on with."""


class InUse(Trouble):
    """Another process writes to the journal."""


class CannotKeep(Trouble):
    """The disk takes no more."""

    usage = False


class Journal:
    """An open journal, which no other process writes to. `known`: digest of a submission -> its outcomes."""

    def __init__(
        self, file: Path, terms: Terms, known: dict[str, tuple[GroupOutcome, ...]], lock: contextlib.ExitStack
    ) -> None:
        self.file = file
        self.terms = terms
        self.known = known
        self._lock = lock
        self._stream = file.open("ab")

    @classmethod
    def begin(cls, folder: Path, terms: Terms, submissions: Sequence[str] = ()) -> Journal:
        """A new one, in place of what was there. Raises InUse and CannotKeep."""
        with _kept_in(folder), _locked(folder) as lock:
            _write(folder / NAME, _Head(terms, tuple(submissions)))
            return cls(folder / NAME, terms, {}, lock.pop_all())

    @classmethod
    def go_on(cls, folder: Path, terms: Terms, submissions: Sequence[str] = ()) -> Journal:
        """The one that is there, if it is of these terms, and of no other submissions; the seeds are the journal's.

        Raises NoBatch, OtherTerms, OtherBatch, InUse and CannotKeep.
        """
        file = folder / NAME
        if not file.exists():
            raise NoBatch(f"there is no batch in {folder} to go on with")
        with _kept_in(folder), _locked(folder) as lock:
            first, *rest = file.read_bytes().split(b"\n")
            try:
                head = msgspec.json.decode(first, type=_Head)
            except msgspec.DecodeError:
                raise OtherTerms(f"{file} is no journal of this version") from None
            if msgspec.structs.replace(head.terms, seeds=terms.seeds) != terms:
                raise OtherTerms(f"{file} is of other tests, or of other versions")
            if missing := set(head.submissions) - set(submissions):
                what = f"the batch in {folder} has {min(missing)}, which you do not name now"
                raise OtherBatch(what + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""))
            lines = rest[:-1]  # what is behind the last line end was never written to its end
            known = {}
            for line in lines:
                with contextlib.suppress(msgspec.DecodeError):  # then it is judged again
                    read = msgspec.json.decode(line, type=_Line)
                    known[read.digest] = read.outcomes
            _write(file, _Head(head.terms, tuple(submissions)), lines)
            return cls(file, head.terms, known, lock.pop_all())

    def keep(self, digest: str, outcomes: tuple[GroupOutcome, ...]) -> None:
        """From now on it is known, whatever happens. Raises CannotKeep."""
        with _kept_in(self.file.parent):
            self._stream.write(msgspec.json.encode(_Line(digest, outcomes)) + b"\n")
            self._stream.flush()
            self.known[digest] = outcomes  # the file has it: a Ctrl-C while the disk takes its time changes nothing
            os.fsync(self._stream.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what a full disk did not take is no line
            self._stream.close()
        self._lock.close()


def _write(file: Path, head: _Head, lines: Sequence[bytes] = ()) -> None:
    """The whole journal, or none of it."""
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as stream:
        stream.writelines(line + b"\n" for line in (msgspec.json.encode(head), *lines))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


@contextlib.contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotKeep(f"cannot keep results in {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[contextlib.ExitStack]:
    """Hold the folder for this process alone; who takes what is on the stack away holds it on. Raises InUse."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        lock = held.enter_context((folder / LOCK).open("ab"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another learn grade is at work in {folder}: wait for it, or name another folder with --out"
            raise InUse(what) from None
        yield held
