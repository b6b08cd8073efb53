"""Work that costs CPU, for the vendor functions that we ship: charged in virtual time in a host, burnt outside."""

from __future__ import annotations

import sys
import time


def burn(seconds: float) -> None:
    """Keep the calling thread busy for `seconds`. On the event loop's thread everybody waits."""
    if "grader.host.process" in sys.modules:
        time.sleep(seconds)  # virtual here, and blocking, as computation is
        return
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
