"""What `learn serve` has of group 9: the provider, the vocabularies, whoever hears of alerts, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene


SEAT = "A seat is 40 euros. How much is a seat?"


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
                "  -d '{\"zone\": \"Asia/Tokyo\", \"budget\": 5000, \"quota\": 20}'; echo",
                "a tenant with half a cent a month: some seven questions",
            ),
            Try(post("chat", f'{{"text": "{SEAT}"}}'), "a question: how long does it take, and why?"),
            Try(post("chat", f'{{"text": "{SEAT}",\n      "stream": true}}'), "the same, streamed: who pays?"),
            Try(
                f"RUN=$$(curl -s $service/research {tenant} \\\n  {json} \\\n"
                f"  -d '{{\"question\": \"{SEAT}\",\n       \"steps\": 60}}' \\\n  | cut -d'\"' -f4); echo $$RUN",
                "an agent sets out. At 80 %, is anybody told?",
            ),
            Try(
                f"curl -s $service/runs/$$RUN {tenant}; echo\ncurl -s $service/costs {tenant}; echo\n"
                "curl -s $llm/-/invoice\ncurl -s $llm/v1/usage",
                "is it stopped? What we believe, the invoice, the report, 20 s late",
            ),
        ),
    )
