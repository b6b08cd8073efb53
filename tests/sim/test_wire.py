"""The framed link: whole messages whatever the pieces, and an error for what is none."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from grader import wire

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[wire.Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    link = wire.Link(ours, wire.to_simulation)
    yield link, theirs
    link.close()
    theirs.close()


def test_a_message_arrives_whole_from_any_pieces(ends: tuple[wire.Link, socket.socket]) -> None:
    link, theirs = ends
    message = wire.Idle(5, [wire.Log("INFO", "shop", "x" * 3_000_000, 1), wire.Started()], None)
    data = msgspec.msgpack.encode(message)
    frame = struct.pack(">I", len(data)) + data

    def write() -> None:
        for at in (slice(0, 2), slice(2, 5), slice(5, 1000), slice(1000, None)):
            theirs.sendall(frame[at])

    writer = threading.Thread(target=write)
    writer.start()
    assert link.receive() == message
    writer.join()
    assert link.received == len(data)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"junk",
        b"\x91" * 100_000,
        msgspec.msgpack.encode(["Idle", "now", [], None]),
        msgspec.msgpack.encode(["Idle", 1, [["Nothing"]], None]),
        msgspec.msgpack.encode(["Idle", 1, [["Response", 1, 200, [], "text"]], None]),
        msgspec.msgpack.encode(["Boot"]),
        msgspec.msgpack.encode(["Idle", 1, [["ProbeResult", 1]], None]) + b"\x91" * 2000,
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_message_is_an_error(ends: tuple[wire.Link, socket.socket], payload: bytes) -> None:
    link, theirs = ends
    theirs.sendall(struct.pack(">I", len(payload)) + payload)
    with pytest.raises(msgspec.DecodeError):
        link.receive()


def test_a_frame_beyond_the_bound_is_not_read(ends: tuple[wire.Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.sendall(struct.pack(">I", wire.MAX_FRAME + 1))
    with pytest.raises(wire.FrameTooLong):
        link.receive()


def test_a_message_beyond_the_bound_is_not_sent(ends: tuple[wire.Link, socket.socket]) -> None:
    with pytest.raises(wire.FrameTooLong):
        ends[0].send(wire.Reply(1, 200, [], b"x" * wire.MAX_FRAME))


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\5abc"])
def test_a_link_that_closes_says_so(ends: tuple[wire.Link, socket.socket], sent: bytes) -> None:
    link, theirs = ends
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(wire.LinkClosed):
        link.receive()
    with pytest.raises(wire.LinkClosed):
        link.send(wire.Run(0, [], False, False))


def test_texts_can_always_cross() -> None:
    assert wire.text("x" * 9_999) == "x" * wire.MOST_TEXT
    assert msgspec.msgpack.encode(wire.text("a\udc80b")) == msgspec.msgpack.encode("a\\udc80b")
