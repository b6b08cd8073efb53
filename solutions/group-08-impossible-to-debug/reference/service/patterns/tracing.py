"""End-to-end trace: one id from the traveller's request to the last call that comes of it, across queue and threads."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
Keep = Callable[[str, list[dict]], None]


class Tracing:
    """The spans of this process, made by OpenTelemetry. `keep(trace_id, spans)`: see _Traces."""

    def __init__(self, keep: Keep, share: float = 1.0) -> None:
        # the default sampler believes a client who says that his request is not sampled: its failure would be lost
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(_Traces(keep, share))
        self._tracer = provider.get_tracer("desk")

    @contextmanager
    def span(self, name: str, carrier: Mapping[str, str] | None = None) -> Iterator[None]:
        """A span, current inside its block; a child of the current one, or of that in `carrier`."""
        context = None if carrier is None else _W3C.extract(carrier, context=Context())
        with self._tracer.start_as_current_span(name, context=context):
            yield

    def headers(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return {name: value for name, value in carrier.items() if name == "traceparent"}

    async def offload(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)  # copies the context, as run_in_executor does not


class _Traces(SpanProcessor):
    """Holds a trace back until nothing of it is open here, and decides then: by then it is known whether it failed."""

    def __init__(self, keep: Keep, share: float) -> None:
        self._keep, self._share = keep, share
        self._open: Counter[int] = Counter()
        self._ended: dict[int, list[dict]] = {}
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with self._lock:
            self._open[span.context.trace_id] += 1

    def on_end(self, span: ReadableSpan) -> None:
        trace = span.context.trace_id
        with self._lock:
            spans = self._ended.setdefault(trace, [])
            spans.append(_told(span))
            self._open[trace] -= 1
            if self._open[trace]:
                return
            del self._open[trace], self._ended[trace]
        # the low bits of an id are chance: the same decision for all parts of a trace, in every process
        if any(each["status"] == "error" for each in spans) or (trace & 0xFFFFFFFF) < self._share * 2**32:
            self._keep(f"{trace:032x}", spans)


def _told(span: ReadableSpan) -> dict:
    return {
        "span_id": f"{span.context.span_id:016x}",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "start": span.start_time / 1e9,
        "end": span.end_time / 1e9,
        "status": "ok" if span.status.is_ok else "error",
    }
