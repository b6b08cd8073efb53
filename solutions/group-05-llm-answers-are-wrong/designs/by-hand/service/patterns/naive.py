"""Naive RAG: find, paste, ask. The baseline that everything else has to beat."""

from collections.abc import Awaitable, Callable


async def answer(
    question: str,
    retrieve: Callable[[str], Awaitable[list[str]]],
    generate: Callable[[str], Awaitable[str]],
) -> str | None:
    """What `generate` says to one prompt: all passages that `retrieve` finds for the question, each whole, in the order in
    which they come, and then the question, in a line of its own, as the last.

    Each is called once for each answer, since nothing is kept from one question to the next: what was right this morning
    may have been edited since. Without a passage `generate` is not called, and the answer is None: who has nothing to go by
    makes something up.
    """
    passages = await retrieve(question)
    if not passages:
        return None
    return await generate("\n\n".join([*passages, question]))
