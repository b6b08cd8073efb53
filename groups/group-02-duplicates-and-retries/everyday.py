"""What `learn serve` has of group 2: the provider, the platform's configuration, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

TEXT = "The fee for a pet is 60 euros.\\n\\nSeats cost 9 euros."


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene, sigma=0.3)
    tenant = f"-H 'x-tenant: {incident.TENANT}'"
    json = "-H 'content-type: application/json'"
    return Everyday(
        urls={"LLM_URL": incident.LLM, "CONFIG_URL": incident.CONFIG},
        tries=(
            Try(
                f"curl -s -X PUT $service/documents/rules {tenant} \\\n"
                f"  {json} \\\n"
                f"  -d '{{\"text\": \"{TEXT}\"}}'; echo",
                "an office saves its rules. Twice: how often are they embedded?",
            ),
            Try(
                f"for i in 1 2 3; do curl -s {tenant} \\\n"
                "  '$service/ask?q=What+fee+is+for+a+pet%3F' & done; wait; echo",
                "three travellers ask the same at once: see the calls below",
            ),
            Try(
                f"for i in 1 2; do curl -s $service/summaries \\\n"
                f"  -H 'idempotency-key: order-1' {tenant} \\\n"
                f"  {json} \\\n"
                "  -d '{\"document\": \"rules\"}'; echo; done",
                "an order, and the same sent again: is that one summary, or two?",
            ),
            Try(
                "curl -s '$llm/-/slow?factor=30&seconds=120'\n"
                f"curl -s $service/edits -H 'idempotency-key: edit-1' \\\n"
                f"  {tenant} {json} \\\n"
                "  -d '{\"document\": \"rules\", \"kind\": \"append\",\n"
                "       \"arguments\": {\"paragraph\": \"Seats are free.\"}}'; echo",
                "an edit is accepted, and takes long. Ctrl-C, serve again: is it made?",
            ),
            Try(
                f"curl -s $service/documents/rules {tenant}; echo\n"
                "curl -s $llm/-/invoice",
                "what is kept, and what has been billed",
            ),
        ),
    )
