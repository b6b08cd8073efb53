"""Content hashing: what says the same has the same name, whoever writes it down, and however."""

import json
import unicodedata
from hashlib import sha256
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
    return sha256(json.dumps(canonical(payload), sort_keys=True).encode()).hexdigest()


def canonical(value: Any) -> Any:
    """The one form of all that say the same."""
    match value:
        case dict():
            return {key: canonical(each) for key, each in value.items() if key not in VOLATILE}
        case list() | tuple():
            return [canonical(each) for each in value]
        case str():
            return " ".join(unicodedata.normalize("NFC", value).split())
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
