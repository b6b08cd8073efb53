"""What `learn serve` has of group 9: the provider, the vocabularies, whoever hears of alerts, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene, median=0.8, lag=20.0)
    tenant, json = "-H 'x-tenant: aero'", "-H 'content-type: application/json'"

    def post(path: str, body: str) -> str:
        return f"curl -s $service/{path} {tenant} \\\n  {json} \\\n  -d '{body}'; echo"

    return Everyday(
        urls={"LLM_URL": incident.LLM, "MODELS_URL": incident.MODELS, "ALERTS_URL": incident.ALERTS},
        tries=(
            Try(
                f"curl -s -X PUT $service/tenants/aero \\\n  {json} \\\n"
                "  -d '{\"zone\": \"Asia/Tokyo\", \"budget\": 20000, \"quota\": 20}'; echo",
                "a tenant with two cents a month",
            ),
            Try(post("chat", '{"text": "What does a seat cost?"}'), "a question: how long does it take, and why?"),
            Try(post("chat", '{"text": "What does a seat cost?", "stream": true}'), "the same, streamed: who pays?"),
            Try(post("research", '{"question": "What is a seat?", "steps": 60}'), "an agent sets out"),
            Try(
                f"curl -s $service/costs {tenant}; echo\ncurl -s $llm/-/invoice\ncurl -s $llm/v1/usage",
                "what we believe, the invoice, and the report, 20 s late",
            ),
        ),
    )
