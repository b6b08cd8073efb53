"""A tape becomes a sequence: who called whom, drawn so that it fits."""

from __future__ import annotations

import pytest

from grader.outcome import Step
from grader.sim.tape import Tape
from grader.story.damage import costs, first_broken
from grader.story.sequence import MOST_STEPS, cut, drawing, steps
from tests.story.test_timeline import at, outage


def test_each_call_has_its_answer_and_each_request_its_end() -> None:
    tape = outage()
    at(tape, 30).record("call-failed", "api", call=7, cause=1, error="ReadTimeout")
    found = steps(tape)
    assert [(s.at, s.kind, s.source, s.target, s.text) for s in found] == [
        (0.5, "note", "", "", "provider: hang begins"),
        (1.0, "call", "client", "api", "GET /ask"),
        (1.0, "call", "api", "llm.test", "POST /v1/chat"),
        (1.0, "still", "api", "", "service/app.py:9"),
        (1.5, "call", "client", "api", "GET /health"),
        (9.0, "answer", "api", "client", "200, 7.5 s"),
        (30.0, "failed", "client", "api", "gives up, 29.0 s"),
        (30.0, "failed", "llm.test", "api", "ReadTimeout"),
    ]
    assert found[3].seconds == 8.0


def test_a_sequence_is_drawn_between_lifelines() -> None:
    assert drawing(steps(outage()), 70) == [
        "          client                      api                       llm",
        "00:00.5  provider: hang begins         │                         │",
        "00:01.0      │─────── GET /ask ───────▶│                         │",
        "00:01.0      │                         │───── POST /v1/chat ────▶│",
        "00:01.0      │                         █ blocked 8.0 s: service/app.p…",
        "00:01.5      │────── GET /health ─────▶│                         │",
        "00:09.0      │◀╌╌╌╌╌ 200, 7.5 s ╌╌╌╌╌╌╌│                         │",
        "00:30.0      │╌╌╌ gives up, 29.0 s ╌╌╌✗│                         │",
    ]


@pytest.mark.parametrize("width", [38, 60, 78, 98])
@pytest.mark.parametrize("unicode", [True, False])
def test_a_drawing_fits_and_says_each_step(width: int, unicode: bool) -> None:
    some = (
        Step(1.0, "call", "client", "replica-1", "POST /documents/a-very-long-name/summary/of/it"),
        Step(2.0, "call", "replica-1", "llm.skylark.test", "POST /v1/chat/completions"),
        Step(3.0, "call", "client", "replica-2", "GET /jobs/0123456789abcdef"),
        Step(90_000.0, "still", "replica-2", "", "service/patterns/execution.py:123", 17.0),
        Step(90_001.0, "failed", "llm.skylark.test", "replica-1", "ReadTimeout"),
    )
    drawn = drawing(some, width, unicode=unicode)
    assert len(drawn) == 1 + len(some)
    assert all(len(line) <= width for line in drawn)
    assert unicode or all(line.isascii() or "…" in line for line in drawn)


def test_a_story_without_steps_is_not_drawn() -> None:
    assert drawing((), 80) == []
    assert steps(Tape()) == ()


def test_a_long_story_stays_a_drawing_that_one_can_read() -> None:
    tape = Tape()
    at(tape, 1).record("request", "api", id=1, method="GET", path="/ask", text="")
    for call in range(100):
        at(tape, 2 + call).record(
            "call", "api", call=call, cause=1, method="POST", url="https://llm.test/v1/chat", where=["service/app.py:9"]
        )
        at(tape, 2.5 + call).record("reply", "llm.test", call=call, to="api", cause=1, status=200)
    at(tape, 200).record("response", "api", id=1, status=200)
    assert 5 < len(steps(tape)) <= MOST_STEPS


def test_a_path_loses_its_beginning_first() -> None:
    assert cut("POST /v1/chat/completions", 25) == "POST /v1/chat/completions"
    assert cut("POST /v1/chat/completions", 24) == "POST …/chat/completions"
    assert cut("POST /v1/chat/completions", 20) == "POST …/completions"
    assert cut("POST /v1/chat/completions", 10) == "POST …/co…"
    assert cut("ReadTimeout", 5) == "Read…"


def test_the_damage_is_in_seconds_requests_and_money() -> None:
    tape = outage()
    at(tape, 31).record("response", "api", id=1, status=503)
    for gone, key in ((False, "k"), (False, "k"), (True, ""), (False, "")):
        tape.record("billed", "provider", call=1, key=key, gone=gone, cost=150_000)
    assert costs([tape]) == (
        "the event loop stands still for 8.0 s",
        "1 of 2 requests is given up, after 29 s of waiting; 1 of 2 requests is answered with 5xx",
        "2 provider calls are billed in vain: $0.30",
    )


def test_without_damage_nothing_is_said() -> None:
    tape = Tape()
    at(tape, 1).record("request", "api", id=1, method="GET", path="/ask", text="")
    at(tape, 2).record("response", "api", id=1, status=200)
    assert costs([tape]) == ()
    assert first_broken(tape) == ""


def test_what_broke_first_is_the_first_in_time_not_on_the_tape() -> None:
    assert first_broken(outage()) == "00:01.0  the event loop never stands still for more than 50 ms"


def test_who_hangs_up_before_anybody_could_answer_was_not_kept_waiting() -> None:
    for patience, broken in ((0.2, ""), (3.0, "00:04.0  every request is answered before its client gives up")):
        tape = Tape()
        at(tape, 1).record("request", "api", id=1, method="GET", path="/ask", text="")
        at(tape, 1 + patience).record("disconnect", "api", id=1)
        assert first_broken(tape) == broken
