"""Memento: how far a piece of work has come, as bytes that another process, or a later version of the code, can go on from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field


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
        body = json.dumps({str(number): part for number, part in self.parts.items()})
        return json.dumps({"v": 2, "body": body, "sha256": _sum(body)}).encode()

    @classmethod
    def restore(cls, data: bytes) -> "Progress":
        """From a checkpoint of version 2, or of version 1, as it was: {"v": 1, "done": [summary of section 0, of 1, …]}.

        Raises UnknownVersion for JSON with a greater "v", and Corrupt for all else. The bytes come from a disk that others
        can write to: nothing in them is ever executed.
        """
        try:
            match json.loads(data):
                case {"v": 1, "done": list(done)}:
                    return cls(dict(enumerate(done)))
                case {"v": 2, "body": str(body), "sha256": str(sum_)} if _sum(body) == sum_:
                    return cls({int(number): part for number, part in json.loads(body).items()})
                case {"v": int(version)} if version > 2:
                    raise UnknownVersion(version)
        except ValueError:
            pass
        raise Corrupt


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def newest(checkpoints: Sequence[bytes]) -> Progress:
    """Restore the last of them that is not Corrupt; if there is none, no progress. UnknownVersion passes on."""
    for data in reversed(checkpoints):
        try:
            return Progress.restore(data)
        except Corrupt:
            continue
    return Progress()
