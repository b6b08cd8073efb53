"""Observer: a queue and a task for each sink, as long as it is subscribed."""

import asyncio
import json
from collections.abc import Awaitable, Callable

Sink = Callable[[dict], Awaitable[None]]


class Events:
    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._queues: dict[Sink, asyncio.Queue[str]] = {}
        self._tasks: dict[Sink, asyncio.Task] = {}
        self._closed = False

    def subscribe(self, sink: Sink) -> None:
        if sink not in self._queues:
            self._queues[sink] = asyncio.Queue(self._most)
            self._tasks[sink] = asyncio.create_task(_deliver(sink, self._queues[sink]))

    def unsubscribe(self, sink: Sink) -> None:
        self._queues.pop(sink, None)
        task = self._tasks.pop(sink, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        elif task is not None:
            asyncio.get_running_loop().call_soon(task.cancel)

    def emit(self, event: dict) -> None:
        if self._closed:
            return
        told = json.dumps(event)
        for queue in self._queues.values():
            if queue.full():
                queue.get_nowait()
                queue.task_done()
            queue.put_nowait(told)

    async def close(self, seconds: float = 60.0) -> None:
        self._closed = True
        waiting = [asyncio.create_task(queue.join()) for queue in self._queues.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
        for task in (*waiting, *self._tasks.values()):
            task.cancel()


async def _deliver(sink: Sink, queue: asyncio.Queue[str]) -> None:
    while True:
        event = await queue.get()
        try:
            await sink(json.loads(event))
        except Exception as error:
            print(f"a sink has raised {type(error).__name__}")
        finally:
            queue.task_done()
