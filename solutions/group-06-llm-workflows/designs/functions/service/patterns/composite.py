"""Composite: parts are namespaces of four functions; a group's also lists its leaves and the groups in it."""

import asyncio
from types import SimpleNamespace


class Cycle(ValueError):
    pass


def Step(name: str, work, cost: int = 1) -> SimpleNamespace:
    state = SimpleNamespace(done=False, cancelled=False, task=None, waiting=0)

    async def run() -> None:
        if state.done or state.cancelled:
            return
        if state.task is None or state.task.done():
            state.task = asyncio.get_running_loop().create_task(attempt())
        await asyncio.wait([state.task])
        if not state.task.cancelled():
            state.task.result()

    async def attempt() -> None:
        await work()
        state.done = True

    async def guarded() -> None:
        state.waiting += 1
        try:
            await run()
        except asyncio.CancelledError:  # who waits for us is cancelled: so is the work, if he is the last
            if state.task is not None and state.waiting == 1:
                state.task.cancel()
            raise
        finally:
            state.waiting -= 1

    def cancel() -> None:
        state.cancelled = True
        if state.task is not None:
            state.task.cancel()

    return SimpleNamespace(name=name, run=guarded, cost=lambda: cost, progress=lambda: float(state.done), cancel=cancel)


def Group(name: str, parts=()) -> SimpleNamespace:
    mine: list = []
    state = SimpleNamespace(cancelled=False)
    group = SimpleNamespace(name=name)

    def inside(part) -> list:
        return [part, *(each for below in getattr(part, "parts", ()) for each in inside(below))]

    def leaves() -> list:
        found = {id(each): each for part in mine for each in inside(part) if not hasattr(each, "parts")}
        return list(found.values())

    def add(part) -> None:
        if any(each is group for each in inside(part)):
            raise Cycle(name)
        mine.append(part)

    async def run() -> None:
        for leaf in leaves():
            if not state.cancelled:
                await leaf.run()

    def progress() -> float:
        found = [leaf.progress() for leaf in leaves()]
        return sum(found) / len(found) if found else 1.0

    def cancel() -> None:
        state.cancelled = True
        for leaf in leaves():
            leaf.cancel()

    group.parts, group.add, group.run, group.cancel, group.progress = mine, add, run, cancel, progress
    group.cost = lambda: sum(leaf.cost() for leaf in leaves())
    for part in parts:
        add(part)
    return group
