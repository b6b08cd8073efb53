"""What `learn serve` has of group 3: the provider, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

TEXT = "Pets pay.\\n\\nBags fly."
ID = "sed 's/.*\"id\": *\"\\([^\"]*\\)\".*/\\1/'"


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene, median=1.0)
    json = "-H 'content-type: application/json'"
    return Everyday(
        urls={"LLM_URL": incident.LLM},
        tries=(
            Try(
                f"DOCUMENT=$$(curl -s $service/documents \\\n  {json} \\\n"
                f"  -d '{{\"title\": \"Fees '$$RANDOM'\", \"text\": \"{TEXT}\"}}' \\\n"
                f"  | {ID}); echo $$DOCUMENT",
                "a document, and its id",
            ),
            Try(
                f"JOB=$$(curl -s $service/jobs {json} \\\n"
                "  -H \"idempotency-key: of-$$DOCUMENT\" -d '{\"document\": \"'$$DOCUMENT'\"}' \\\n"
                f"  | {ID}); echo $$JOB",
                "order a summary of it: a job of some seconds",
            ),
            Try("curl -s $service/jobs/$$JOB; echo", "how far is it? Then Ctrl-C, serve again, and the same once more"),
            Try("curl -s $service/documents; echo\ncurl -s $llm/-/invoice", "what is left, and what has been billed"),
        ),
    )
