"""Single keys of a terminal, while a command goes on."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOOK = 0.2  # seconds between two looks at whether they are still wanted


@contextmanager
def pressed(tell: Callable[[str], None]) -> Iterator[bool]:
    """`tell` hears each key, in a thread of its own. False where nobody can press any: no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield False
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    ended = threading.Event()

    def hear() -> None:
        while not ended.is_set():
            if select.select([terminal], [], [], _LOOK)[0]:
                letter = os.read(terminal, 1)
                if not letter:
                    return
                tell(letter.decode("utf-8", "replace"))

    def resume(*_: Any) -> None:  # the shell has put the terminal back, on Ctrl-Z
        tty.setcbreak(terminal)

    thread = threading.Thread(target=hear, daemon=True)
    resumed = signal.signal(signal.SIGCONT, resume)
    tty.setcbreak(terminal)
    try:
        thread.start()
        yield True
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGCONT, resumed)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
