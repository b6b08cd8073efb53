"""Black-box debugging: from the bad run, one half after the other is put back to what it was."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any


async def diagnose(
    good: Mapping[str, Any], bad: Mapping[str, Any], is_bad: Callable[[dict[str, Any]], Awaitable[bool]]
) -> str | None:
    suspects = sorted(name for name in bad if good[name] != bad[name])
    if not suspects:
        return None
    if not await is_bad({**bad}):
        return None

    async def among(names: list[str]) -> str:
        if len(names) == 1:
            return names[0]
        left, right = names[: len(names) // 2], names[len(names) // 2 :]
        healed = not await is_bad({**bad, **{name: good[name] for name in left}})
        return await among(left if healed else right)

    return await among(suspects)
