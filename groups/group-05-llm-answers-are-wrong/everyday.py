"""What `learn serve` has of group 5: the provider, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

HEADERS = "-H 'content-type: application/json' -H 'x-tenant: lark-air'"


def policy(name: str, days: str, euros: int) -> str:
    return (
        f'  {{"id": "{name}", "title": "Changes", "region": "europe",\n'
        f"   {days},\n"
        f'   "text": "# Fare H7Q\\n\\nChanging the booking costs {euros} euros."}}'
    )


def ask(what: str) -> str:
    return (
        f"curl -s $service/ask \\\n  {HEADERS} \\\n"
        f'  -d \'{{"region": "europe",\n  "question": "What does {what} cost with fare H7Q?"}}\'; echo'
    )


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene)
    old = policy("old", '"effective_from": "2023-01-01", "effective_to": "2025-03-01"', 80)
    new = policy("new", '"effective_from": "2025-03-01"', 120)
    save = f"curl -s $service/documents \\\n  {HEADERS} \\\n  -d '{{\"documents\": [\n{old},\n{new}]}}'; echo"
    return Everyday(
        urls={"LLM_URL": incident.LLM},
        tries=(
            Try(save, "a fee of 2023, and the one of today"),
            Try(ask("changing the booking"), "which of the two is told, and with which source?"),
            Try(ask("a second bag"), "no document says it. What does the assistant say?"),
            Try("curl -s $llm/-/rules", "what the models are like, in their maker's own words"),
            Try("curl -s $llm/-/invoice", "what it has cost"),
        ),
    )
