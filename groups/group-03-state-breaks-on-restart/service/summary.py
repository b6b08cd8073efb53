"""How a document is summarised: section by section, and then the sections' summaries together."""

from service.llm import Llm


def sections(text: str) -> list[str]:
    """A text's sections: its paragraphs."""
    return [part for part in text.split("\n\n") if part.strip()]


async def summarise(text: str, llm: Llm) -> dict:
    parts = []
    for section in sections(text):
        parts.append(await llm.complete(f"Summarise for a traveller:\n{section}"))
    summary = await llm.complete("Merge these summaries:\n" + "\n".join(parts))
    return {"sections": len(parts), "summary": summary}
