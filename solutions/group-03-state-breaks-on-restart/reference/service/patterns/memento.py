"""Memento: how far a piece of work has come, as bytes that another process, or a later version of the code, can go on from."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class Corrupt(Exception):
    """These bytes are no checkpoint, or not the whole of one."""


class UnknownVersion(Exception):
    """A checkpoint of a version of the code that is newer than this."""


@dataclass
class Progress:
    """The summaries that a job has so far: section number (from 0) -> summary."""

    parts: dict[int, str] = field(default_factory=dict)

    def checkpoint(self) -> bytes:
        """JSON, with "v": 2. What else is in it is yours; but a checkpoint that lacks its end, or in which a letter has
        changed, has to be found out by `restore`."""
        parts = sorted(self.parts.items())
        return json.dumps({"v": 2, "parts": parts, "sum": _sum(parts)}).encode()

    @classmethod
    def restore(cls, data: bytes) -> "Progress":
        """From a checkpoint of version 2, or of version 1, as it was: {"v": 1, "done": [summary of section 0, of 1, …]}.

        Raises UnknownVersion for JSON with a greater "v", and Corrupt for all else. The bytes come from a disk that others
        can write to: nothing in them is ever executed.
        """
        try:
            found = json.loads(data)
            version = found["v"]
            if version == 1:
                return cls(dict(enumerate(found["done"])))
            if version == 2 and found["sum"] == _sum(found["parts"]):
                return cls({number: part for number, part in found["parts"]})
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Corrupt from None
        if isinstance(version, int) and version > 2:
            raise UnknownVersion(version)
        raise Corrupt


def newest(checkpoints: Sequence[bytes]) -> Progress:
    """Restore the last of them that is not Corrupt; if there is none, no progress. UnknownVersion passes on."""
    for data in reversed(checkpoints):
        try:
            return Progress.restore(data)
        except Corrupt:
            continue
    return Progress()


def _sum(parts: Sequence[Any]) -> int:
    return zlib.crc32(json.dumps(parts).encode())
