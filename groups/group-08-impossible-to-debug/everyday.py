"""What `learn serve` has of group 8: the provider, the tools, the auditors, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

BOOKINGS = {"KL1001": "H7Q", "KL1002": "M2K"}


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    house = incident.House(scene)
    house.tools.fares = dict(BOOKINGS)
    json, user = "-H 'content-type: application/json'", "-H 'x-user: ines@example.org'"
    text = "Changing the booking with fare H7Q costs 120 euros."
    ask = '{"booking": "KL1001", "question": "What does changing cost?"}'

    def put(path: str, text: str) -> str:
        return f"curl -s -X PUT $service/{path} \\\n  {json} \\\n  -d '{{\"text\": \"{text}\"}}'; echo"

    return Everyday(
        urls={"LLM_URL": incident.LLM, "TOOLS_URL": incident.TOOLS, "AUDIT_URL": incident.AUDIT},
        tries=(
            Try(put("documents/fare-h7q", text), "a document"),
            Try(f"curl -s $service/ask {user} \\\n  {json} \\\n  -d '{ask}'; echo", "a question"),
            Try(put("prompts/answer", "Summarise, {today}. {fare}"), "a prompt that answers otherwise: ask again"),
            Try("curl -s $llm/-/invoice", "what it was asked, and the bill"),
            Try("curl -s $llm/-/rules", "what the model does, and what it does badly"),
        ),
    )  # fmt: skip
