"""The provider's tokenizer, as published: a run of letters is cut into pieces of at most six, a run of digits into pieces of
three; every other visible character is one token."""

import re

MESSAGE = 4  # what each message of a chat adds

_TOKEN = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_")


def count(text: str) -> int:
    return len(_TOKEN.findall(text))
