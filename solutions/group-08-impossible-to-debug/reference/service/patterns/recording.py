"""Input / output logging: what went in and what came out, of every run, and nothing in it that nobody may read."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

MASK = "[redacted]"
NAMES = {"password", "secret", "token", "access_token", "api_key", "authorization"}

_NUMBERS = re.compile(r"(?<!\w)\d+(?:[ -]\d+)*(?!\w)")  # with a blank or a dash between them


class Redactor:
    """`secrets`: texts that may stand nowhere. The first of them makes the pseudonyms."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._key = (self._secrets or [""])[0].encode()

    def clean(self, value: Any) -> Any:
        """`value` without secrets. Cleaned again, it is the same."""
        if isinstance(value, dict):
            return {self.clean(k): MASK if k.lower() in NAMES else self.clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(each) for each in value]
        return self._text(value) if isinstance(value, str) else value

    def pseudonym(self, user: str) -> str:
        return f"user-{hmac.new(self._key, user.encode(), hashlib.sha256).hexdigest()[:16]}"

    def _text(self, text: str, depth: int = 2) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _NUMBERS.sub(_without_cards, text)
        if not depth:
            return text
        if text[:1] in "{[\"" and (inner := _parsed(text)) is not None:
            clean = self.clean(inner)
            return text if clean == inner else json.dumps(clean)
        for shape, decoded in _ENCODED:
            for stretch in set(shape.findall(text)):
                inside = decoded(stretch)
                if self._text(inside, depth - 1) != inside:
                    text = text.replace(stretch, MASK)
        return text


def capped(text: str, most: int = 2000) -> dict:
    """The beginning of a text, and enough to know the whole."""
    return {"text": text[:most], "length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _without_cards(found: re.Match[str]) -> str:
    """A card's groups may have neighbours: what it is for before it, and until when it is valid behind it."""
    parts = re.split("([ -])", found[0])  # numbers, and what is between them
    for at in range(0, len(parts), 2):
        for end in range(at + 1, min(at + 38, len(parts) + 1), 2):
            if _is_card(parts[at:end:2]):
                parts[at:end] = [MASK, *[""] * (end - at - 1)]
    return "".join(parts)


def _is_card(groups: list[str]) -> bool:
    """A number in one piece, or in groups of four digits and more: shorter ones are prices, days, pages."""
    digits = "".join(groups)
    if not digits.isdigit() or not 13 <= len(digits) <= 19 or (len(groups) > 1 and min(map(len, groups)) < 4):
        return False
    luhn = sum(sum(divmod(2 * int(d), 10)) if at % 2 else int(d) for at, d in enumerate(reversed(digits)))
    return luhn % 10 == 0


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_base64(text: str) -> str:
    stripped = text.rstrip("=")
    stripped = stripped[:-1] if len(stripped) % 4 == 1 else stripped
    return base64.b64decode(stripped + "=" * (-len(stripped) % 4)).decode("utf-8", "ignore")


def _from_hex(text: str) -> str:
    return bytes.fromhex(text).decode("utf-8", "ignore")


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text)


_ENCODED: list[tuple[re.Pattern[str], Callable[[str], str]]] = [
    (re.compile(r"\S*\\u[0-9A-Fa-f]{4}\S*"), _unescaped),
    (re.compile(r"\S*%[0-9A-Fa-f]{2}\S*"), unquote),
    (re.compile(r"[A-Za-z0-9+/]{16,}={0,2}"), _from_base64),
    (re.compile(r"(?:[0-9A-Fa-f]{2}){8,}"), _from_hex),
]
"""What a stretch of encoded text looks like, and what stands in it."""
