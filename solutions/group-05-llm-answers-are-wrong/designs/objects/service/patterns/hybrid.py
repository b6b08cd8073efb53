"""Hybrid retrieval: one scorer knows what words mean, the other knows what they are."""

from collections.abc import Mapping

import numpy as np


def fuse(dense: Mapping[str, float], lexical: Mapping[str, float]) -> list[str]:
    """The ids of both, best first, each once.

    Each maps ids to scores, more is better, in no order. Scores of two scorers cannot be compared: multiplying all of one by
    1,000 changes nothing. A lexical score of 0 is no find, and counts as if it were not there; ids that only such scores
    have are left out.

    What stands high in both comes before what stands as high in one alone. The first of either is among the first **eight**,
    as long as the lexical one has found no more than six. The result depends on nothing but ids and scores: not on the order
    of the mappings, nor on the time of day.
    """
    idents = sorted({*dense, *(ident for ident, score in lexical.items() if score > 0)})
    total = np.zeros(len(idents))
    for scores in (dense, lexical):
        values = np.array([scores.get(ident, -np.inf) for ident in idents])
        places = np.empty(len(idents))
        places[np.argsort(-values, kind="stable")] = np.arange(len(idents))
        known = values > (0 if scores is lexical else -np.inf)
        total += np.where(known, 1 / (20 + places), 0)
    return [idents[at] for at in np.argsort(-total, kind="stable")]
