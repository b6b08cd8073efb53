"""Compression: say less, and nothing else. Sentences are left out; what is kept is kept literally."""

import re
from collections.abc import Sequence

from service.tokens import count

_DEPENDS = re.compile(r"(?:It|This|That|These|They|But|Except|Unless|Not|However)\b")


def compress(sentences: Sequence[str], scores: Sequence[float], most: int) -> list[str]:
    """The sentences of one passage that matter, as they stand there, in their order, of `most` tokens together.

    The higher its score, the sooner a sentence is kept; of equal ones, the first. A sentence that begins with one of

        It  This  That  These  They  But  Except  Unless  Not  However

    says something of the one before it. Who keeps the one before has to keep it, too, and who keeps it has to keep the one
    before: together they are kept, or not at all, with the best score among them. A fee without its exception is another fee.

    What does not fit is passed over, and what comes behind it is still tried. Only the best is kept in any case.
    """
    together: list[list[int]] = []
    for at, sentence in enumerate(sentences):
        if together and _DEPENDS.match(sentence):
            together[-1].append(at)
        else:
            together.append([at])
    best_first = sorted(together, key=lambda places: -max(scores[at] for at in places))
    kept: list[int] = []
    for places in best_first:
        size = sum(count(sentences[at]) for at in places)
        if size <= most or not kept:
            kept += places
            most -= size
    return [sentences[at] for at in sorted(kept)]
