"""Content hashing: what says the same has the same name, whoever writes it down, and however."""

import re
import unicodedata
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

VOLATILE = ("request_id", "sent_at", "trace_id")
"""Fields of a dict, however deep, that say nothing about what is meant."""


def fingerprint(payload: Any) -> str:
    """A short name for what `payload` says: 32 or more hexadecimal digits.

    `payload` is made of dicts with text keys, lists, tuples, text, numbers, True, False and None.

    The same for those that say the same: the keys of a dict in any order; text in NFC or NFD; any white space for one
    blank, and none at the ends of a text; 1 and 1.0; a tuple and a list; with the VOLATILE fields and without them.

    Different for all others: "1" and 1, 1 and True, None and "" and [] and {}, ["ab", "c"] and ["a", "bc"], another order
    in a list, another nesting, upper and lower case.

    It is the same in every process and on every machine, today and in a year.
    """
    digest = blake2b(digest_size=20)
    _feed(digest.update, payload)
    return digest.hexdigest()


def _feed(write: Callable[[bytes], None], value: Any) -> None:
    """Each value with its type and its length, so that no two can be written alike."""
    if isinstance(value, dict):
        known = sorted(key for key in value if key not in VOLATILE)
        write(b"d%d:" % len(known))
        for key in known:
            _feed_text(write, b"k", key)
            _feed(write, value[key])
    elif isinstance(value, (list, tuple)):
        write(b"l%d:" % len(value))
        for each in value:
            _feed(write, each)
    elif isinstance(value, str):
        _feed_text(write, b"t", spelled(value))
    elif value is None or isinstance(value, bool):
        _feed_text(write, b"c", str(value))
    else:
        _feed_text(write, b"n", str(int(value) if value == int(value) else value))


def spelled(text: str) -> str:
    """The one spelling of all that say the same."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def _feed_text(write: Callable[[bytes], None], tag: bytes, text: str) -> None:
    data = text.encode()
    write(b"%b%d:%b" % (tag, len(data), data))
