"""What `learn serve` has of group 0: its neighbours, as the incident attaches them, and what to try."""

from __future__ import annotations

from types import ModuleType

from grader.world.everyday import Everyday, Try
from grader.world.scene import Scene


def everyday(scene: Scene, incident: ModuleType) -> Everyday:
    incident.House(scene)
    greeting = "curl -w ' after %{time_total} s\\n' '$service/greeting?name=Ada'"
    return Everyday(tries=(Try(greeting, "a greeting, and how long it takes"),))
