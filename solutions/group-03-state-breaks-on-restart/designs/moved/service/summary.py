"""How a document is summarised: section by section, and then the sections' summaries together."""

from collections.abc import Callable

from service.llm import Llm
from service.patterns.memento import Progress


def sections(text: str) -> list[str]:
    """A text's sections: its paragraphs."""
    return [part for part in text.split("\n\n") if part.strip()]


async def summarise(text: str, llm: Llm, key: str, progress: Progress, keep: Callable[[Progress], None]) -> dict:
    """Make what `progress` lacks, and `keep` it as it comes. The calls' keys are made from `key`."""
    parts = progress.parts
    for number, section in enumerate(sections(text)):
        if number not in parts:
            parts[number] = (await llm.complete(f"Summarise for a traveller:\n{section}", f"{key}/{number}")).text
            keep(progress)
    in_order = [parts[number] for number in sorted(parts)]
    summary = await llm.complete("Merge these summaries:\n" + "\n".join(in_order), f"{key}/merge")
    return {"sections": len(parts), "summary": summary.text}
