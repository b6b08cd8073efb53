"""How a run can end other than by its scenario's end. Each says what happened, and in which of the learner's lines."""

from __future__ import annotations

from grader.wire import Place


class SimulationError(Exception):
    """Base of what a simulation raises."""


class HostFailed(SimulationError):
    """A host could not start, or could not go on.

    `kind` is stable: "syntax-error", "missing-file", "import-error", "app-error", "startup-error", "shutdown-error",
    "todo", "exit", "killed", "killed-from-outside", "limit-time", "limit-stall", "limit-cpu", "limit-memory",
    "flood", "garbage", "breakpoint", "debugger-quit", "unannounced", "deadlock", "horizon", "busy".
    """

    def __init__(
        self, host: str, kind: str, text: str, places: tuple[Place, ...] = (), detail: str = "", output: str = ""
    ) -> None:
        at = f" ({places[0].file}:{places[0].line})" if places else ""
        super().__init__(f"{host}: {text}{at}")
        self.host = host
        self.kind = kind
        self.text = text
        self.places = places
        self.detail = detail
        self.output = output


class ProbeFailed(SimulationError):
    """A probe's function raised, or returned what cannot cross. `kind` is the exception's name."""

    def __init__(self, kind: str, text: str, places: tuple[Place, ...], detail: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.places = places
        self.detail = detail


class ClientTimeout(SimulationError):
    """The simulated client's patience ran out; it has hung up."""


class ConnectionLost(SimulationError):
    """The host was down, crashed, or was cut off, before its reply was complete."""
