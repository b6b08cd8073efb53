"""Metadata-first retrieval: what cannot be the answer is not looked at, however well it reads."""

from collections.abc import Callable, Mapping
from typing import Any


def admits(region: str, as_of: str) -> Callable[[Mapping[str, Any]], bool]:
    """Says of a document's metadata whether it holds in this region, on this day ("2025-03-01").

    Metadata has "region", "effective_from" and "effective_to". A document holds in its region; in "all", everywhere. It
    holds from the day `effective_from` on, that day included, and up to `effective_to`, that day not included; with None, or
    without the field, for good. Without a region, or without `effective_from`, or with something that is no day ("soon",
    "2025-02-30", 2025), nobody knows when it holds: it does not.
    """
    raise NotImplementedError("admits in service/patterns/metadata.py")
