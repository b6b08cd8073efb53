"""How the provider counts: a run of letters is cut into pieces of at most six, a run of digits into pieces of three;
every other visible character is one token. A chat message adds MESSAGE.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGE = 4

_TOKEN = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_")
_KEPT = 2_048  # texts whose size is known: the same prompts and passages come again and again


@lru_cache(_KEPT)
def count(text: str) -> int:
    return len(_TOKEN.findall(text))


def count_messages(texts: Iterable[str]) -> int:
    return sum(count(text) + MESSAGE for text in texts)


def cut(text: str, limit: int) -> str:
    """The first `limit` tokens of the text."""
    end = 0
    for number, match in enumerate(_TOKEN.finditer(text), start=1):
        if number > limit:
            return text[:end]
        end = match.end()
    return text
