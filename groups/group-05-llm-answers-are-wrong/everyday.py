"""What `learn serve` has of group 5: the provider, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

OLD = '"id": "changes-2023", "title": "Changes", "region": "europe", "effective_from": "2023-01-01", "effective_to": "2025-03-01"'
NEW = '"id": "changes-2025", "title": "Changes", "region": "europe", "effective_from": "2025-03-01"'


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene)
    ask = "curl -s $service/ask -H 'content-type: application/json' -H 'x-tenant: lark-air' \\\n  -d '{%s}'; echo"
    save = "curl -s $service/documents -H 'content-type: application/json' -H 'x-tenant: lark-air' \\\n  -d '{\"documents\": [\n  %s]}'; echo"
    text = '"text": "# Fare H7Q\\n\\nChanging the booking costs %d euros."'
    documents = f"{{{OLD}, {text % 80}}},\n  {{{NEW}, {text % 120}}}"
    question = '"question": "What does %s cost with fare %s?", "region": "europe"'
    return Everyday(
        urls={"LLM_URL": incident.LLM},
        tries=(
            Try(save % documents, "a fee of 2023, and the one of today"),
            Try(ask % (question % ("changing the booking", "H7Q")), "which of the two is told, and with which source?"),
            Try(ask % (question % ("a second bag", "H7Q")), "no document says it. What does the assistant say?"),
            Try("curl -s $llm/-/rules", "what the models are like, in their maker's own words"),
        ),
    )
