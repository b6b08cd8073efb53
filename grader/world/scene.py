"""A scene: one group's service, a seed, and the simulations played with them. What tests and incidents start from.

What happens in it (traffic, faults) is each group's own `incident.py`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from grader import sandbox
from grader.sim import Forkserver, Service, Simulation, Tape
from grader.sim.history import Answered, History


@dataclass(slots=True)
class Scene:
    """Everything random comes from `seed`.

    `patience`: real seconds a host may take for one turn; None for no limit, on nothing that is real. `without`: the
    parts of its runs that do not take place; `answers`: those to requests that do not.
    """

    forkserver: Forkserver
    service: Service
    seed: int
    patience: float | None = 5.0
    without: Collection[str] = ()
    answers: Mapping[str, Answered] = field(default_factory=dict)
    runs: list[Simulation] = field(default_factory=list)

    @property
    def tapes(self) -> list[Tape]:
        return [run.tape for run in self.runs]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of all runs, those that did not take place among them."""
        return tuple(dict.fromkeys(part for run in self.runs for part in run.history.parts))

    @property
    def answered(self) -> dict[str, Answered]:
        """What the requests of all runs came to."""
        return {name: answer for run in self.runs for name, answer in run.history.answered.items()}

    def rng(self, name: str) -> random.Random:
        """A source of randomness of its own for each purpose."""
        return random.Random(f"{self.seed}/scene/{name}")

    def simulation(self, *, horizon: float = 600.0) -> Simulation:
        """A new run, which ends at `horizon` virtual seconds at the latest. It is kept for the story."""
        limits = {} if self.patience is None else sandbox.LIMITS
        history = History(self.without, self.answers)
        sim = Simulation(
            self.forkserver,
            seed=self.seed,
            horizon=horizon,
            patience=self.patience,
            limits=limits,
            history=history,
        )
        self.runs.append(sim)
        return sim
