"""Lines, sentences and codes of a policy."""

import re

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_CODE = re.compile(r"\b(?=\w*[^\W\d_])(?=\w*\d)\w+\b")


def sentences(text: str) -> list[str]:
    """The sentences of a text, literally. One ends at . ! or ? before white space and a capital, and at the end of its line.
    A row of a table (a line that begins with |) is one sentence."""
    found = []
    for line in text.splitlines():
        line = line.strip()
        found += [line] if line.startswith("|") else [part for part in _END.split(line) if part]
    return found


def codes(text: str) -> set[str]:
    """The words with letters and digits in them, such as H7Q, in capitals."""
    return {word.upper() for word in _CODE.findall(text)}
