"""Offline evaluation: a change is let through if it is worse nowhere, and not if it is better on the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class GoldenChanged(Exception):
    """The golden set is not the one that was agreed on."""


@dataclass(frozen=True)
class Verdict:
    """`slices`: name -> the shares (0 to 1) that the baseline and the candidate have right."""

    passed: bool
    reason: str
    slices: dict[str, tuple[float, float]]


def fingerprint(golden: Sequence[Mapping[str, str]]) -> str:
    """The golden set in short. A case is {"id", "slice", "question", "expected", …}. The order of the cases, and of the
    names in a case, is no difference; anything else is."""
    raise NotImplementedError("fingerprint in service/patterns/evaluation.py")


def gate(
    golden: Sequence[Mapping[str, str]], pinned: str, baseline: Mapping[str, bool], candidate: Mapping[str, bool]
) -> Verdict:
    """May the candidate take the baseline's place? `baseline` and `candidate`: which cases, by id, each has right.

    It does not pass if, in a slice of 20 cases or more, it loses 30 of 100, or more, and wins none there, however much
    it wins elsewhere; nor if, of 50 cases or more in all, it loses 10 of 100, and wins none. It passes when it is the
    same system, asked once more: of its answers, 3 in 100 turn out otherwise by chance, in either direction, also in a
    slice of one or three. What lies between is yours to judge. A case that the candidate has no result for is a wrong
    one; a result without a case is nothing. `reason` names the slices that got worse. Raises GoldenChanged unless `pinned` is the fingerprint of `golden`.
    """
    raise NotImplementedError("gate in service/patterns/evaluation.py")
