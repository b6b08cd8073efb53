"""Offline evaluation: net losses against a line for each slice, and one for all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SLICE, ALL = 0.2, 0.08  # net losses that are too many
FEWEST = 12  # cases that a slice needs to be judged alone


class GoldenChanged(Exception):
    """The golden set is not the one that was agreed on."""


@dataclass(frozen=True)
class Verdict:
    passed: bool
    reason: str
    slices: dict[str, tuple[float, float]]


def fingerprint(golden: Sequence[Mapping[str, str]]) -> str:
    lines = sorted(repr(sorted(case.items())) for case in golden)
    return hashlib.blake2b("\n".join(map(json.dumps, lines)).encode(), digest_size=16).hexdigest()


def gate(
    golden: Sequence[Mapping[str, str]], pinned: str, baseline: Mapping[str, bool], candidate: Mapping[str, bool]
) -> Verdict:
    if fingerprint(golden) != pinned:
        raise GoldenChanged("the golden set is another one")
    rows = [(case["slice"], bool(baseline.get(case["id"])), bool(candidate.get(case["id"]))) for case in golden]
    slices, worse = {}, []
    for name in dict.fromkeys(name for name, _, _ in rows):
        mine = [(was, now) for of, was, now in rows if of == name]
        slices[name] = (sum(was for was, _ in mine) / len(mine), sum(now for _, now in mine) / len(mine))
        if len(mine) >= FEWEST and slices[name][0] - slices[name][1] >= SLICE:
            worse.append(f"{name} falls from {slices[name][0]:.0%} to {slices[name][1]:.0%}")
    lost = sum(was for _, was, _ in rows) - sum(now for _, _, now in rows)
    if rows and lost >= ALL * len(rows):
        worse.append(f"{lost} answers of {len(rows)} are lost")
    return Verdict(not worse, "; ".join(worse) or "nothing is lost", slices)
