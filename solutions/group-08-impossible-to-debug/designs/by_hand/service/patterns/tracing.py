"""End-to-end trace, by hand: the current span in a context variable, and the open traces in a dict."""

import asyncio
import contextvars
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_current: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("span", default=None)


@dataclass
class _Trace:
    open: int = 0
    spans: list[dict] = field(default_factory=list)


class Tracing:
    """The spans of this process."""

    def __init__(self, keep: Callable[[str, list[dict]], None], share: float = 1.0) -> None:
        self._keep, self._share = keep, share
        self._traces: dict[str, _Trace] = {}
        self._lock = threading.Lock()

    @contextmanager
    def span(self, name: str, carrier: Mapping[str, str] | None = None) -> Iterator[None]:
        parent = _current.get() if carrier is None else _read(carrier.get("traceparent", ""))
        trace, above = parent or (f"{random.getrandbits(128) or 1:032x}", None)
        ident, start, status = f"{random.getrandbits(64) or 1:016x}", time.time(), "ok"
        with self._lock:
            self._traces.setdefault(trace, _Trace()).open += 1
        before = _current.set((trace, ident))
        try:
            yield
        except BaseException:
            status = "error"
            raise
        finally:
            _current.reset(before)
            told = {"span_id": ident, "parent_id": above, "name": name, "start": start, "end": time.time(), "status": status}
            self._end(trace, told)

    def headers(self) -> dict[str, str]:
        current = _current.get()
        return {"traceparent": f"00-{current[0]}-{current[1]}-01"} if current else {}

    async def offload(self, function: Callable[..., Any], *args: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(None, lambda: context.run(function, *args))

    def _end(self, name: str, span: dict) -> None:
        with self._lock:
            trace = self._traces[name]
            trace.spans.append(span)
            trace.open -= 1
            if trace.open:
                return
            del self._traces[name]
        failed = "error" in {each["status"] for each in trace.spans}
        if failed or random.Random(name).random() < self._share:
            self._keep(name, trace.spans)


def _read(text: str) -> tuple[str, str] | None:
    found = _TRACEPARENT.fullmatch(text)
    if not found or found[1] == "ff" or set(found[2]) == {"0"} or set(found[3]) == {"0"}:
        return None
    return found[2], found[3]
