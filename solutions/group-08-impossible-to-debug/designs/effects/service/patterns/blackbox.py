"""Black-box debugging: nobody knows what the model thinks; but one can ask it again with one thing changed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any


async def diagnose(
    good: Mapping[str, Any], bad: Mapping[str, Any], is_bad: Callable[[dict[str, Any]], Awaitable[bool]]
) -> str | None:
    """The name of the input that makes the difference: halved until one is left."""
    suspects = [name for name in bad if good[name] != bad[name]]
    if not suspects or not await is_bad(dict(bad)):
        return None
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        # only these as in the bad run, all else as in the good one
        is_among = await is_bad({**good, **{name: bad[name] for name in half}})
        suspects = half if is_among else suspects[len(half) :]
    return suspects[0]
