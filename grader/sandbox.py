"""Confine a process that runs a learner's code: the limits that every host lives within.

Values only; `host/process.py` applies them to itself before it imports anything of theirs.
"""

from __future__ import annotations

MIB = 1024 * 1024

LIMITS = {
    "AS": 2048 * MIB,
    "DATA": 512 * MIB,
    "FSIZE": 64 * MIB,
    "NOFILE": 256,
    "CPU": 120,  # seconds
    "CORE": 0,
}
"""By the names of RLIMIT_*; bytes, but where a comment says otherwise."""
