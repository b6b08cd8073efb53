"""A probe that is compiled as it stands: no `from __future__` of ours reaches it. It travels into the hosts."""

from dataclasses import dataclass
from typing import Any, ClassVar


def makes(_: Any) -> list[Any]:
    @dataclass(frozen=True)
    class Made:
        kind: ClassVar[str] = "made"
        size: int = 3

    return [Made().kind, Made(4).size]
