"""The simulation: owns time, network, disk and crashes. Trusted; nothing of a learner's runs here."""

from grader.sim.crashpoints import enumerate_crashes
from grader.sim.engine import Simulation
from grader.sim.errors import ClientTimeout, ConnectionLost, HostFailed, ProbeFailed, SimulationError
from grader.sim.forkserver import Forkserver
from grader.sim.host import Host, Response, Service, Stream
from grader.sim.network import Call, Hangup, Network, Reply
from grader.sim.tape import Entry, Tape

__all__ = [
    "Call",
    "ClientTimeout",
    "ConnectionLost",
    "Entry",
    "Forkserver",
    "Hangup",
    "Host",
    "HostFailed",
    "Network",
    "ProbeFailed",
    "Reply",
    "Response",
    "Service",
    "Simulation",
    "SimulationError",
    "Stream",
    "Tape",
    "enumerate_crashes",
]
