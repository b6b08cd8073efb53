"""Input / output logging: what went in and what came out, of every run, and nothing in it that nobody may read."""

from collections.abc import Iterable
from typing import Any

MASK = "[redacted]"


class Redactor:
    """`secrets`: texts that may stand nowhere, such as our own keys. The first of them, or any other thing that only we
    know, is also what pseudonyms are made with."""

    def __init__(self, secrets: Iterable[str]) -> None:
        raise NotImplementedError("Redactor in service/patterns/recording.py")

    def clean(self, value: Any) -> Any:
        """`value` (what JSON can say) without secrets: MASK stands in their place. All else is as it was.

        Secret are: the `secrets`; numbers of 13 to 19 digits that pass Luhn's check (cards), in one piece or in groups
        of four digits or more with a space or a dash between them, whatever number stands beside them. Others, such as
        order numbers, stay, and so do digits inside a word, such as an id in hex. And the whole value under a name that
        is, in any letters, password, secret, token, access_token, api_key or authorization. Each of them also when the
        text that has it is percent-encoded, base64 (standard alphabet), hex, or written with JSON's \\uXXXX; and in a
        string that is JSON. What is around a secret in plain text stays; of an encoded stretch, all may go. Cleaned
        again, it is the same.
        """
        raise NotImplementedError("Redactor.clean in service/patterns/recording.py")

    def pseudonym(self, user: str) -> str:
        """Another name for a user: the same for the same, so that one can still count and join, in whatever process;
        another for another; and who has a list of all users cannot find out whose it is: a hash alone is no pseudonym.
        """
        raise NotImplementedError("Redactor.pseudonym in service/patterns/recording.py")


def capped(text: str, most: int = 2000) -> dict:
    """{"text": its first `most` characters, "length": of the whole, "sha256": of the whole in UTF-8, in hex}."""
    raise NotImplementedError("capped in service/patterns/recording.py")
