"""Workflow: work in stages, whose steps are done once, however often it has to be taken up again."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from service.patterns.execution import gather_bounded

Step = Callable[[dict[str, Any]], Awaitable[Any]]
"""One step: it gets the results so far, by name and in any order, and returns its own."""


class Workflow:
    """Stages, one after the other. A stage has steps by name; they run together, at most `limit` at once."""

    def __init__(self, stages: list[dict[str, Step]], limit: int) -> None:
        self.stages = stages
        self.limit = limit

    async def run(self, results: dict[str, Any]) -> dict[str, Any]:
        """Run the steps whose names are not in `results` yet, and return all results, in the order of the steps.

        A stage begins when all results of the one before are there. Each result is put into `results` as soon as it has
        come: when a step fails, its exception is raised, nothing is left running, and whoever calls again with the same
        `results` has only the missing steps made. What else is in there stays, and is not returned.
        """

        async def make(name: str, step: Step) -> None:
            results[name] = await step(results)

        for stage in self.stages:
            missing = [partial(make, name, step) for name, step in stage.items() if name not in results]
            await gather_bounded(missing, self.limit)
        return {name: results[name] for stage in self.stages for name in stage}
