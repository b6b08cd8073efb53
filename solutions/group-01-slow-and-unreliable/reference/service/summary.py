"""How a long document is summarised: section by section, and then the sections' summaries together."""

from functools import partial

import skylark_pdf

from service.clients import Document, Llm
from service.patterns.execution import gather_bounded, run_blocking
from service.patterns.timeout import Deadline
from service.settings import Settings


async def read(document: Document) -> str:
    """The text of a document. Scanned pages go through the PDF engine: 0.4 s of CPU a page."""
    if document.scanned:
        return await run_blocking(skylark_pdf.extract, document.pages)
    return " ".join(document.pages)


async def summarise(document: Document, llm: Llm, settings: Settings, deadline: Deadline) -> dict:
    sections = skylark_pdf.split(await read(document), settings.sections)
    calls = [partial(llm.complete, f"Summarise for a traveller:\n{section}", deadline) for section in sections]
    parts = await gather_bounded(calls, settings.fan_out)
    summary = await llm.complete("Merge these summaries:\n" + "\n".join(parts), deadline)
    return {"id": document.id, "title": document.title, "sections": len(sections), "summary": summary}
