"""Hybrid retrieval: one scorer knows what words mean, the other knows what they are."""

from collections.abc import Mapping


def fuse(dense: Mapping[str, float], lexical: Mapping[str, float]) -> list[str]:
    """The ids of both, best first, each once.

    Each maps ids to scores, more is better, in no order. Scores of two scorers cannot be compared: multiplying all of one by
    1,000 changes nothing. A lexical score of 0 is no find, and counts as if it were not there; ids that only such scores
    have are left out.

    What stands high in both comes before what stands as high in one alone. The first of either is among the first **eight**,
    as long as the lexical one has found no more than six. The result depends on nothing but ids and scores: not on the order
    of the mappings, nor on the time of day.
    """
    places: dict[str, list[int]] = {}
    found = {ident: score for ident, score in lexical.items() if score}
    for scores in (dense, found):
        for place, ident in enumerate(sorted(scores, key=lambda i: (-scores[i], i))):
            places.setdefault(ident, []).append(place)
    missing = len(places)
    return sorted(places, key=lambda i: (min(places[i]), sum(places[i]) + missing * (2 - len(places[i])), i))
