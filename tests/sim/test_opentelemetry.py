"""OpenTelemetry in a host: warm for those that allow it, its times and ids from the simulation, and its context."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from grader.sim import Forkserver
from tests.sim.conftest import Stage

SPANS = """
import sys
warm = "opentelemetry.sdk.trace" in sys.modules
from contextlib import suppress
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("x")

def parent():
    span = trace.get_current_span().get_span_context()
    return f"{span.span_id:016x}" if span.is_valid else ""

async def awaited():
    await asyncio.sleep(0.5)
    return parent()

@app.post("/spans")
async def spans(request: Request):
    with tracer.start_as_current_span("root") as root:
        own = parent()
        carrier = {}
        TraceContextTextMapPropagator().inject(carrier)
        gathered = await asyncio.gather(awaited(), awaited())
        in_thread = await asyncio.to_thread(parent)
        in_executor = await asyncio.get_running_loop().run_in_executor(None, parent)
    provider.force_flush()
    (span,) = exporter.get_finished_spans()
    return {
        "warm": warm, "own": own, "gathered": gathered, "in_thread": in_thread, "in_executor": in_executor,
        "lasts": (span.end_time - span.start_time) / 1e9, "sent": carrier["traceparent"],
    }
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    launched = Forkserver.launch(seed=1, allowed=("fastapi", "opentelemetry"))
    yield Stage(launched, tmp_path_factory.mktemp("warm"))
    launched.close()


def test_a_group_that_allows_it_has_it_warm(warm: Stage, stage: Stage) -> None:
    assert warm.asked(warm.service(SPANS), "/spans").result[0].body["warm"]
    assert not stage.asked(stage.service(SPANS), "/spans").result[0].body["warm"]


def test_its_context_is_kept_by_gather_and_to_thread_and_lost_in_an_executor(warm: Stage) -> None:
    seen = warm.asked(warm.service(SPANS), "/spans").result[0].body
    own = seen["own"]
    assert re.fullmatch(r"[0-9a-f]{16}", own)
    assert seen["gathered"] == [own, own]
    assert seen["in_thread"] == own
    assert seen["in_executor"] == ""
    assert own in seen["sent"]


def test_its_times_are_virtual_and_its_ids_from_the_seed(warm: Stage) -> None:
    service = warm.service(SPANS)
    first, again = (warm.asked(service, "/spans").result[0].body for _ in range(2))
    other = warm.asked(service, "/spans", seed=2).result[0].body
    assert 0.5 <= first["lasts"] < 0.51
    assert first == again
    assert first["sent"] != other["sent"]
