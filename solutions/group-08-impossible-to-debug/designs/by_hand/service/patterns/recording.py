"""Input / output logging: each word is looked at, and decoded, until nothing more comes out of it."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

MASK = "[redacted]"
SAID = frozenset(("password", "secret", "token", "access_token", "api_key", "authorization"))
_FROM = re.compile(r"(?<!\w)\d")  # where a card may begin
_CARDS = [re.compile(rf"\d{{4,}}(?:[ -]\d{{4,}}){{{more}}}(?!\w)") for more in range(4)]  # in so many groups more


class Redactor:
    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = list(secrets)

    def clean(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: MASK if key.lower() in SAID else self.clean(each) for key, each in value.items()}
            case list() | tuple():
                return [self.clean(each) for each in value]
            case str():
                return self._clean_text(value)
        return value

    def pseudonym(self, user: str) -> str:
        return hmac.digest(self._secrets[0].encode(), user.encode(), "blake2b").hex()[:24]

    def _clean_text(self, text: str) -> str:
        try:
            inner = json.loads(text)
        except ValueError:
            inner = None
        if isinstance(inner, dict | list | str):
            clean = self.clean(inner)
            return text if clean == inner else json.dumps(clean)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for found in _cards(text):
            text = text.replace(found, MASK)
        return re.sub(r"\S+", lambda found: self._clean_word(found[0]), text)

    def _clean_word(self, word: str) -> str:
        if len(word) < 12 or word == MASK:
            return word
        return MASK if any(self._is_secret(inside) for inside in _readings(word)) else word

    def _is_secret(self, text: str) -> bool:
        return any(secret in text for secret in self._secrets) or bool(_cards(text))


def _readings(word: str) -> list[str]:
    """What a word may say, in whatever it is encoded."""
    found = [unquote(word), re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), word)]
    for stretch in re.findall(r"[A-Za-z0-9+/]{12,}", word):
        whole = stretch[: len(stretch) - (len(stretch) % 4 == 1)]
        found.append(base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("latin-1"))
    for stretch in re.findall(r"(?:[0-9a-fA-F]{2}){6,}", word):
        found.append(bytes.fromhex(stretch).decode("latin-1"))
    return [each for each in found if each != word]


def _cards(text: str) -> list[str]:
    """All that may be one, wherever it begins: a number before it is no part of it, nor is one behind it."""
    may_be = (shape.match(text, begin.start()) for begin in _FROM.finditer(text) for shape in _CARDS)
    return [found[0] for found in may_be if found and _luhn(found[0])]


def _luhn(text: str) -> bool:
    if not 13 <= sum(map(str.isdigit, text)) <= 19:
        return False
    total, double = 0, False
    for letter in reversed(text):
        if letter.isdigit():
            total += int(letter) if not double else (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(letter)]
            double = not double
    return total % 10 == 0


def capped(text: str, most: int = 2000) -> dict:
    return {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text[:most]}
