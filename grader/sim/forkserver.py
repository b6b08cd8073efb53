"""The trusted side's end of the hosts' warm parent (`host/forkserver.py`): start it, ask it for hosts, end them."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grader.sandbox import Unconfined

HASH_SEEDS = 2**32


def seed_of_hosts(seed: int) -> int:
    """What hosts may know of a run's seed. There is no way back to that, from which tests draw what is to happen."""
    return int.from_bytes(hashlib.sha256(f"{seed}/hosts".encode()).digest()[:7])


def keep_terminal() -> Callable[[], None]:
    """What puts the terminal's modes right again, after a debugger that was ended in the middle of a line."""
    import termios

    modes = termios.tcgetattr(0)
    return lambda: termios.tcsetattr(0, termios.TCSADRAIN, modes)


class ForkserverGone(Exception):
    """The warm parent has ended, which is a fault of ours."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a host came to its end. `status`: negative for a signal. `before`: it had ended before we killed it."""

    status: int
    before: bool
    confined: bool


class Forkserver:
    """A client of the warm parent. `Forkserver.launch` starts one; `another` connects a further client to it."""

    def __init__(
        self, control: socket.socket, process: subprocess.Popen[bytes] | None = None, terminal: str = ""
    ) -> None:
        self._control = control
        self._process = process
        self.terminal = terminal

    @classmethod
    def launch(
        cls, seed: int = 0, system: Sequence[str] = (), terminal: str = "", allowed: Sequence[str] = ()
    ) -> Forkserver:
        """Start a warm parent in the background; the first request waits until it is warm. Its environment is ours
        alone: nothing of the caller's enters, and the hash seed comes from `seed`, the run's.

        With `system`, hosts are confined: they see these paths, their code and their disk, and the caller has to run
        behind `sandbox.enclose`. With `terminal`, the type of the one that our standard streams are, these are the
        hosts', for a debugger. `allowed`: what services may import; the libraries among it are imported, too."""
        ours, theirs = socket.socketpair()
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": str(seed_of_hosts(seed) % HASH_SEEDS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
            "MALLOC_ARENA_MAX": "2",
            "OPENBLAS_NUM_THREADS": "1",  # of numpy: one thread, one order of every sum
            "OMP_NUM_THREADS": "1",
        }
        with theirs:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-s",
                    "-m",
                    "grader.host.forkserver",
                    str(theirs.fileno()),
                    ",".join(allowed),
                    *system,
                ],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=None if terminal else subprocess.DEVNULL,
                start_new_session=True,
            )
        return cls(ours, process, terminal)

    def another(self) -> Forkserver:
        """A further client, for another process or worker."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask({"do": "attach"}, [theirs.fileno()])
        return Forkserver(ours, terminal=self.terminal)

    @property
    def pid(self) -> int:
        """The warm parent's process id, for whoever launched it; otherwise 0."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """Has the warm parent ended? For whoever launched it."""
        return self._process is not None and self._process.poll() is not None

    def fork(self, link: int, output: int, dump: int, *, code: str, disk: str) -> int:
        """A new host on the three descriptors, which is to run the code in one folder on the disk in another.

        Its process id. Raises Unconfined."""
        order = {"do": "fork", "code": code, "disk": disk, "terminal": bool(self.terminal)}
        answer = self._ask(order, [link, output, dump])
        if "refused" in answer:
            raise Unconfined(f"a host cannot be confined: {answer['refused']}")
        return int(answer["pid"])

    def kill(self, pid: int, grace: float = 0.0) -> Ending:
        """End a host and what it has started. `grace`: seconds in which it may still end by itself."""
        return Ending(**self._ask({"do": "kill", "pid": pid, "grace": grace}))

    def dump(self, pid: int) -> None:
        """Have the host write the stacks of all its threads to its dump file."""
        self._ask({"do": "dump", "pid": pid})

    def fileno(self) -> int:
        return self._control.fileno()

    def close(self) -> None:
        """End our hosts, and with the last client the warm parent."""
        self._control.close()
        if self._process is not None:
            self._process.wait()

    def _ask(self, order: dict[str, Any], fds: list[int] | None = None) -> dict[str, Any]:
        try:
            socket.send_fds(self._control, [json.dumps(order).encode() + b"\n"], fds or [])
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._control.recv(4096)
                if not part:
                    raise ForkserverGone("the warm parent of the hosts has ended")
                answer += part
        except OSError as error:
            raise ForkserverGone(f"the warm parent of the hosts has ended ({error})") from error
        found: dict[str, Any] = json.loads(answer)
        return found
