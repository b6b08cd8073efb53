"""How a long document is summarised: section by section, and then the sections' summaries together."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import skylark_pdf

from service.clients import Document, Library, Llm
from service.patterns.execution import run_blocking
from service.patterns.partial_result import gather_partial
from service.patterns.retry import Unavailable
from service.patterns.timeout import Deadline, DeadlineExceeded
from service.patterns.workflow import Step, Workflow
from service.settings import Settings


async def read(document: Document, deadline: Deadline) -> str:
    """The text of a document. Scanned pages go through the PDF engine: 0.4 s of CPU a page. Raises DeadlineExceeded."""
    if not document.scanned:
        return " ".join(document.pages)
    try:
        async with asyncio.timeout(deadline.remaining()):
            return await run_blocking(skylark_pdf.extract, document.pages)
    except TimeoutError:
        raise DeadlineExceeded from None


async def summarise(document: Document, llm: Llm, settings: Settings, deadline: Deadline) -> dict:
    """For somebody who waits: what has not come when most of the time is over is left out."""
    sections = skylark_pdf.split(await read(document, deadline), settings.sections)
    calls = [partial(summarise_section, llm, section, deadline) for section in sections]
    parts = await gather_partial(calls, settings.fan_out, deadline.remaining() * settings.sections_share)
    if not parts.results:
        raise Unavailable("no section could be summarised in time")
    summary = await merge(llm, parts.results.values(), deadline)
    return told(document, sections, summary, parts.missing)


async def summarise_whole(
    document_id: str, library: Library, llm: Llm, settings: Settings, done: dict[str, Any]
) -> dict:
    """For nobody in particular: it takes its time, leaves nothing out, and makes nothing that is `done` already."""
    deadline = Deadline(settings.job_seconds)

    async def load(_: dict[str, Any]) -> tuple[Document, list[str]]:
        document = await library.document(document_id, deadline)
        return document, skylark_pdf.split(await read(document, deadline), settings.sections)

    def section(text: str) -> Step:
        return lambda _: summarise_section(llm, text, deadline)

    document, sections = (await Workflow([{"document": load}], limit=1).run(done))["document"]
    steps = {f"section {number}": section(text) for number, text in enumerate(sections)}
    last: dict[str, Step] = {"summary": lambda done: merge(llm, [done[name] for name in steps], deadline)}
    made = await Workflow([steps, last], settings.fan_out).run(done)
    return told(document, sections, made["summary"], missing=[])


async def summarise_section(llm: Llm, section: str, deadline: Deadline) -> str:
    return await llm.complete(f"Summarise for a traveller:\n{section}", deadline)


async def merge(llm: Llm, parts: Iterable[str], deadline: Deadline) -> str:
    return await llm.complete("Merge these summaries:\n" + "\n".join(parts), deadline)


def told(document: Document, sections: list[str], summary: str, missing: list[int]) -> dict:
    return {
        "id": document.id,
        "title": document.title,
        "sections": len(sections),
        "summary": summary,
        "status": "partial" if missing else "complete",
        "missing": missing,
    }
