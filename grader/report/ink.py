"""Colour, symbols and width of a terminal, for the commands that must start before rich has been imported.

Every colour stands beside a symbol, and every symbol beside a word.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from typing import TextIO

NARROWEST, WIDEST = 40, 100

_SYMBOLS = {"ok": "✓", "bad": "✗", "todo": "○", "here": "▶", "dot": "·", "bullet": "•", "rule": "─", "bar": "│"}
_ASCII = {"ok": "+", "bad": "x", "todo": "o", "here": ">", "dot": "-", "bullet": "*", "rule": "-", "bar": "|"}


@dataclass(frozen=True, slots=True)
class Ink:
    """How to write on one stream."""

    coloured: bool
    unicode: bool
    width: int

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def italic(self, text: str) -> str:
        return self._paint("3", text)

    def good(self, text: str) -> str:
        return self._paint("32", text)

    def bad(self, text: str) -> str:
        return self._paint("31", text)

    def warn(self, text: str) -> str:
        return self._paint("33", text)

    def command(self, text: str) -> str:
        """Something to type."""
        return self._paint("36", text)

    def heading(self, text: str) -> str:
        return self._paint("1;34", text)

    def symbol(self, name: str) -> str:
        return (_SYMBOLS if self.unicode else _ASCII)[name]

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text


class StatusLine:
    """A line that is drawn over itself, by any thread, and gone when it is empty. Silent where nobody watches."""

    def __init__(self, stream: TextIO, ink: Ink) -> None:
        self._stream = stream if stream.isatty() else None
        self._width = ink.width
        self._turn = threading.Lock()

    def draw(self, text: str) -> None:
        if self._stream:
            with self._turn:
                self._stream.write("\r\x1b[K" + text[: self._width - 1])
                self._stream.flush()


def ink(stream: TextIO) -> Ink:
    """The ink for a stream: no colour for NO_COLOR, a dumb terminal or a pipe; FORCE_COLOR colours a pipe."""
    terminal = stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
    coloured = not os.environ.get("NO_COLOR") and (terminal or bool(os.environ.get("FORCE_COLOR")))
    try:
        "✓▶─".encode(stream.encoding or "ascii")
        unicode = True
    except (UnicodeEncodeError, LookupError):
        unicode = False
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    return Ink(coloured, unicode, width)


def clean(text: str) -> str:
    """The text with every control character but newline and tab made visible: a learner's output paints no terminal."""
    return "".join(
        char if char in "\n\t" or char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
