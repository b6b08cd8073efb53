"""Stage 1, one slow answer stops everybody: sync vs async execution, and the timeout.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio

import pytest

from grader.plugin import expect
from grader.world import faults
from grader.world.traffic import Stream

pytestmark = pytest.mark.stage(1)

HEALTH_P99 = 0.050  # seconds
GRACE = 0.5  # seconds over a budget that cost nobody anything
PIECE = 1.0  # seconds between two pieces of a slow drip: who looks at the clock with each piece is right too


@pytest.mark.pattern("sync-vs-async")
def test_health_answers_while_a_question_waits(scene, incident):
    """/health answers while a question waits for the provider."""
    house = incident.House(scene, median=scene.rng("latency").uniform(4, 8))
    asks = _asks(incident, rate=0.2, begin=1.0, end=10.0)
    visits = house.visits(asks, incident.health(0.0, 15.0), horizon=60.0)
    p99 = visits.of("health").percentile(99)
    sees = f"one traveller asks, and /health needs {p99:.1f} s: the load balancer takes the replica out of service"
    expect("health_p99", p99, at_most=HEALTH_P99, unit="s", code="loop-blocked", sees=sees)


@pytest.mark.pattern("timeout")
def test_a_question_ends_in_time(scene, incident):
    """/ask ends within 10 s when the provider hangs."""
    house = incident.House(scene, fails=[faults.hanging(5.0, 1000.0)])
    asks = _asks(incident, rate=2.0, begin=6.0, end=11.0, patience=120.0)
    before = _asks(incident, name="before", rate=1.0, end=4.0)
    everything = house.visits(asks, before, horizon=150.0)
    good = everything.of("before").good
    expect("good", good, at_least=4, code="lost-answers", sees=f"{good} of 4 questions are answered on an ordinary day")
    visits = everything.of("ask")
    worst = visits.percentile(100)
    sees = f"the provider hangs, and a traveller stares at a spinner for {worst:.1f} s"
    expect("ask_worst", worst, at_most=incident.ASK_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)
    _ended_as_agreed(house, begin=6.0)


@pytest.mark.pattern("sync-vs-async")
def test_sections_are_summarised_together(scene, incident):
    """20 sections are summarised together, 8 calls at once."""
    latency = scene.rng("latency").uniform(1.5, 2.5)
    house = incident.House(scene, median=latency)
    house.document("tariff", sections=20)

    async def play():
        begun = house.sim.now
        reply = await house.replica.request("POST", "/documents/tariff/summary", timeout=100)
        return reply, house.sim.now - begun

    reply, seconds = house.run(play)
    expect("failed", int(reply.status != 200), at_most=0, code="lost-answers", sees=f"a summary ends with {reply.status}")
    rounds = seconds / latency
    calls = len(house.provider.log)
    sees = f"a summary of 20 sections is made of {calls} provider calls; each section needs one, and the merge"
    expect("calls", calls, at_least=21, unit="calls", code="no-work", sees=sees)
    sees = f"a summary of 20 sections takes {seconds:.0f} s: as long as {rounds:.1f} provider calls, one after another"
    expect("summary_rounds", rounds, at_most=6.0, unit="calls in a row", code="one-by-one", sees=sees)
    most = house.provider.high_water
    sees = f"one document has {most} calls open at once and crowds out the travellers; {incident.FAN_OUT} are agreed"
    expect("open_calls", most, at_most=incident.FAN_OUT, unit="calls", code="unbounded", sees=sees)


@pytest.mark.pattern("sync-vs-async")
def test_twenty_summaries_do_not_stop_the_house(scene, incident):
    """/health answers while 20 documents are summarised."""
    house = incident.House(scene, median=scene.rng("latency").uniform(0.5, 1.0))
    house.document("tariff", sections=20)
    summaries = _summaries("tariff", rate=10.0, begin=1.0, end=3.0, patience=100.0)
    asks = _asks(incident, rate=2.0, begin=1.0, end=11.0)
    visits = house.visits(summaries, asks, incident.health(0.0, 20.0), horizon=100.0)
    p99 = visits.of("health").percentile(99)
    sees = f"with 20 summaries on their way, /health needs {p99:.1f} s"
    expect("health_p99", p99, at_most=HEALTH_P99, unit="s", code="loop-blocked", sees=sees)
    sees = f"nobody is served for {house.blocked:.1f} s: the event loop stands still"
    expect("blocked", house.blocked, at_most=0.0, unit="s", code="loop-blocked", sees=sees)
    for name, count, seconds in (("summary", 20, 15.0), ("ask", 20, 5.0)):
        good, worst = visits.of(name).good, visits.of(name).percentile(100)
        sees = f"20 summaries and 20 questions come at once, nothing is wrong, and {good} of 20 end well ({name})"
        expect(f"{name}_good", good, at_least=count, code="lost-answers", sees=sees)
        sees = f"20 summaries and 20 questions come at once, nothing is wrong, and one takes {worst:.1f} s ({name})"
        expect(f"{name}_worst", worst, at_most=seconds, unit="s", code="one-by-one", sees=sees)


@pytest.mark.pattern("timeout")
def test_the_budget_is_the_whole_requests(scene, incident):
    """A summary ends within 60 s when every call is slow."""
    house = incident.House(scene, median=scene.rng("latency").uniform(17.5, 19.5))
    house.document("tariff", sections=20)
    summaries = _summaries("tariff", rate=0.5, begin=0.0, end=6.0, patience=390.0)
    visits = house.visits(summaries, horizon=395.0)
    worst = visits.percentile(100)
    sees = f"no single call hangs, and still a summary takes {worst:.1f} s: its calls are bounded one by one, or not at all"
    expect("summary_worst", worst, at_most=incident.SUMMARY_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)
    _ended_as_agreed(house)


@pytest.mark.pattern("timeout")
@pytest.mark.parametrize("how", ["hangs", "is-slow", "sends-a-scan"])
def test_the_budget_begins_with_the_request(scene, incident, how):
    """A summary ends within 60 s whatever the library does."""
    slow = faults.brown_out(0.0, 1000.0, scene.rng("library").uniform(850.0, 950.0))  # 17 to 19 s
    library, provider = {
        "hangs": ([faults.hanging(0.0, 1000.0)], []), "is-slow": ([slow], [faults.hanging(0.0, 1000.0)]),
        "sends-a-scan": ([], []),
    }[how]  # fmt: skip
    house = incident.House(scene, library_fails=library, fails=provider)
    house.document("tariff", sections=200, scanned=how == "sends-a-scan")  # 80 s of reading
    visits = house.visits(_summaries("tariff", rate=1.0, begin=0.0, end=6.0, patience=390.0), horizon=395.0)
    worst = visits.percentile(100)
    what = {"hangs": "hangs", "is-slow": "is slow", "sends-a-scan": "sends a scan of 200 pages"}[how]
    sees = f"the library {what}, and a summary takes {worst:.1f} s"
    expect("summary_worst", worst, at_most=incident.SUMMARY_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)
    _ended_as_agreed(house)


@pytest.mark.pattern("timeout")
def test_the_last_call_has_a_deadline_too(scene, incident):
    """A summary ends within 60 s when only its merge hangs, or drips."""
    rng = scene.rng("merge")
    merge = incident.only("Merge these")
    fault = rng.choice(
        (faults.hanging(0.0, 1000.0, when=merge), faults.dripping(0.0, 1000.0, seconds=300.0, when=merge))
    )
    house = incident.House(scene, median=rng.uniform(2.0, 4.0), fails=[fault])
    house.document("tariff", sections=20)
    visits = house.visits(_summaries("tariff", rate=1.0, begin=0.0, end=1.0, patience=390.0), horizon=395.0)
    worst = visits.percentile(100)
    most = incident.SUMMARY_BUDGET + PIECE + GRACE
    sees = f"all sections are there, their merge does not come, and the summary takes {worst:.1f} s"
    expect("summary_worst", worst, at_most=most, unit="s", code="no-deadline", sees=sees)
    _ended_as_agreed(house)


@pytest.mark.pattern("timeout")
def test_the_wait_for_a_place_counts(scene, incident):
    """Questions end within 10 s when many come and all are slow."""
    house = incident.House(scene, median=scene.rng("latency").uniform(2.4, 2.8))
    visits = house.visits(_asks(incident, rate=15.0, end=14.0, patience=100.0), horizon=125.0)
    worst = visits.percentile(100)
    sees = f"the provider is slow, many ask, and one of them waits {worst:.1f} s: for a place, before any clock runs"
    expect("ask_worst", worst, at_most=incident.ASK_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)


@pytest.mark.pattern("timeout")
def test_patience_fits_the_provider(scene, incident):
    """On an ordinary day, no time-out fails a question."""
    house = incident.House(scene, median=scene.rng("latency").uniform(0.95, 1.05), sigma=0.6)
    house.document("tariff", sections=20)
    summaries = _summaries("tariff", rate=0.1, begin=0.0, end=80.0, patience=90.0)
    everything = house.visits(_asks(incident, rate=5.0, end=80.0), summaries, horizon=180.0)
    visits = everything.of("ask")
    failed = 100 * (1 - house.share("/ask"))
    sees = f"nothing is wrong with the provider, and {failed:.1f} % of the questions fail"
    expect("false_timeouts", failed, at_most=2.0, unit="%", code="impatient", sees=sees, about="/ask")
    lost = round(8 * (1 - house.share("/documents")))
    sees = f"nothing is wrong with the provider, and {lost} of 8 summaries fail: each of their calls has too little time"
    expect("summaries_lost", lost, at_most=2, code="impatient", sees=sees, about="/documents")
    calls = sum("on flight SK" in entry.prompt for entry in house.provider.log) / len(visits)
    sees = f"{len(visits)} questions make {calls:.2f} calls each to the provider: not every answer is the model's"
    if calls > 1:
        sees = f"nothing is wrong with the provider, and {len(visits)} questions make {calls:.2f} calls each: paid twice"
    expect("calls", calls, at_least=1.0, unit="calls", code="no-work", sees=sees)
    expect("calls_billed", calls, at_most=1.3, unit="calls", code="billed-twice", sees=sees)


@pytest.mark.pattern("timeout")
def test_timeouts_give_back_what_they_took(scene, incident):
    """After an outage, time-outs have given all back."""
    heals = 40.0
    house = incident.House(scene, median=0.5, fails=[faults.hanging(0.0, heals)])
    storm = _asks(incident, name="storm", rate=15.0, end=10.0, patience=60.0)
    knock = _asks(incident, name="knock", rate=1.0, begin=heals + 1, end=heals + 8)  # who closed the door may look first
    after = _asks(incident, name="after", rate=4.0, begin=heals + 8, end=heals + 38, patience=30.0)
    visits = house.visits(storm, knock, after, horizon=heals + 80)
    worst = visits.of("storm").percentile(100)
    sees = f"150 travellers ask a provider that hangs, and one of them waits {worst:.1f} s"
    expect("storm_worst", worst, at_most=incident.ASK_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)
    share = 100 * house.share(begin=heals + 8)
    sees = f"the provider has healed, and only {share:.0f} % of the questions are answered"
    expect("answered_after", share, at_least=100.0, unit="%", code="leaked-slots", sees=sees)
    p99 = visits.of("after").percentile(99)
    sees = f"the provider has healed and answers in 0.5 s, and questions still take {p99:.1f} s"
    expect("ask_p99_after", p99, at_most=2.5, unit="s", code="leaked-slots", sees=sees)


@pytest.mark.pattern("timeout")
def test_what_timed_out_is_let_go(scene, incident):
    """What timed out is let go: its provider calls are hung up."""
    house = incident.House(scene, fails=[faults.hanging(0.0, 1000.0)])
    house.document("tariff", sections=20)

    async def play():
        ask = house.send("GET", incident.question(scene.rng("question")), timeout=150)
        both = await asyncio.gather(ask, house.send("POST", "/documents/tariff/summary", timeout=150))
        await asyncio.sleep(1.0)
        return [answer.told for answer in both], sum(entry.finished is None for entry in house.provider.log)

    (asked, ordered), left = house.run(play)
    sees = f"a question has ended with {asked}, a summary with {ordered}, and {left} of their provider calls are still open"
    expect("left_open", left, at_most=0, unit="calls", code="orphans", sees=sees)


@pytest.mark.pattern("timeout")
def test_deadline_counts_down(scene, incident, probes):
    """Deadline counts down, and check() raises at the end."""
    rng = scene.rng("deadline")
    seconds = rng.uniform(2, 20)
    pauses = [seconds * rng.uniform(0.2, 0.4), seconds * rng.uniform(0.2, 0.4), seconds]
    step = rng.choice((-3600.0, 3600.0))
    house = incident.House(scene)

    async def play():
        probe = asyncio.create_task(house.replica.probe(probes.deadline, seconds, pauses))
        await asyncio.sleep(pauses[0] / 2)
        house.replica.set_wall_clock(step)
        return await probe

    seen = house.run(play)
    spent, story = 0.0, [(0.0, f"a Deadline of {seconds:.1f} s is made")]
    story.append((pauses[0] / 2, f"somebody sets the clock {'back' if step < 0 else 'forward'} by an hour"))
    for pause, (remaining, raised) in zip(pauses, seen, strict=True):
        spent += pause
        left = max(0.0, seconds - spent)
        off = abs(remaining - left)
        sees = f"{spent:.1f} s into a budget of {seconds:.1f} s, remaining() says {remaining:.2f}"
        said = "raises" if raised else "does not raise"
        story.append((spent, f"remaining() is {remaining:.2f}, check() {said}"))
        expect("remaining_off", off, at_most=0.01, unit="s", code="wrong-deadline", sees=sees, story=story)
        sees = f"{spent:.1f} s into a budget of {seconds:.1f} s, check() {said}"
        expect("check_wrong", int(raised != (left == 0.0)), at_most=0, code="wrong-deadline", sees=sees, story=story)


@pytest.mark.pattern("sync-vs-async")
def test_run_blocking_leaves_the_loop_free(scene, incident, probes):
    """run_blocking leaves the event loop to others."""
    rng = scene.rng("blocking")
    seconds, value = rng.uniform(1, 3), rng.randrange(10**6)
    house = incident.House(scene)
    seen = house.run(lambda: house.replica.probe(probes.blocking_beside_a_ticker, seconds, value))
    due = seconds / 0.05
    sees = f"in {seconds:.1f} s of blocking work, others get {seen['ticks']} turns of about {due:.0f}"
    story = [
        (0.0, f"a ticker has a turn every 50 ms; run_blocking of {seconds:.1f} s of work begins"),
        (seconds, f"it ends; the ticker had {seen['ticks']} turns; the result is {seen['result']} (due: {value})"),
        (seconds, f"run_blocking of work that raises LookupError: {seen['error'] or 'nothing is raised'}"),
    ]
    expect("turns", seen["ticks"], at_least=0.9 * due - 1, unit="turns", code="loop-blocked", sees=sees, story=story)
    lost = int(seen["result"] != value)
    expect("result_lost", lost, at_most=0, code="lost-result", sees="the work's result is lost", story=story)
    lost = int(seen["error"] != "as planned")
    expect("error_lost", lost, at_most=0, code="lost-result", sees="the work's exception is lost", story=story)


@pytest.mark.pattern("sync-vs-async")
def test_gather_bounded_is_bounded(scene, incident, probes):
    """gather_bounded is bounded, in order, and leaves nothing."""
    rng = scene.rng("bounded")
    limit = rng.randrange(3, 7)
    durations = [rng.uniform(0.5, 1.5) for _ in range(5 * limit)]
    house = incident.House(scene)

    async def play():
        good = await house.replica.probe(probes.bounded, durations, limit)
        bad = await house.replica.probe(probes.bounded_with_a_failure, 3 * limit, limit, rng.randrange(limit))
        return good, bad, await house.replica.probe(probes.cancelled, "gather_bounded", 3 * limit, limit)

    good, bad, cancelled = house.run(play)
    sees = f"{good['most']} calls run at once, with a limit of {limit}"
    expect("at_once", good["most"], at_most=limit, unit="calls", code="unbounded", sees=sees, story=good["story"])
    ideal = sum(durations) / limit
    sees = f"{len(durations)} calls with a limit of {limit} take {good['seconds']:.1f} s; {ideal:.1f} s would do"
    spent, story = good["seconds"], good["story"]
    expect("gather_seconds", spent, at_most=2 * ideal, unit="s", code="one-by-one", sees=sees, story=story)
    wrong = int(good["results"] != list(range(len(durations))))
    sees = "the results are not in the order of the calls"
    expect("disorder", wrong, at_most=0, code="disorder", sees=sees, story=good["story"])
    sees = f"one call raises LookupError, and the caller gets {bad['raised'] or 'nothing'}"
    lost = int(bad["raised"] != "LookupError")
    expect("error_lost", lost, at_most=0, code="lost-result", sees=sees, story=bad["story"])
    sees = f"one call has failed, and the caller is told {bad['late']:.1f} s later: it waits for calls of no use to it"
    expect("told_after", bad["late"], at_most=0.1, unit="s", code="told-late", sees=sees, story=bad["story"])
    left = bad["finished_later"]
    sees = f"one call has failed and the caller was told; {left} others still run to their end, unseen and billed"
    expect("left_running", left, at_most=0, unit="calls", code="orphans", sees=sees, story=bad["story"])
    left = cancelled["finished_later"]
    sees = f"nobody waits for the result any more, and {left} calls still run to their end, unseen and billed"
    expect("left_when_cancelled", left, at_most=0, unit="calls", code="orphans", sees=sees, story=cancelled["story"])


@pytest.mark.pattern("sync-vs-async")
def test_reading_a_scan_does_not_stop_the_house(scene, incident):
    """/health answers while scanned pages are extracted."""
    house = incident.House(scene, median=0.2)
    pages = scene.rng("pages").randrange(8, 16)
    house.document("scan", sections=pages, scanned=True)
    summaries = _summaries("scan", rate=1.0, begin=1.0, end=5.0, patience=100.0)
    visits = house.visits(summaries, incident.health(0.0, 30.0), horizon=150.0)
    p99 = visits.of("health").percentile(99)
    sees = f"while the text of a {pages}-page scan is extracted, /health needs {p99:.1f} s"
    expect("health_p99", p99, at_most=HEALTH_P99, unit="s", code="loop-blocked", sees=sees)
    good = visits.of("summary").good
    expect("summaries", good, at_least=4, code="lost-answers", sees=f"{good} of 4 scanned documents are summarised")


@pytest.mark.pattern("timeout")
def test_a_slow_drip_ends(scene, incident):
    """An answer that drips byte by byte ends in time."""
    house = incident.House(scene, fails=[faults.dripping(0.0, 1000.0, seconds=300.0)])
    house.document("tariff", sections=12)
    asks = _asks(incident, rate=1.0, end=4.0, patience=390.0)
    summary = _summaries("tariff", rate=1.0, begin=20.0, end=21.0, patience=370.0)
    visits = house.visits(asks, summary, horizon=395.0)
    worst = visits.of("ask").percentile(100)
    sees = f"the answer drips in, byte by byte, and the traveller waits {worst:.1f} s"
    most = incident.ASK_BUDGET + PIECE + GRACE
    expect("ask_worst", worst, at_most=most, unit="s", code="slow-drip", sees=sees, about="/ask")
    worst = visits.of("summary").percentile(100)
    sees = f"the answer drips in, byte by byte, and a summary takes {worst:.1f} s"
    most = incident.SUMMARY_BUDGET + PIECE + GRACE
    expect("summary_worst", worst, at_most=most, unit="s", code="slow-drip", sees=sees, about="/documents")
    _ended_as_agreed(house)


def _asks(incident, *, rate, end, begin=0.0, name="ask", patience=30.0):
    """Questions at a steady rate."""
    return Stream(
        name=name, path=incident.question, rate=rate, begin=begin, end=end, patience=patience, arrivals="constant"
    )


def _summaries(document, *, rate, begin, end, patience):
    path = f"/documents/{document}/summary"
    return Stream(
        name="summary", method="POST", path=path, rate=rate, begin=begin, end=end, patience=patience,
        arrivals="constant",
    )  # fmt: skip


def _ended_as_agreed(house, begin=0.0):
    """Out of time is 503 or 504, or what stage 3 has in its place: never a 200 without an answer, nor a 500."""
    ends = [a for a in house.answers if a.asked >= begin]
    others = [a for a in ends if a.status not in (503, 504) and not (a.status == 200 and not a.whole)]
    told = ", ".join(sorted({a.told for a in others}))
    sees = f"out of time, {len(others)} of {len(ends)} requests end with {told} instead of 503 or 504"
    expect("wrong_endings", len(others), at_most=0, code="wrong-ending", sees=sees)
