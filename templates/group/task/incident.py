"""The incident of group 0, and the house it happens in: what the tests play in, and what `learn trigger` shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from grader.outcome import Act, Figure, Series
from grader.world.incident import Incident
from grader.world.scene import Scene
from grader.world.traffic import Stream, Visits, drive

PROMISED = 0.1  # seconds


class House:
    """Everything around one replica. Other services and their faults are attached here (see grader/world/)."""

    def __init__(self, scene: Scene, *, horizon: float = 60.0) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.replica = self.sim.host("service", scene.service)

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the replica, and play until `play` ends."""

        async def scenario() -> Any:
            await self.replica.start()
            return await play()

        return self.sim.run(scenario())

    def visits(self, *streams: Stream, horizon: float) -> Visits:
        """Start the replica, and send it this traffic."""
        return self.run(lambda: drive(self.sim, self.replica, streams, horizon=horizon))


# ------------------------------------------------------------------------------------------------ learn trigger

@dataclass(frozen=True)
class RushHour:
    """Callers at a steady rate. Times in virtual seconds."""

    title: ClassVar[str] = "Every greeting is late"

    rate: float = 2.0  # callers a second
    end: float = 20.0

    def text(self) -> str:
        return f"For {self.end:g} s, {self.rate:g} callers a second ask for a greeting."

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ()

    def play(self, scene: Scene) -> Act:
        house = House(scene, horizon=self.end + 60)
        callers = Stream(name="callers", path="/greeting?name=Ada", rate=self.rate, end=self.end)
        visits = house.visits(callers, horizon=self.end + 30)
        return Act(
            series=(Series("greetings", "a second", tuple(visits.goodput())),),
            figures=(Figure("the slowest greeting", visits.percentile(100), "s", PROMISED, "at_most"),),
        )


INCIDENTS: dict[int, type[Incident]] = {1: RushHour}
"""By stage."""
