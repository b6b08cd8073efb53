"""Randomness from the seed: `random`, `os.urandom`, what stands on it (`uuid4`, `secrets`, numpy's), `hash` of text."""

from __future__ import annotations

import builtins
import os
import random
import sys
import uuid
from typing import Any


def install(seed: str) -> None:
    """Seed every source of randomness of this process.

    PYTHONHASHSEED is set before the forkserver starts, so that sets have one order a seed. All hosts share it; so what
    `hash` says of text is salted here, and is another in each process, as in production.
    """
    source = random.Random(f"{seed}/urandom")
    module: Any = random
    identifiers: Any = uuid
    os.urandom = module._urandom = source.randbytes
    if hasattr(os, "getrandom"):
        os.getrandom = lambda size, flags=0: source.randbytes(size)  # noqa: ARG005
    reseed = random.Random.seed

    def seed_ours(self: random.Random, a: Any = None, version: int = 2) -> None:
        """As ever, but where the machine's own entropy would be drawn."""
        reseed(self, source.getrandbits(256) if a is None else a, version)

    random.Random.seed = seed_ours  # type: ignore[method-assign]
    module.seed = module._inst.seed
    random.seed(f"{seed}/random")
    if numpy := sys.modules.get("numpy.random"):
        numpy.seed(source.getrandbits(32))  # the one that all of numpy's functions share; a generator seeds itself
    salt = source.getrandbits(60) | 1
    unsalted = hash
    builtins.hash = lambda value: unsalted(value) ^ salt if _has_text(value) else unsalted(value)
    identifiers._node = 0x020000000001  # uuid1: neither this machine's address, nor its clock
    identifiers._generate_time_safe = None


def _has_text(value: object) -> bool:
    return isinstance(value, (str, bytes)) or (isinstance(value, (tuple, frozenset)) and any(map(_has_text, value)))
