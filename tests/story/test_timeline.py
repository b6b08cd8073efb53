"""A tape becomes a story of at most twelve lines, about the request that matters."""

from __future__ import annotations

from grader.sim.tape import Tape
from grader.story.timeline import MOST_LINES, tell


def at(tape: Tape, seconds: float) -> Tape:
    tape.now = round(seconds * 1e9)
    return tape


def outage() -> Tape:
    """One question hangs on a blocking call, and the health check behind it."""
    tape = Tape()
    tape.record("start", "api")
    at(tape, 1).record("request", "api", id=1, method="GET", path="/ask?q=x")
    at(tape, 1).record(
        "call", "api", call=7, cause=1, method="POST", url="https://llm.test/v1/chat?k=1", where=["service/app.py:9"]
    )
    at(tape, 1.5).record("request", "api", id=2, method="GET", path="/health")
    at(tape, 2).record("fault", "provider", fault="hang", phase="begin", begin=0.5, factor=1.0, status=0)
    at(tape, 9).record("blocked", "api", seconds=8.0, where=["service/app.py:9"])
    at(tape, 9).record("response", "api", id=2, status=200)
    at(tape, 30).record("disconnect", "api", id=1)
    return tape


def test_a_story_has_the_cause_the_line_and_the_damage_in_order_of_time() -> None:
    assert tell(outage()) == (
        "00:00.5  the provider fails: hang",
        "00:01.0  GET /ask arrives (request 1)",
        "00:01.0  → POST llm.test/v1/chat at service/app.py:9",
        "00:01.0  the event loop of api stands still for 8.0 s at service/app.py:9",
        "00:30.0  the client of request 1 gives up after 29.0 s",
    )


def test_a_story_is_about_the_requests_that_were_judged() -> None:
    assert "00:09.0  request 2 is answered 200 after 7.5 s" in tell(outage(), "/health")


def test_a_long_tape_still_makes_a_short_story_that_counts_the_rest() -> None:
    tape = outage()
    for number in range(10, 60):
        at(tape, 31).record("request", "api", id=number, method="GET", path="/ask")
        at(tape, 32).record("disconnect", "api", id=number)
    story = tell(tape)
    assert len(story) <= MOST_LINES
    assert story[-1].endswith("50 more clients give up")


def test_the_first_start_of_a_host_is_no_story_and_a_crash_is() -> None:
    tape = Tape()
    tape.record("start", "api")
    at(tape, 3).record("crash", "api")
    at(tape, 4).record("start", "api")
    assert tell(tape) == ("00:03.0  api crashes", "00:04.0  api starts")


def test_an_empty_tape_tells_nothing() -> None:
    assert tell(Tape()) == ()
