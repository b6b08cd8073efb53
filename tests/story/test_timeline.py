"""A tape becomes a story of at most twelve lines, about the request that matters."""

from __future__ import annotations

from grader.sim.tape import Tape
from grader.story.timeline import MOST_LINES, crash_point, lines, tell


def at(tape: Tape, seconds: float) -> Tape:
    tape.now = round(seconds * 1e9)
    return tape


def outage() -> Tape:
    """One question hangs on a blocking call, and the health check behind it."""
    tape = Tape()
    tape.record("start", "api")
    at(tape, 1).record("request", "api", id=1, method="GET", path="/ask?q=x", text="")
    at(tape, 1).record(
        "call", "api", call=7, cause=1, method="POST", url="https://llm.test/v1/chat?k=1", where=["service/app.py:9"]
    )
    at(tape, 1.5).record("request", "api", id=2, method="GET", path="/health", text="")
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
        "00:01.5  GET /health arrives (request 2)",
        "00:09.0  request 2 is answered 200 after 7.5 s",
        "00:30.0  the client of request 1 gives up after 29.0 s",
    )


def test_a_story_is_about_the_requests_that_were_judged() -> None:
    assert "00:09.0  request 2 is answered 200 after 7.5 s" in tell(outage(), ["/health"])


def test_a_story_can_leave_out_what_came_before() -> None:
    tape = outage()
    at(tape, 40).record("request", "api", id=3, method="GET", path="/ask", text="")
    at(tape, 41).record("response", "api", id=3, status=200)
    assert "00:41.0  request 3 is answered 200 after 1.0 s" in tell(tape, ["/ask"], since=40.0)


def test_a_story_can_be_about_several_requests_and_about_what_they_say() -> None:
    tape = outage()
    at(tape, 31).record("request", "api", id=3, method="POST", path="/jobs", text='{"document": "tariff"}')
    at(tape, 32).record("stop", "api")
    at(tape, 33).record("stopped", "api")
    told = tell(tape, ["/health", "tariff"])
    assert "00:09.0  request 2 is answered 200 after 7.5 s" in told
    assert told[-3:] == (
        '00:31.0  POST /jobs {"document": "tariff"} arrives (request 3)',
        "00:32.0  api is told to stop",
        "00:33.0  api has stopped",
    )


def test_a_story_that_a_test_knows_is_told_in_as_many_lines() -> None:
    assert lines([(0.0, "it begins"), (61.0, "it ends")]) == ("00:00.0  it begins", "01:01.0  it ends")
    told = lines([(number, f"step {number}") for number in range(40)])
    assert len(told) == MOST_LINES
    assert told[5:7] == ("00:05.0  step 5", "…        29 more")
    assert told[-1] == "00:39.0  step 39"


def test_a_long_tape_still_makes_a_short_story_that_counts_the_rest() -> None:
    tape = outage()
    for number in range(10, 60):
        at(tape, 31).record("request", "api", id=number, method="GET", path="/ask", text="")
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


def test_a_crash_says_what_it_comes_right_behind() -> None:
    tape = Tape()
    at(tape, 3).record("crash", "api", behind="commit (SQLite)", where=["service/app.py:7"])
    assert tell(tape) == ("00:03.0  api crashes right behind commit (SQLite) at service/app.py:7",)


def test_an_empty_tape_tells_nothing() -> None:
    assert tell(Tape()) == ()


def test_the_story_of_a_crash_point_names_the_request_the_effect_and_the_crash() -> None:
    tape = Tape()
    tape.record("start", "api")
    at(tape, 1).record("request", "api", id=1, method="POST", path="/jobs", text='{"document": "d"}')
    for number in range(1, 7):
        at(tape, 1).record("effect", "api", number=number, what="commit", text="SQLite", where=["service/jobs.py:9"])
    at(tape, 2).record("effect", "api", number=7, what="call", text="https://llm.test/x", where=[])
    at(tape, 2).record("crash", "api")
    at(tape, 3).record("start", "api")
    at(tape, 3).record("effect", "api", number=8, what="commit", text="SQLite", where=["service/jobs.py:3"])
    at(tape, 4).record("effect", "api", number=9, what="call", text="https://llm.test/x", where=[])
    assert crash_point(tape) == [
        (1, 'POST /jobs {"document": "d"} comes to api'),
        (1, "effect 5 of api: commit at service/jobs.py:9"),
        (1, "effect 6 of api: commit at service/jobs.py:9"),
        (2, "effect 7 of api: a call leaves"),
        (2, "api crashes"),
        (3, "api starts"),
        (4, "effect 9 of api: a call leaves"),
    ]


def test_a_host_that_stands_still_is_part_of_every_story() -> None:
    tape = outage()
    at(tape, 31).record("freeze", "api")
    at(tape, 40).record("thaw", "api")
    told = tell(tape)
    assert "00:31.0  api stands still: it gets no turn" in told
    assert "00:40.0  api goes on, as if nothing had been" in told
