"""The messages between the simulation and a host, and the framed link that carries them.

Values cross this boundary, objects never do: every message is a struct of plain fields, encoded with MessagePack,
checked against its schema and bounded in size on arrival. What a message means is decided at its two ends, `sim/` and
`host/`.

Times are integer nanoseconds of virtual time since the start of the simulation.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec

MAX_FRAME = 8 * 1024 * 1024
"""Bytes in one message, at most. A longer one is a flood."""

MOST_TEXT = 2_000
"""Characters of one text for people, at most."""

Headers = list[tuple[str, str]]


def text(value: object, most: int = MOST_TEXT) -> str:
    """`value` as text that can cross: bounded, and Unicode."""
    return str(value)[:most].encode("utf-8", "backslashreplace").decode()


class Message(msgspec.Struct, array_like=True, tag=True):
    """Base of all messages; the class's name is its tag."""


class Place(msgspec.Struct, array_like=True, frozen=True):
    """A line of the learner's code, relative to the folder that is judged. Advisory: the host says so."""

    file: str
    line: int
    function: str


# ------------------------------------------------------------------------------------------- simulation -> host


class Boot(Message):
    """The first message: what to run, and as whom."""

    name: str
    root: str  # put first on sys.path
    app: str  # "service.app:create_app"
    ports: dict[str, str]
    env: dict[str, str]
    limits: dict[str, int]  # resource name ("AS") -> bytes, seconds or a count
    seed: int  # `seed_of_hosts` of the run's
    shuffles: bool  # what is ready at one instant runs in an order that the seed picks, or else first in, first out
    now: int
    epoch: int  # wall time at virtual 0, nanoseconds since 1970
    interleave: bool  # several hosts share a disk: hand over before each statement
    counting: bool  # crash points are counted: what has an effect outside leaves at once
    terminal: str = ""  # its type (TERM), where the host's standard streams are one: a debugger may use it


class Request(Message):
    """An HTTP request that reaches this host. With `more`, its body goes on in RequestChunk."""

    id: int
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    more: bool = False


class RequestChunk(Message):
    id: int
    body: bytes
    more: bool


class Disconnect(Message):
    """The client of request `id` has gone."""

    id: int


class Reply(Message):
    """The whole answer to an outbound call."""

    id: int
    status: int
    headers: Headers
    body: bytes


class ReplyHead(Message):
    id: int
    status: int
    headers: Headers


class ReplyChunk(Message):
    id: int
    body: bytes


class ReplyEnd(Message):
    id: int


class ReplyError(Message):
    """An outbound call failed. `kind` names the httpx exception: "ConnectError", "ReadTimeout" ..."""

    id: int
    kind: str
    text: str


class Probe(Message):
    """Run `function` of the module `source` beside the learner's code."""

    id: int
    module: str
    source: str
    function: str
    args: list[Any]


class SetWall(Message):
    """Step the wall clock: what it shows at virtual 0 from now on. Monotonic clocks do not follow."""

    epoch: int


class Explain(Message):
    """Which of the learner's lines are waiting, and for what kind of thing?"""


class Stop(Message):
    """Shut down in order: the lifespan's shutdown runs, then the host ends."""


Inbound = (
    Request
    | RequestChunk
    | Disconnect
    | Reply
    | ReplyHead
    | ReplyChunk
    | ReplyEnd
    | ReplyError
    | Probe
    | SetWall
    | Explain
    | Stop
)


class Run(Message):
    """It is `now`: take `inbox`, and run until nothing is left to do at this instant."""

    now: int
    inbox: list[Inbound]
    interleave: bool
    counting: bool


# ------------------------------------------------------------------------------------------- host -> simulation


class Started(Message):
    """The app is built and its lifespan has started."""


class Failed(Message):
    """The host cannot go on. `kind` is one of sim.errors' codes."""

    kind: str
    text: str
    where: list[Place]
    detail: str = ""


class Response(Message):
    """The whole answer to a Request."""

    id: int
    status: int
    headers: Headers
    body: bytes


class ResponseHead(Message):
    id: int
    status: int
    headers: Headers


class ResponseChunk(Message):
    id: int
    body: bytes
    more: bool


class ResponseBroken(Message):
    """The answer breaks off: its head has left, and the rest will not."""

    id: int


class Egress(Message):
    """An outbound HTTP call. `cause` is the Request that it serves, or 0. Time-outs in seconds, None for none."""

    id: int
    method: str
    url: str
    headers: Headers
    body: bytes
    connect: float | None
    read: float | None
    write: float | None
    cause: int
    where: list[Place]


class EgressAbort(Message):
    """The caller of `id` stopped waiting."""

    id: int


class ProbeResult(Message):
    id: int
    value: Any


class ProbeError(Message):
    id: int
    kind: str
    text: str
    where: list[Place]
    detail: str


class Log(Message):
    level: str
    logger: str
    text: str
    cause: int


class Stalled(Message):
    """The event loop stands still from now on, because of what `where` calls. Blocked says when that is over."""

    where: list[Place]


class Blocked(Message):
    """The event loop stood still from `began` to `ended`, because of what `where` called."""

    began: int
    ended: int
    where: list[Place]


class Unhandled(Message):
    """An exception that nobody caught, in a request, a task or a thread."""

    kind: str
    text: str
    cause: int
    where: list[Place]
    detail: str


class Escape(Message):
    """The service reached for what the simulation does not own, and was refused."""

    kind: str
    text: str
    where: list[Place]


class Effect(Message):
    """A durable effect on the disk has just happened: a commit, a write, a file opened for it, a rename, a removal."""

    kind: str
    text: str
    where: list[Place]


class Waiting(Message):
    """The answer to Explain."""

    places: list[tuple[str, Place]]


class Stopped(Message):
    """The lifespan's shutdown is over."""


Outbound = (
    Started
    | Failed
    | Response
    | ResponseHead
    | ResponseChunk
    | ResponseBroken
    | Egress
    | EgressAbort
    | ProbeResult
    | ProbeError
    | Log
    | Stalled
    | Blocked
    | Unhandled
    | Escape
    | Effect
    | Waiting
    | Stopped
)


class Idle(Message):
    """Nothing is left to do until `deadline` (None: for ever). `now` is this host's clock, which may be ahead.

    `passes`: as many turns that come to it go to others of this instant, since it took as many that nobody could see.
    """

    now: int
    out: list[Outbound]
    deadline: int | None
    passes: int = 0


_encoder = msgspec.msgpack.Encoder()
to_host = msgspec.msgpack.Decoder(Boot | Run)
to_simulation = msgspec.msgpack.Decoder(Idle)


class LinkClosed(Exception):
    """The other side is gone."""


class FrameTooLong(Exception):
    """The other side announced a frame longer than MAX_FRAME."""


class Link:
    """Length-prefixed messages over a connected stream socket. Blocking, unless the socket has a time-out."""

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._sock = sock
        self._decoder = decoder
        self._recv = sock.recv
        self.received = 0  # bytes
        self.torn = False  # has a time-out fallen into the middle of a message?

    def send(self, message: Message) -> None:
        """Raises FrameTooLong before anything is sent, LinkClosed when nobody listens."""
        data = _encoder.encode(message)
        if len(data) > MAX_FRAME:
            raise FrameTooLong(len(data))
        try:
            self._sock.sendall(struct.pack(">I", len(data)) + data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LinkClosed from error

    def receive(self) -> Any:
        """Raises LinkClosed, FrameTooLong, TimeoutError, or msgspec.DecodeError for a message that is none."""
        head = self._exactly(4)
        self.torn = True
        (size,) = struct.unpack(">I", head)
        if size > MAX_FRAME:
            raise FrameTooLong(size)
        self.received += size
        body = self._exactly(size)
        self.torn = False
        try:
            return self._decoder.decode(body)
        except (RecursionError, MemoryError) as error:  # nested too deeply, or an array said to be of that size
            raise msgspec.DecodeError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._recv(size)
            if len(data) == size:
                return data
            self.torn = True
            parts = [data]
            missing = size - len(data)
            while missing:
                if not parts[-1]:
                    raise LinkClosed
                parts.append(self._recv(min(missing, 1 << 20)))
                missing -= len(parts[-1])
            return b"".join(parts)
        except ConnectionResetError as error:
            raise LinkClosed from error
