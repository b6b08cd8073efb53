"""What a batch has found out so far, on the disk: a line for each result, written before it counts.

The first line says what all the others depend on: the group, its tests, the versions, the seeds. A line that was not
written to its end is no line. So a kill, a full disk or a power cut costs what was under way, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from grader.curriculum import Trouble
from grader.outcome import GroupOutcome

NAME = "journal.jsonl"


class Terms(msgspec.Struct, frozen=True):
    """What a result depends on, beside the work itself."""

    group: str
    tests: str  # SHA-256 of the group as it ships, and of the private tests
    versions: Mapping[str, str]
    seeds: tuple[int, ...]
    sandbox: bool


class _Line(msgspec.Struct):
    digest: str  # of the submission
    outcomes: tuple[GroupOutcome, ...]


class OtherTerms(Trouble):
    """The journal is of other tests, or of another version: its results do not compare with new ones."""


class Journal:
    """An open journal, which no other process writes to. `known`: digest of a submission -> its outcomes."""

    def __init__(self, file: Path, terms: Terms, known: dict[str, tuple[GroupOutcome, ...]]) -> None:
        self.file = file
        self.terms = terms
        self.known = known
        self._stream = file.open("ab")

    @classmethod
    def begin(cls, folder: Path, terms: Terms) -> Journal:
        """A new one, in place of what was there."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / NAME
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as stream:
            stream.write(msgspec.json.encode(terms) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
        return cls(file, terms, {})

    @classmethod
    def go_on(cls, folder: Path, terms: Terms) -> Journal:
        """The one that is there, if it is of these terms; the seeds are the journal's. Raises OtherTerms."""
        file = folder / NAME
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return cls.begin(folder, terms)
        whole, _, torn = data.rpartition(b"\n")
        lines = whole.split(b"\n")
        try:
            found = msgspec.json.decode(lines[0], type=Terms)
        except msgspec.DecodeError:
            raise OtherTerms(f"{file} is no journal of this version", "learn grade --regrade") from None
        if msgspec.structs.replace(found, seeds=terms.seeds) != terms:
            raise OtherTerms(f"{file} is of other tests, or of another version of them", "learn grade --regrade")
        known = {}
        for line in lines[1:]:
            try:
                read = msgspec.json.decode(line, type=_Line)
            except msgspec.DecodeError:
                continue  # it is judged again
            known[read.digest] = read.outcomes
        if torn:
            with file.open("r+b") as stream:
                stream.truncate(len(data) - len(torn))
        return cls(file, found, known)

    def keep(self, digest: str, outcomes: tuple[GroupOutcome, ...]) -> None:
        """From now on it is known, whatever happens. Raises OSError where the disk is full."""
        self._stream.write(msgspec.json.encode(_Line(digest, outcomes)) + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.known[digest] = outcomes

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
