"""Edits of documents: they are accepted at once, and made one after the other, since each takes calls to the provider."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from uuid import uuid4

from service.library import Library, split
from service.settings import get_settings


class Edits:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.queue: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self.known: dict[str, dict] = {}

    def submit(self, tenant: str, document: str, kind: str, arguments: dict) -> dict:
        """Queue an edit: append {"paragraph"}, or replace {"paragraph", "by"}."""
        edit = {"id": str(uuid4()), "document": document, "kind": kind, "status": "queued"}
        self.known[edit["id"]] = {"tenant": tenant, "edit": edit}

        async def make() -> None:
            parts = split(self.library.text(tenant, document))
            if kind == "append":
                parts.append(arguments["paragraph"])
            else:
                parts[parts.index(arguments["paragraph"])] = arguments["by"]
            settings = await asyncio.to_thread(get_settings)
            await self.library.put(tenant, document, "\n\n".join(parts), settings)
            edit["status"] = "done"

        self.queue.put_nowait(make)
        return edit

    async def work(self) -> None:
        while True:
            make = await self.queue.get()
            with contextlib.suppress(Exception):  # one bad edit must not hold up the others
                await make()
