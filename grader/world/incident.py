"""What `learn trigger` shows of a stage. Each group writes its own, and lists them in its incident.py:

    INCIDENTS: dict[int, type[Incident]] = {1: BrownOut, 2: Storm}    # by stage

A stage without one shows that of the stage before.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from grader.outcome import Act
from grader.world.scene import Scene


class Incident(Protocol):
    """A frozen dataclass of numbers with defaults: they are what `learn trigger --set NAME=VALUE` can change. It raises
    ValueError where they make no incident."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    title: ClassVar[str]

    def text(self) -> str:
        """What happens, for people."""

    def marks(self) -> tuple[tuple[float, str], ...]:
        """The moments that the pictures show: virtual seconds, and a label."""

    def play(self, scene: Scene) -> Act:
        """It happens. The same series and figures come for every service."""
