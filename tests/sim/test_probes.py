"""Probes: a function runs beside the learner's code, and plain, bounded values come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader import plugin
from grader.sim import Host, HostFailed, ProbeFailed, Service, Simulation
from tests.sim import probes, probes_of_today

if TYPE_CHECKING:
    from tests.sim.conftest import Stage

STUBS = """
class Counter:
    '''Counts.'''
    def __init__(self, clock=None):
        self.n = 0
    def add(self, by):
        if by < 0:
            raise ValueError("less than nothing")  # here
        self.n += by
        return self.n
    async def slow(self, seconds):
        import asyncio
        await asyncio.sleep(seconds)
        return self.n
    def stub(self):
        raise NotImplementedError("write me")
"""


def _service(stage: Stage) -> Service:
    written = stage.service("", counter=STUBS)
    return Service(written.root, ports={"counter": "service.counter:Counter"})


def _probe(stage: Stage, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    async def scenario(_: Simulation, host: Host) -> Any:
        return await host.probe(function, *args)

    return stage.play(_service(stage), scenario, **options).result


def test_a_function_reaches_a_port_and_returns_what_it_found(stage: Stage) -> None:
    assert _probe(stage, probes.adds, 1, 2, 3) == [1, 3, 6]


def test_a_probe_is_compiled_as_it_stands(stage: Stage) -> None:
    assert _probe(stage, probes_of_today.makes) == ["made", 4]


def test_a_probe_is_told_by_its_file_and_not_by_the_folder_of_this_run(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def raises(ports):\n    raise LookupError\n", "utf-8")
    with pytest.raises(ProbeFailed) as failed:
        _probe(stage, plugin.load(tmp_path / "mine.py").raises)
    assert '  File "<probe mine>", line 2, in raises\n' in failed.value.detail
    assert tmp_path.name not in failed.value.detail


def test_a_coroutine_waits_in_virtual_time(stage: Stage) -> None:
    began, ended = _probe(stage, probes.waits, 5)
    assert 5 <= ended - began < 5.001


def test_two_probes_and_a_request_live_side_by_side(stage: Stage) -> None:
    async def scenario(sim: Simulation, host: Host) -> float:
        await asyncio.gather(host.probe(probes.waits, 2), host.probe(probes.waits, 3))
        return sim.now

    assert stage.play(_service(stage), scenario).result == pytest.approx(3, abs=0.001)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[None, True, 7, -2**63, 0.5, 'ä', b'x']", [None, True, 7, -(2**63), 0.5, "ä", b"x"]),
        ("{'a': {'b': (1, 2)}}", {"a": {"b": [1, 2]}}),
        ("[[1, 2]] * 3", [[1, 2]] * 3),
        ("nested(30)", probes.nested_list(30)),
    ],
)
def test_plain_values_come_back(stage: Stage, source: str, value: Any) -> None:
    assert _probe(stage, probes.returns, source) == value


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("object()", "a object at the result: only plain values can leave the host"),
        ("[1, {'a': print}]", "a builtin_function_or_method at the result[1]['a']"),
        ("type('Int', (int,), {})(3)", "a Int at the result"),
        ("{1, 2}", "a set at the result"),
        ("float('nan')", "nan at the result"),
        ("[float('inf')]", "inf at the result[0]"),
        ("2**63", "an integer beyond 64 bits at the result"),
        ("list(range(200_000))", "more than 100,000 values"),
        ("'x' * 2_000_000", "more than 1,048,576 characters of text"),
        ("['x' * 1000] * 2000", "more than 1,048,576 characters of text"),
        ("{'x' * 2_000_000: 1}", "more than 1,048,576 characters of text"),
        ("'\\udc80'", "text that is not Unicode at the result"),
        ("{1: 2}", "a int as a key at the result"),
        ("cyclic()", "a cycle at the result[1]['again']"),
        ("nested(40)", "nested deeper than 32, or cyclic"),
        ("nested(100_000)", "nested deeper than 32, or cyclic"),
    ],
)
def test_what_is_not_plain_is_refused_with_a_clear_message(stage: Stage, source: str, complaint: str) -> None:
    with pytest.raises(ProbeFailed) as failed:
        _probe(stage, probes.returns, source)
    assert failed.value.kind == "NotPlain"
    assert complaint in failed.value.text


def test_an_exception_of_the_learners_has_its_line(stage: Stage) -> None:
    service = _service(stage)

    async def scenario(_: Simulation, host: Host) -> Any:
        return await host.probe(probes.adds, 1, -1)

    with pytest.raises(ProbeFailed) as failed:
        stage.play(service, scenario)
    assert (failed.value.kind, failed.value.text) == ("ValueError", "less than nothing")
    assert f"{failed.value.places[0].file}:{failed.value.places[0].line}" == stage.line(service, file="counter")
    assert 'raise ValueError("less than nothing")' in failed.value.detail
    assert "grader/host" not in failed.value.detail


def test_a_stub_and_a_port_that_nobody_has_are_told_apart(stage: Stage) -> None:
    with pytest.raises(ProbeFailed, match="NotImplementedError: write me"):
        _probe(stage, probes.stub)
    with pytest.raises(ProbeFailed, match=r"no port 'thermometer' in group.toml; it has counter"):
        _probe(stage, probes.no_such_port)


def test_a_probe_that_never_ends_is_a_limit_or_a_deadlock(stage: Stage) -> None:
    with pytest.raises(HostFailed) as failed:
        _probe(stage, probes.for_ever, patience=0.5)
    assert failed.value.kind == "limit-time"
    with pytest.raises(HostFailed) as failed:
        _probe(stage, probes.hangs)
    assert failed.value.kind == "deadlock"


def test_a_blocking_probe_takes_its_virtual_time(stage: Stage) -> None:
    async def scenario(sim: Simulation, host: Host) -> float:
        await host.probe(probes.blocks, 2)
        return sim.now

    assert stage.play(_service(stage), scenario).result == pytest.approx(2, abs=0.001)


@pytest.mark.parametrize("argument", [object(), {1, 2}, print])
def test_arguments_that_are_not_plain_are_a_mistake_of_the_tests(stage: Stage, argument: Any) -> None:
    with pytest.raises(TypeError):
        _probe(stage, probes.returns, argument)


def test_a_probe_among_tests_is_refused_since_all_of_its_module_travels(stage: Stage) -> None:
    def lone(_: Any) -> None: ...

    with pytest.raises(TypeError, match="put lone into a module of its own"):
        _probe(stage, lone)


def test_nothing_of_the_tests_is_in_the_host(stage: Stage) -> None:
    found = _probe(stage, probes.looks_around)
    assert set(found) == {name for name in found if name.startswith(("grader.host", "grader.wire"))}
