"""What `learn serve` has of group 1: the library with two documents, the provider, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    house = incident.House(scene, sigma=0.3)
    house.document("tariff", sections=8)
    house.document("scan", sections=6, scanned=True)
    return Everyday(
        urls={"LLM_URL": incident.LLM, "LIBRARY_URL": incident.LIBRARY},
        tries=(
            Try("curl -s '$service/ask?q=What+about+baggage%3F'; echo", "a traveller asks"),
            Try(
                "curl -s -X POST $service/documents/scan/summary &\n"
                "sleep 1; curl -s -w ' after %{time_total} s\\n' $service/health",
                "a scanned document is summarised; is the service well meanwhile?",
            ),
            Try(
                "curl -s '$llm/-/slow?factor=30&seconds=60'\n"
                "curl -s -m 15 -w ' after %{time_total} s\\n' \\\n"
                "  '$service/ask?q=What+about+pets%3F'",
                "the provider's brown-out, for a minute: who waits, and how long?",
            ),
            Try("curl -s $llm/-/heal; curl -s $llm/-/invoice", "the brown-out ends; what has been billed?"),
        ),
    )
