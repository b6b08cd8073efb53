"""Black-box debugging: nobody knows what the model thinks; but one can ask it again with one thing changed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any


async def diagnose(
    good: Mapping[str, Any], bad: Mapping[str, Any], is_bad: Callable[[dict[str, Any]], Awaitable[bool]]
) -> str | None:
    """The name of the input that makes the difference between a run that went well and one that did not.

    `good` and `bad` have the same names, such as prompt and documents. `is_bad(inputs)` asks once more, with any
    mixture of the two, and says whether it goes wrong: expensive, so that it is called at most ⌈log₂ n⌉ + 1 times, n
    being how many of them differ. Several may differ; one is to blame. None if nothing differs, and then nobody is
    asked; and None if it does not go wrong with all inputs of the bad run: then it was none of them.
    """
    raise NotImplementedError("diagnose in service/patterns/blackbox.py")
