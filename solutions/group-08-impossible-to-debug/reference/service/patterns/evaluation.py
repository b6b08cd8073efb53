"""Offline evaluation: a change is let through if it is worse nowhere, and not if it is better on the whole."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

CHANCE = 0.05  # a loss that so seldom comes by chance is none


class GoldenChanged(Exception):
    """The golden set is not the one that was agreed on."""


@dataclass(frozen=True)
class Verdict:
    """`slices`: name -> the shares (0 to 1) that the baseline and the candidate have right."""

    passed: bool
    reason: str
    slices: dict[str, tuple[float, float]]


def fingerprint(golden: Sequence[Mapping[str, str]]) -> str:
    """The golden set in short, whatever its order."""
    cases = sorted(json.dumps(dict(case), sort_keys=True) for case in golden)
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()


def gate(
    golden: Sequence[Mapping[str, str]], pinned: str, baseline: Mapping[str, bool], candidate: Mapping[str, bool]
) -> Verdict:
    """May the candidate take the baseline's place? Raises GoldenChanged."""
    if fingerprint(golden) != pinned:
        raise GoldenChanged(f"the golden set is {fingerprint(golden)}, and {pinned} was agreed on")
    slices: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for case in golden:
        slices[case["slice"]].append((baseline.get(case["id"], False), candidate.get(case["id"], False)))
    worse = [name for name, pairs in slices.items() if _is_worse(pairs, 0.15)]
    if _is_worse([pair for pairs in slices.values() for pair in pairs], 0.08):
        worse.append("all")
    shares = {
        name: (sum(was for was, _ in pairs) / len(pairs), sum(now for _, now in pairs) / len(pairs))
        for name, pairs in slices.items()
    }
    told = "; ".join(f"{name}: {shares[name][0]:.0%} → {shares[name][1]:.0%}" for name in worse if name in shares)
    return Verdict(not worse, f"worse: {', '.join(worse)} {told}".strip() if worse else "worse nowhere", shares)


def _is_worse(pairs: list[tuple[bool, bool]], loss: float) -> bool:
    """So many more are lost than won, and that is no chance: of pairs that differ, each would fall either way (sign test)."""
    lost, won = sum(was and not now for was, now in pairs), sum(now and not was for was, now in pairs)
    if lost - won < loss * len(pairs):
        return False
    n = lost + won
    return n > 0 and sum(comb(n, k) for k in range(lost, n + 1)) / 2**n <= CHANCE
