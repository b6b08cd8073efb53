"""Multi-stage retrieval: a cheap look at everything, an expensive look at little."""

from collections.abc import Awaitable, Callable, Sequence


async def search(
    ranked: Sequence[str],
    refine: Callable[[list[str]], Awaitable[list[str]]],
    n: int = 50,
    k: int = 8,
) -> list[str]:
    """The best `k` of a corpus: ids, best first.

    `ranked` is what the cheap stage says of all of it, best first. `refine` is the expensive stage: it brings ids into a
    better order, and is paid for each. It is called once, with the first `n`, however large the corpus is; with fewer, if
    there are fewer; and not at all for none. What it puts among the first `k` is the result.
    """
    first = list(ranked[:n])
    return (await refine(first))[:k] if first else []
