"""Stage 3, half an answer beats none: the partial result, and graceful degradation.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio

import pytest
from grader.plugin import expect
from grader.world import faults
from grader.world.traffic import Stream

pytestmark = pytest.mark.stage(3)

GRACE = 0.5  # seconds over a budget that cost nobody anything
COOLDOWN = 5.0
LOOK = 2.0  # seconds in which a breaker that may look again does so

RULES = {
    "What do pets in the cabin cost?": "60 euros",
    "When are refunds of flexible fares paid?": "seven days",
    "What does checked baggage on saver fares cost?": "30 euros",
    "Do children under two years travel on a lap?": "10 percent",
}


@pytest.mark.pattern("partial-result")
def test_what_has_come_is_not_thrown_away(scene, incident):
    """3 of 20 sections fail: a summary of 17."""
    rng = scene.rng("sections")
    lame = sorted(rng.sample(range(20), 3))
    house = incident.House(scene, fails=_lame(rng, lambda: [pages[at] for at in lame]))
    pages = house.document("tariff", sections=20).pages
    answer = house.run(lambda: _summary_after_quiet(house, incident, rng))
    billed = sum(any(entry.billed and page in entry.prompt for entry in house.provider.log) for page in pages)
    sees = f"{billed} of 20 sections are summarised and billed, and the traveller gets {answer.told}"
    expect("thrown_away", int(answer.status != 200), at_most=0, code="all-or-nothing", sees=sees, about="/documents")
    seconds = answer.ended - answer.asked
    sees = f"3 of 20 sections do not come, and the summary of the others takes {seconds:.1f} s"
    most = incident.SUMMARY_BUDGET + GRACE
    expect("summary_seconds", seconds, at_most=most, unit="s", code="no-deadline", sees=sees, about="/documents")
    status, missing = answer.body.get("status"), answer.body.get("missing")
    sees = f"sections {lame} did not come, and the summary says status {status!r}, missing {missing}"
    wrong = int(status != "partial" or missing != lame)
    expect("not_told", wrong, at_most=0, code="silent-gap", sees=sees, about="/documents")
    _has_sections(answer, pages, [at for at in range(20) if at not in lame])
    _is_the_models(house, answer)


@pytest.mark.pattern("partial-result")
def test_a_slow_provider_is_not_down(scene, incident):
    """A provider that takes 12 s a call still makes a summary."""
    seconds = scene.rng("latency").uniform(10.5, 12.0)
    house = incident.House(scene, median=seconds)
    pages = house.document("tariff", sections=20).pages
    answer = house.run(lambda: house.send("POST", "/documents/tariff/summary"))
    sees = f"the provider answers each call after {seconds:.1f} s, and the traveller gets {answer.told}"
    lost = int(answer.status != 200)
    expect("no_summary", lost, at_most=0, code="impatient", sees=sees, about="/documents")
    missing = answer.body.get("missing")
    here = [at for at in range(20) if at not in missing] if isinstance(missing, list) else []
    sees = f"the summary says that sections {missing} are missing: nothing is left"
    expect("sections", len(here), at_least=1, unit="sections", code="silent-gap", sees=sees, about="/documents")
    _has_sections(answer, pages, here)
    _is_the_models(house, answer)


@pytest.mark.pattern("partial-result")
def test_half_is_never_kept_as_whole(scene, incident):
    """Half a summary is not served again as a whole."""
    rng = scene.rng("sections")
    count = rng.randrange(9, 14)
    lame = sorted(rng.sample(range(count), 2))
    house = incident.House(scene, fails=_lame(rng, lambda: [pages[at] for at in lame], end=60.0))
    pages = house.document("tariff", sections=count).pages

    async def play():
        first = await _summary_after_quiet(house, incident, rng)
        sees = f"2 of {count} sections do not come, and the traveller gets {first.told}"
        lost = int(first.status != 200)
        expect("thrown_away", lost, at_most=0, code="all-or-nothing", sees=sees, about="/documents")
        await house.sim.until(90.0)
        return await house.send("POST", "/documents/tariff/summary")

    second = house.run(play)
    missing = second.body.get("missing")
    sees = f"the provider is well again, and a new summary still lacks sections {missing}"
    kept = int(missing != [])
    expect("still_missing", kept, at_most=0, code="half-kept", sees=sees, about="/documents", since=90.0)
    status = second.body.get("status")
    sees = f"nothing is missing, and the summary says status {status!r}"
    kept = int(status != "complete")
    expect("not_complete", kept, at_most=0, code="half-kept", sees=sees, about="/documents", since=90.0)
    _has_sections(second, pages, range(count))


@pytest.mark.pattern("partial-result")
def test_nothing_is_not_a_partial_result(scene, incident):
    """No section at all is no summary."""
    rng = scene.rng("sections")
    fault = faults.failing(0.0, 1000.0, rng.choice((500, 503)), when=lambda call: b"Merge" not in call.body)
    house = incident.House(scene, fails=[fault])
    house.document("tariff", sections=rng.randrange(3, 12))
    answer = house.run(lambda: house.send("POST", "/documents/tariff/summary"))
    sees = f"not one section could be summarised, and the answer is {answer.told}, {answer.body.get('status')!r}"
    expect("wrong_ending", int(answer.status not in (503, 504)), at_most=0, code="wrong-ending", sees=sees)
    refused = faults.failing(0.0, 1000.0, 400, when=lambda call: lame in call.body.decode())
    house = incident.House(scene, fails=[refused])
    lame = rng.choice(house.document("tariff", sections=rng.randrange(3, 12)).pages)
    answer = house.run(lambda: house.send("POST", "/documents/tariff/summary"))
    sees = f"the provider says 400 to one section, which is our own fault, and the answer is {answer.status} instead of 502"
    expect("hidden_fault", int(answer.status != 502), at_most=0, code="hides-faults", sees=sees)
    house = incident.House(scene, fails=[faults.failing(0.0, 1000.0, 400, when=incident.only("Merge"))])
    house.document("tariff", sections=rng.randrange(3, 12))
    answer = house.run(lambda: house.send("POST", "/documents/tariff/summary"))
    sees = f"the provider says 400 to the merge, which is our own fault, and the answer is {answer.status} instead of 502"
    expect("hidden_fault", int(answer.status != 502), at_most=0, code="hides-faults", sees=sees)
    house = incident.House(scene, fails=[faults.failing(0.0, 1000.0, 503, when=incident.only("Merge"))])
    house.document("tariff", sections=rng.randrange(3, 12))
    answer = house.run(lambda: house.send("POST", "/documents/tariff/summary"))
    sees = f"the merge does not come, and the answer is {answer.told} instead of 503"
    expect("no_merge", int(answer.status not in (503, 504)), at_most=0, code="wrong-ending", sees=sees)


@pytest.mark.pattern("partial-result")
def test_gather_partial_keeps_to_its_contract(scene, incident, probes):
    """gather_partial keeps what came, and leaves nothing."""
    rng = scene.rng("partial")
    limit, seconds, count = rng.randrange(4, 8), rng.uniform(5.0, 8.0), 20  # two hang: two places and more are left
    plans = [[rng.uniform(0.1, 0.4), "ok"] for _ in range(count)]
    lame = sorted(rng.sample(range(count), 5))
    for at, how in zip(lame, ("unavailable", "breaker_open", "deadline_exceeded", "ok", "ok"), strict=True):
        plans[at] = [50.0 if how == "ok" else 0.3, how]
    house = incident.House(scene)

    async def play():
        good = await house.replica.probe(probes.partial, plans, limit, seconds)
        first = rng.randrange(limit)
        bad = [[0.1, "other"] if at == first else [2.0, "ok"] for at in range(3 * limit)]
        bad = await house.replica.probe(probes.partial, bad, limit, seconds)
        return good, bad, await house.replica.probe(probes.cancelled, "gather_partial", 3 * limit, limit, seconds)

    good, bad, cancelled = house.run(play)
    sees = f"5 of {count} calls do not come, and gather_partial raises {good['raised']}"
    expect("raised", int(good["raised"] != ""), at_most=0, code="all-or-nothing", sees=sees, story=good["story"])
    sees = f"calls {lame} do not come, and {good['missing']} are named as missing"
    expect("missing_off", int(good["missing"] != lame), at_most=0, code="silent-gap", sees=sees, story=good["story"])
    due = [[at, f"result {at}"] for at in range(count) if at not in lame]
    sees = f"{len(due)} of {count} calls come, and the results are those of {[at for at, _ in good['results']]}"
    expect("results_off", int(good["results"] != due), at_most=0, code="wrong-results", sees=sees, story=good["story"])
    sees = f"{good['most']} calls run at once, with a limit of {limit}"
    expect("at_once", good["most"], at_most=limit, unit="calls", code="unbounded", sees=sees, story=good["story"])
    sees = f"the time is {seconds:.1f} s, and gather_partial takes {good['seconds']:.1f} s"
    over = good["seconds"] - seconds
    expect("over_time", over, at_most=0.1, unit="s", code="no-deadline", sees=sees, story=good["story"])
    sees = f"one call raises LookupError, which is a fault of our own, and the caller gets {bad['raised'] or 'nothing'}"
    expect("error_lost", int(bad["raised"] != "LookupError"), at_most=0, code="hides-faults", sees=sees, story=bad["story"])
    sees = f"one call has failed by our own fault, and the caller is told {bad['late']:.1f} s later: the others are of no use"
    expect("told_after", bad["late"], at_most=0.1, unit="s", code="told-late", sees=sees, story=bad["story"])
    left = good["ended_later"] + bad["ended_later"]
    sees = f"the result is there, and {left} calls still run to their end, unseen and billed"
    story = good["story"] if good["ended_later"] else bad["story"]
    expect("left_running", left, at_most=0, unit="calls", code="orphans", sees=sees, story=story)
    left = cancelled["finished_later"]
    sees = f"nobody waits for the result any more, and {left} calls still run to their end, unseen and billed"
    expect("left_when_cancelled", left, at_most=0, unit="calls", code="orphans", sees=sees, story=cancelled["story"])


@pytest.mark.pattern("graceful-degradation")
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_an_outage_is_bridged(scene, incident, how):
    """While the provider is down, travellers still get answers."""
    rng = scene.rng("outage")
    begin = rng.uniform(8.0, 10.0)
    fault = faults.failing(begin, 1000.0, 503) if how == "fails" else faults.hanging(begin, 1000.0)
    house = incident.House(scene, fails=[fault], horizon=600.0)
    known = [incident.about(flight, rng.choice(incident.TOPICS)) for flight in incident.flights(rng, 8)]

    async def play():
        before = await _one_by_one(house, known, 0.5)
        await house.sim.until(begin + 1.0)
        during = await _one_by_one(house, known, 1.0)
        await house.sim.until(begin + 60.0)
        late = await _one_by_one(house, known, 1.0)
        unknown = await _one_by_one(house, [_ask(question) for question in [*RULES, *RULES]], 1.0)
        return before, during, late, unknown, await house.send("GET", _ask("Gesundheit?"))

    before, during, late, unknown, other = house.run(play)
    poor = sum(not a.whole for a in before)
    sees = f"the provider is well, and {poor} of {len(before)} answers are degraded, or none"
    expect("degraded_in_peace", poor, at_most=0, unit="answers", code="always-degraded", sees=sees)
    everybody = [*during, *late, *unknown, other]
    lost = [a for a in everybody if a.status != 200 or not a.body.get("answer")]
    told = ", ".join(sorted({a.told for a in lost}))
    sees = f"the provider is down, and {len(lost)} of {len(everybody)} travellers get {told}"
    about = [a.path for a in lost[:1]]
    expect("lost", len(lost), at_most=0, unit="travellers", code="not-degraded", sees=sees, about=about)
    worst = max(a.ended - a.asked for a in everybody)
    sees = f"the provider is down, and a traveller waits {worst:.1f} s for an answer that needed nobody"
    expect("ask_worst", worst, at_most=incident.ASK_BUDGET + GRACE, unit="s", code="no-deadline", sees=sees)
    unmarked = sum(a.body.get("degraded") is not True for a in everybody)
    sees = f"{unmarked} of {len(everybody)} answers were made without the provider, and do not say so"
    expect("unmarked", unmarked, at_most=0, unit="answers", code="passed-off-as-fresh", sees=sees)
    for first, *again in zip(before, during, late, strict=True):
        told = first.body.get("answer")
        story = [(first.ended, f"{first.path} is answered “{told}”")]
        for answer in again:
            said, age, due = str(answer.body["answer"]), answer.body.get("age"), answer.ended - first.ended
            story.append((answer.ended, f"again: degraded, age {age}, “{said}”"))
            sees = f"“{told}” was the last good answer, and now the traveller gets “{said}”"
            expect("other_answer", int(said != told), at_most=0, code="forgotten", sees=sees, story=story)
            off = abs(age - due) if isinstance(age, (int, float)) else 1e6
            sees = f"an answer of {due:.0f} s ago says that its age is {age}"
            expect("age_off", off, at_most=1.5, unit="s", code="wrong-age", sees=sees, story=story)
    for (question, fact), answer in zip([*RULES.items(), *RULES.items()], unknown, strict=True):
        said, age = str(answer.body["answer"]), answer.body.get("age", "missing")
        story = [(answer.ended, f"“{question}” is answered “{said}”, age {age}")]
        sees = f"“{question}” was never asked before, and is answered with “{said}”"
        expect("other_rule", int(fact not in said), at_most=0, code="beside-the-point", sees=sees, story=story)
        sees = f"a rule stands in for an answer, and says that its age is {age}"
        expect("age_of_a_rule", int(age is not None), at_most=0, code="wrong-age", sees=sees, story=story)


@pytest.mark.pattern("graceful-degradation")
def test_our_own_fault_is_not_degraded_away(scene, incident):
    """A 400 is not hidden behind an old answer."""
    rng = scene.rng("fault")
    known = [incident.about(flight, "refunds") for flight in incident.flights(rng, 4)]
    house = incident.House(scene, fails=[faults.failing(10.0, 1000.0, rng.choice((400, 401, 422)))])

    async def play():
        before = await _one_by_one(house, known, 0.5)
        await house.sim.until(12.0)
        return before, await _one_by_one(house, known, 0.5)

    before, after = house.run(play)
    poor = sum(not a.whole for a in before)
    sees = f"the provider is well, and {poor} of {len(before)} answers are degraded, or none"
    expect("degraded_in_peace", poor, at_most=0, unit="answers", code="always-degraded", sees=sees)
    others = [a for a in after if a.status != 502]
    told = ", ".join(sorted({a.told for a in others}))
    sees = f"all that we send is wrong, and nobody will hear of it: {len(others)} of {len(after)} travellers get {told}"
    about = [a.path for a in others[:1]]
    code = "hides-faults"
    expect("hidden", len(others), at_most=0, unit="travellers", code=code, sees=sees, about=about, since=12.0)


@pytest.mark.pattern("graceful-degradation")
def test_it_ends_with_the_outage(scene, incident):
    """Answers are whole again soon after the outage."""
    rng = scene.rng("outage")
    begin, lasts = 5.0, rng.uniform(12.0, 25.0)
    healed = begin + lasts
    house = incident.House(scene, fails=[faults.failing(begin, healed, 503)])
    known = [incident.about(flight, rng.choice(incident.TOPICS)) for flight in incident.flights(rng, 10)]
    asks = Stream(name="ask", path=lambda rng: rng.choice(known), rate=4.0, end=healed + 20.0, arrivals="constant")
    house.visits(asks, horizon=120.0)
    during = [a for a in house.answers if begin <= a.asked < healed]
    lost = sum(a.status != 200 for a in during)
    sees = f"the provider is down, and {lost} of {len(during)} travellers get no answer"
    expect("lost", lost, at_most=0, unit="travellers", code="not-degraded", sees=sees)
    poor = [a for a in house.answers if a.asked >= healed and not a.whole]
    longest = max((a.asked - healed for a in poor), default=0.0)
    sees = f"the provider has been well for {longest:.1f} s, and still answers are degraded"
    story = [(begin, "the provider is down"), (healed, "the provider is well")]
    story += [(a.asked, f"GET /ask is answered {a.status}, degraded: {a.body.get('degraded')}") for a in poor]
    most = COOLDOWN + LOOK
    expect("degraded_after", longest, at_most=most, unit="s", code="stays-degraded", sees=sees, story=story)


@pytest.mark.pattern("graceful-degradation")
def test_a_post_is_not_answered_from_memory(scene, incident):
    """A summary is not made from memory."""
    rng = scene.rng("post")
    house = incident.House(scene, fails=[faults.failing(20.0, 1000.0, 503)])
    house.document("tariff", sections=rng.randrange(3, 9))

    async def play():
        before = await house.send("POST", "/documents/tariff/summary")
        made = len(house.provider.log)
        same = await house.send("POST", "/documents/tariff/summary")
        again = len(house.provider.log) - made
        sees = f"a summary is made of {made} calls; it is asked for anew, and made of {again}"
        kept = made - again if same.whole else 0
        expect("kept", kept, at_most=0, unit="calls", code="from-memory", sees=sees, about="/documents")
        house.document("tariff", sections=rng.randrange(9, 12))  # a new edition
        await house.sim.until(25.0)
        return (
            before,
            await house.send("POST", "/documents/tariff/summary"),
            await house.send("GET", _ask(next(iter(RULES)))),
        )

    before, after, ask = house.run(play)
    sees = f"a summary ends with {before.status}"
    expect("lost", int(not before.whole), at_most=0, code="lost-answers", sees=sees, about="/documents")
    told = "with an old summary from memory" if after.status == 200 else f"{after.told} instead of 503"
    sees = f"the provider is down, there is a new edition of the document, and its summary is answered {told}"
    code = "writes-degraded" if after.status == 200 else "wrong-ending"
    wrong = int(after.status not in (503, 504))
    expect("from_memory", wrong, at_most=0, code=code, sees=sees, about="/documents", since=25.0)
    sees = f"the provider is down, and a traveller gets {ask.told}"
    expect("not_degraded", int(ask.status != 200), at_most=0, code="not-degraded", sees=sees, about="/ask")


@pytest.mark.pattern("graceful-degradation")
def test_fallback_keeps_to_its_contract(scene, incident, probes):
    """Fallback remembers so much, and no more."""
    rng = scene.rng("fallback")
    size = rng.randrange(20, 60)
    nouns = rng.sample(incident.SUBJECTS, 5)
    rules = [f"The {noun} {rng.choice(incident.VERBS)} {rng.choice(incident.OBJECTS)}." for noun in nouns]
    picked = rng.randrange(5)
    asked = [f"PLEASE tell me about one {rng.choice((nouns[picked], nouns[picked].upper()))}, thank you"]
    questions = [f"Question {number}?" for number in rng.sample(range(10_000), 3 * size)]
    pause = rng.uniform(1.0, 50.0)
    house = incident.House(scene)
    args = ("\n".join(rules), size, questions, asked, pause)

    async def play():
        probe = asyncio.create_task(house.replica.probe(probes.fallback, *args))
        await asyncio.sleep(pause / 3)
        house.replica.set_wall_clock(rng.choice((-3600.0, 3600.0)))
        return await probe

    seen = house.run(play)
    story = [(0.0, f"remember({asked!r}, 'answer {number}')") for number, asked in enumerate(questions)]
    story += [(pause, f"{sum(seen['known'])} of them are known; the last one: {seen['last']}")]
    story += [(pause, f"instead({asked[0]!r}) is {seen['asked'][0]}")]
    kept = sum(seen["known"])
    sees = f"{len(questions)} travellers ask, {size} questions may be kept, and {kept} are: memory grows without end"
    expect("kept", kept, at_most=size, unit="questions", code="unbounded-memory", sees=sees, story=story)
    answer, age = seen["last"]
    sees = f"the latest question was answered “answer {len(questions) - 1}”, and is said to be “{answer}”"
    wrong = int(answer != f"answer {len(questions) - 1}")
    expect("latest_lost", wrong, at_most=0, code="forgotten", sees=sees, story=story)
    sees = f"an answer of {pause:.1f} s ago says that its age is {age}"
    off = abs((age or 0.0) - pause)
    expect("age_off", off, at_most=0.1, unit="s", code="wrong-age", sees=sees, story=story)
    answer, age = seen["newer"]
    story.append((1.5 * pause, f"the last one was answered anew {pause / 2:.1f} s ago; now: {seen['newer']}"))
    sees = f"a question was answered anew {pause / 2:.1f} s ago, and now the last good answer is “{answer}”, age {age}"
    wrong = int(answer != "a newer answer" or abs((age or 0.0) - pause / 2) > 0.1)
    expect("not_the_last", wrong, at_most=0, code="forgotten", sees=sees, story=story)
    age = seen["backwards"]
    last = questions[-1].split()
    sees = f"“{' '.join(reversed(last))}” is taken for “{questions[-1]}”: from A to B is not from B to A"
    expect("other_question", int(age is not None), at_most=0, code="other-question", sees=sees, story=story)
    answer, age = seen["asked"][0]
    sees = f"“{asked[0]}” is answered with “{answer}”, age {age}"
    wrong = int(answer.strip() != rules[picked] or age is not None)
    expect("other_rule", wrong, at_most=0, code="beside-the-point", sees=sees, story=story)


def _lame(rng, sections, end=1000.0):
    """Some sections do not come: some hang, the others fail."""

    def only(some):
        def when(call):
            text = call.body.decode()
            return "Merge" not in text and any(section in text for section in some(sections()))

        return when

    return [
        faults.hanging(0.0, end, when=only(lambda some: some[:1])),
        faults.failing(0.0, end, rng.choice((500, 503)), when=only(lambda some: some[1:])),
    ]


async def _summary_after_quiet(house, incident, rng):
    """A summary, after a quiet time, so that a few failures are no outage."""
    for _ in range(20):
        asyncio.get_running_loop().create_task(house.send("GET", incident.about("today", rng.choice(incident.TOPICS))))
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.0)
    return await house.send("POST", "/documents/tariff/summary")


async def _one_by_one(house, paths, pause):
    """One a `pause`, whatever the others do; in order."""
    asked = []
    for path in paths:
        asked.append(asyncio.get_running_loop().create_task(house.send("GET", path)))
        await asyncio.sleep(pause)
    return await asyncio.gather(*asked)


def _ask(question):
    return f"/ask?q={question.replace(' ', '+').replace('?', '%3F')}"


def _has_sections(answer, pages, due):
    """The first sentence of each section that is due, and of no other, in order."""
    text = str(answer.body.get("summary"))
    places = [text.find(pages[at].rstrip(".")) for at in due]
    lost = places.count(-1)
    sees = f"the summary lacks {lost} sections"
    expect("lost_sections", lost, at_most=0, unit="sections", code="silent-gap", sees=sees, about="/documents")
    sees = "the sections are out of order"
    expect("disorder", int(places != sorted(places)), at_most=0, code="disorder", sees=sees, about="/documents")


def _is_the_models(house, answer):
    """The summary is what the model made of the sections, and not put together by ourselves."""
    made = [entry.answer for entry in house.provider.log if entry.prompt.startswith("Merge")]
    sees = "the sections are there, and the summary is not what the model merged of them"
    wrong = int(answer.body.get("summary") not in made)
    expect("strung_together", wrong, at_most=0, code="no-work", sees=sees, about="/documents")
