"""Probes: a small function of the tests, run beside the learner's code. Plain, bounded values come back, nothing else.

What a probe's answer should be is never here: the simulation compares.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
from typing import Any

from grader import wire
from grader.host import where
from grader.host.kernel import kernel

MOST_VALUES = 100_000
MOST_TEXT = 1024 * 1024
"""Characters and bytes in the result of a probe, in all."""

DEEPEST = 32


class NotPlain(TypeError):
    """A probe returned something that cannot cross the boundary."""


class Ports:
    """The learner's objects that a probe may reach, by the names in group.toml; looked up when first used."""

    def __init__(self, ports: dict[str, str]) -> None:
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        if name not in self._ports:
            raise AttributeError(f"no port {name!r} in group.toml; it has {', '.join(sorted(self._ports)) or 'none'}")
        return resolve(self._ports[name])


def resolve(target: str) -> Any:
    """The object that "package.module:name.name" means."""
    module, _, names = target.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def plain(value: Any) -> Any:
    """`value` rebuilt of None, bool, int, float, str, bytes, list and dict with text keys. Raises NotPlain."""
    count = size = 0

    def copy(each: Any, path: str, depth: int, above: tuple[int, ...]) -> Any:
        nonlocal count, size
        count += 1
        if count > MOST_VALUES:
            raise NotPlain(f"more than {MOST_VALUES:,} values")
        if depth > DEEPEST:
            raise NotPlain(f"nested deeper than {DEEPEST}, or cyclic, at {path}")
        kind = type(each)
        if each is None or kind is bool:
            return each
        if kind is str or kind is bytes:
            size += len(each)
            if size > MOST_TEXT:
                raise NotPlain(f"more than {MOST_TEXT:,} characters of text, with {path}")
            if kind is str and wire.text(each, len(each)) != each:
                raise NotPlain(f"text that is not Unicode at {path}")
            return each
        if kind is int:
            if not -(2**63) <= each < 2**63:
                raise NotPlain(f"an integer beyond 64 bits at {path}")
            return each
        if kind is float:
            if not math.isfinite(each):
                raise NotPlain(f"{each} at {path}")
            return each
        if id(each) in above:
            raise NotPlain(f"a cycle at {path}")
        if kind is list or kind is tuple:
            return [copy(item, f"{path}[{at}]", depth + 1, (*above, id(each))) for at, item in enumerate(each)]
        if kind is dict:
            for key in each:
                if type(key) is not str:
                    raise NotPlain(f"a {type(key).__name__} as a key at {path}")
                copy(key, f"a key of {path}", depth, ())
            return {k: copy(v, f"{path}[{k!r}]", depth + 1, (*above, id(each))) for k, v in each.items()}
        raise NotPlain(f"a {kind.__name__} at {path}: only plain values can leave the host")

    return copy(value, "the result", 0, ())


async def _run(probe: wire.Probe, ports: Ports) -> None:
    try:
        namespace: dict[str, Any] = {"__name__": f"probe_{probe.module}"}
        exec(compile(probe.source, f"<probe {probe.module}>", "exec", dont_inherit=True), namespace)
        result = namespace[probe.function](ports, *probe.args)
        if inspect.isawaitable(result):
            result = await result
        kernel.send(wire.ProbeResult(probe.id, plain(result)))
    except asyncio.CancelledError:
        raise
    except Exception as error:
        kernel.send(
            wire.ProbeError(
                probe.id, type(error).__name__, wire.text(error), where.of_error(error), where.detail(error)
            )
        )


def install(ports: dict[str, str], loop: asyncio.AbstractEventLoop) -> None:
    available = Ports(ports)
    tasks: set[asyncio.Task[None]] = set()

    def handle(probe: wire.Probe) -> None:
        task = loop.create_task(_run(probe, available))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    kernel.handlers[wire.Probe] = handle
