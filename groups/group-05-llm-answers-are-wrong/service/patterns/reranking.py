"""Re-ranking: who reads question and passage together knows better than who has seen each alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any


async def rerank(
    question: str,
    passages: Sequence[tuple[str, str]],
    call: Callable[[str, list[str]], Awaitable[list[dict[str, Any]]]],
    patience: float = 2.0,
) -> list[tuple[str, float | None]]:
    """The passages, best first: each id once, with its score, 0 to 1.

    `passages` are (id, text), as the first stage has ranked them. `call(question, texts)` is the reranker: it answers
    [{"index": place in texts, "relevance_score": score}, …], in any order. Equal scores stay in the order of the first stage.

    An order that is good is better than none: if the reranker raises, has not answered after `patience` seconds, or answers
    something else (no list, an index that is none, a score that is no number), the result is the first stage's order, each
    score None. Passages that its answer leaves out come last, in the first stage's order, with None.
    """
    raise NotImplementedError("rerank in service/patterns/reranking.py")
