"""End-to-end trace: one id from the traveller's request to the last call that comes of it, across queue and threads."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any


class Tracing:
    """The spans of this process. OpenTelemetry's SDK makes them and knows which is current; or you do it by hand.

    `keep(trace_id, spans)` gets what a trace has come to once no span of it is open here any more, and is not called
    for a trace that is not worth keeping: one in which nothing failed, but for `share` of those (0 to 1), by trace,
    never by span. What a client's header says of sampling is no reason to forget a failure. A span is {"span_id",
    "parent_id", "name", "start", "end", "status"}: ids in lower-case hex, as `traceparent` has them (32 digits for a
    trace, 16 for a span), parent_id None without a parent, times in Unix seconds, and status "ok" or "error".
    """

    def __init__(self, keep: Callable[[str, list[dict]], None], share: float = 1.0) -> None:
        raise NotImplementedError("Tracing in service/patterns/tracing.py")

    def span(self, name: str, carrier: Mapping[str, str] | None = None) -> AbstractContextManager[Any]:
        """A span, current inside its block: also in tasks and in threads of asyncio.to_thread that are begun there.

        It is a child of the span that is current; or, with `carrier`, of the one that stands in there (what `headers`
        has given elsewhere; a client's headers). A carrier that has none, or a malformed one, begins a new trace. What
        is raised in the block makes its status "error", and passes on; to be cancelled in there ends the span, too.
        """
        raise NotImplementedError("Tracing.span in service/patterns/tracing.py")

    def headers(self) -> dict[str, str]:
        """{"traceparent": …} (W3C Trace Context) of the current span, to be sent along; {} where there is none."""
        raise NotImplementedError("Tracing.headers in service/patterns/tracing.py")

    async def offload(self, function: Callable[..., Any], *args: Any) -> Any:
        """What `function(*args)`, which blocks, returns or raises. It runs in a thread, and what is the current span
        here is so there, too. Mind that loop.run_in_executor alone loses it."""
        raise NotImplementedError("Tracing.offload in service/patterns/tracing.py")
