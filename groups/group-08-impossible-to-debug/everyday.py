"""What `learn serve` has of group 8: the provider, the tools, the auditors, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene

BOOKINGS = {"KL1001": "H7Q", "KL1002": "M2K"}


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    house = incident.House(scene)
    house.tools.fares = dict(BOOKINGS)
    json = "-H 'content-type: application/json'"

    def put(path: str, text: str) -> str:
        return f"curl -s -X PUT $service/{path} \\\n  {json} \\\n  -d '{{\"text\": \"{text}\"}}'; echo"

    def get(path: str, more: str = "") -> str:
        return f"curl -s -w '\\n' {more}$service/{path} || :"

    def found(name: str) -> str:
        return f"sed -n 's/.*\"{name}\": *\"\\([^\"]*\\).*/\\1/p'"

    asked = '{"booking": "KL1001", "question": "What does changing cost?"}'
    ask = f"ask() {{ curl -s $service/ask -H 'x-user: ines@example.org' \\\n  {json} \\\n  -d '{asked}'; }}"
    pair = '{\\"good\\": \\"$$good\\", \\"bad\\": \\"$$bad\\"}'
    explain = f"good=$$(ask | {found('run')})\n{get('runs/$$good')}"
    trace = f"trace=$$(curl -s $service/runs/$$good |\n  {found('trace_id')}) || :\n{get('traces/$$trace')}"
    diagnose = f'curl -s -w \'\\n\' $service/diagnose \\\n  {json} \\\n  -d "{pair}" || :'
    text = "Changing the booking with fare H7Q costs 120 euros."
    return Everyday(
        urls={"LLM_URL": incident.LLM, "TOOLS_URL": incident.TOOLS, "AUDIT_URL": incident.AUDIT},
        tries=(
            Try(f"{put('documents/fare-h7q', text)}\n{ask}\nask; echo", "a document, and a question"),
            Try(f"{explain}\n{trace}", "why was that answered, and who called whom? With stage 2, they say"),
            Try(
                f"{put('prompts/answer', 'Summarise, {today}. {fare}')}\nbad=$$(ask | {found('run')})\n{diagnose}",
                "a prompt that answers otherwise: in stage 3, what is to blame?",
            ),
            Try(get("runs/$$good/replay", "-X POST "), "the good one, once more, without asking anybody"),
            Try("curl -s $llm/-/invoice; curl -s $llm/-/rules", "the bill, and what the model does badly"),
        ),
    )
