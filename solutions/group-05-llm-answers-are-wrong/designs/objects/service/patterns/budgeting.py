"""Context budgeting: what the model reads is limited, paid for, and read best at its edges."""

from collections.abc import Sequence

from service.tokens import MESSAGE, count


def room(window: int, reserve: int, messages: Sequence[str]) -> int:
    """The tokens (service.tokens) that are left for passages: of the window, without what is kept free for the answer,
    without these messages (instruction, question), and without the four that each message adds. 0 if nothing is left."""
    return max(0, window - reserve - sum(count(text) + MESSAGE for text in messages))


def pack(passages: Sequence[str], budget: int) -> list[str]:
    """The passages that fit, in the order in which they are to be read.

    They come best first. Each is in the result whole, once, or not at all, and together they have `budget` tokens at the
    most: exactly so many still fit. One that does not fit is passed over, and those behind it are still tried.

    The best of those that fit stands at one end of the result, and the second best at the other: what stands in the middle
    is neglected.
    """
    fitting: list[str] = []
    for passage in passages:
        if count(passage) <= budget:
            fitting.append(passage)
            budget -= count(passage)
    return fitting[0::2] + fitting[1::2][::-1]
