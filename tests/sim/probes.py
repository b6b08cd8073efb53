"""The probes of test_probes.py. This module travels into the hosts."""

from __future__ import annotations

from typing import Any


def adds(ports: Any, *amounts: int) -> list[int]:
    counter = ports.counter()
    return [counter.add(amount) for amount in amounts]


async def waits(ports: Any, seconds: float) -> list[float]:
    import time

    began = time.monotonic()
    await ports.counter().slow(seconds)
    return [began, time.monotonic()]


def blocks(ports: Any, seconds: float) -> None:
    import time

    time.sleep(seconds)


def returns(_: Any, source: str) -> Any:
    """Whatever `source` is worth."""
    return eval(source, {"cyclic": cyclic_list, "nested": nested_list})


def cyclic_list() -> list[Any]:
    found: list[Any] = [1]
    found.append({"again": found})
    return found


def nested_list(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def stub(ports: Any) -> None:
    ports.counter().stub()


def no_such_port(ports: Any) -> None:
    ports.thermometer()


def for_ever(_: Any) -> None:
    while True:
        pass


def hangs(_: Any) -> Any:
    import asyncio

    return asyncio.Event().wait()


def looks_around(_: Any) -> list[str]:
    import sys

    return [name for name in sys.modules if name.startswith(("grader.", "tests", "_pytest", "pytest"))]
