"""How a question is answered, as a program that does nothing: it yields what it wants done, and gets what came of it.

Who runs it decides what that means: `desk.py` does it, in earnest or dry; a journal repeats it; and who looks for a cause
puts in what he likes.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

Program = Generator["Effect", Any, dict]


@dataclass(frozen=True)
class Effect:
    name: str
    given: Any = None


def answering(booking: str, question: str) -> Program:
    """{"answer", "reference"}."""
    chosen = yield Effect("settings")
    found = yield Effect("booking", booking)
    asked = f"{question} (fare {found['fare']})"
    documents = yield Effect("documents", asked)
    today = yield Effect("today")
    system = yield Effect("prompt", {"version": chosen["prompt"], "variables": {"today": today, "fare": found["fare"]}})
    messages = compose(system, documents, chosen["window"], asked)
    said = yield Effect("model", {"model": chosen["model"], "max_tokens": chosen["max_tokens"], "messages": messages})
    reference = yield Effect("reference")
    yield Effect("mail", {"booking": booking, "text": f"{said}\nYour reference: {reference}"})
    return {"answer": said, "reference": reference}


def compose(system: str, documents: list[dict], window: int, asked: str) -> list[dict]:
    material = "\n".join(f"[{document['id']}] {document['text']}" for document in documents)[:window]
    return [{"role": "system", "content": system}, {"role": "user", "content": f"{material}\n\n{asked}"}]
