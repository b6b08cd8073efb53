"""Stage 2, the storm: retry, exponential backoff, and the circuit breaker.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import email.utils
import itertools
import math
from collections import Counter

import pytest
from grader.plugin import expect
from grader.world import faults
from grader.world.traffic import Stream

pytestmark = pytest.mark.stage(2)

TRIES = 3
PASSING = (429, 500, 502, 503, 504)
OUR_FAULT = (400, 401, 404, 422)
BASE = 0.2  # seconds: the longest delay after the first try
COOLDOWN = 5.0
BUCKET = 0.020  # seconds: retries that come within it come together


@pytest.mark.pattern("retry")
def test_what_passes_is_tried_again(scene, incident):
    """What fails for a moment is tried again."""
    rng = scene.rng("moment")
    flights = incident.flights(rng, len(PASSING) + 4)
    once = [incident.first_tries(1, flight) for flight in flights]
    fails = [faults.failing(0.0, 1000.0, status, when=when) for status, when in zip(PASSING, once, strict=False)]
    fails += [faults.unreachable(0.0, 1000.0, how, when=once.pop()) for how in ("refused", "reset", "connect-hang")]
    fails.append(faults.hanging(0.0, 1000.0, when=once.pop()))
    fails.append(faults.hanging(0.0, 1000.0, when=lambda call: section(call)))
    names = ("tariff-1", "tariff-2", "tariff-3", "tariff-4")
    first, second, third, fourth = (incident.first_tries(1, name) for name in names)
    library = [
        faults.failing(0.0, 1000.0, rng.choice((429, 502, 504)), when=first),
        faults.failing(0.0, 1000.0, rng.choice((500, 503)), when=second),
        faults.unreachable(0.0, 1000.0, rng.choice(("refused", "reset")), when=third),
        faults.hanging(0.0, 1000.0, when=fourth),
    ]
    house = incident.House(scene, fails=fails, library_fails=library)
    for name in names:
        house.document(name, sections=2)
    section = incident.first_tries(1, house.documents[names[0]].pages[0])

    async def play():
        await _ordinary(house, incident, rng)
        asked = [asyncio.create_task(house.send("GET", incident.about(flight))) for flight in flights]
        asked += [asyncio.create_task(house.send("POST", f"/documents/{name}/summary")) for name in names]
        return await asyncio.gather(*asked)

    answers = house.run(play)
    lost = [a for a in answers if not a.whole]
    told = ", ".join(sorted({a.told for a in lost}))
    sees = f"one call of each request fails for a moment, and {len(lost)} of {len(answers)} end with {told}"
    expect("lost", len(lost), at_most=0, unit="requests", code="not-retried", sees=sees, about=_first(lost))


@pytest.mark.pattern("retry")
def test_our_own_fault_is_not_tried_again(scene, incident):
    """A 400 is asked once, and ends with 502."""
    flights = incident.flights(scene.rng("fault"), len(OUR_FAULT))
    fails = [
        faults.failing(0.0, 1000.0, status, when=incident.only(flight))
        for status, flight in zip(OUR_FAULT, flights, strict=True)
    ]
    house = incident.House(scene, fails=fails)
    answers = house.run(lambda: _all(house, [incident.about(flight) for flight in flights]))
    most, flight = max((_calls(house, flight), flight) for flight in flights)
    sees = f"the provider says that a request is wrong, and is asked the same {most} times"
    expect("calls", most, at_most=1, unit="calls", code="hopeless-retry", sees=sees, about=flight)
    others = [a for a in answers if a.status != 502]
    told = ", ".join(sorted({a.told for a in others}))
    sees = f"the provider refuses what we sent it, and {len(others)} of {len(answers)} travellers get {told} instead of 502"
    expect("wrong_endings", len(others), at_most=0, code="wrong-ending", sees=sees, about=_first(others))


@pytest.mark.pattern("retry")
def test_tries_do_not_multiply(scene, incident):
    """What goes on failing is tried 3 times, not 9."""
    rng = scene.rng("failing")
    (flight,) = incident.flights(rng, 1)
    count = rng.randrange(5, 9)
    missing = faults.failing(0.0, 1000.0, 503, when=lambda call: "fares" in call.path)
    lame_calls = faults.failing(0.0, 1000.0, 503, when=lambda call: lame(call))
    house = incident.House(scene, fails=[lame_calls], library_fails=[missing])
    section = rng.choice(house.document("tariff", sections=count).pages)
    merged = rng.choice(house.document("rules", sections=2).pages)

    def lame(call):
        text, merges = call.body.decode(), b"Merge" in call.body
        return flight in text or (section in text and not merges) or (merged.rstrip(".") in text and merges)

    async def play():
        await _ordinary(house, incident, rng)
        await house.send("POST", "/documents/tariff/summary")
        await house.send("GET", incident.about(flight))
        await house.sim.until(60.0)  # so that a few failures are no outage
        await _ordinary(house, incident, rng)
        await house.send("POST", "/documents/rules/summary")
        return await house.send("POST", "/documents/fares/summary")

    last = house.run(play)
    merges = sum(merged.rstrip(".") in e.prompt and e.prompt.startswith("Merge") for e in house.provider.log)
    tries = {"a question": _calls(house, flight), "a section": _calls(house, section), "a merge": merges}
    tries["a document"] = sum("fares" in path for _, path in house.library_calls)
    what = {
        "a question": flight, "a section": "/documents/tariff", "a merge": "/documents/rules",
        "a document": "/documents/fares",
    }  # fmt: skip
    few, many = min(tries, key=tries.get), max(tries, key=tries.get)
    sees = f"{few} cannot be had now, and is given up after {tries[few]} try"
    expect("fewest_tries", tries[few], at_least=2, unit="tries", code="not-retried", sees=sees, about=what[few])
    sees = f"{many} cannot be had now, and is asked for {tries[many]} times: layers of retries multiply"
    expect("most_tries", tries[many], at_most=TRIES, unit="tries", code="too-many-tries", sees=sees, about=what[many])
    sees = f"the library goes on failing, and the traveller gets {last.told} instead of 503"
    wrong = int(last.status not in (503, 504))
    expect("wrong_ending", wrong, at_most=0, code="wrong-ending", sees=sees, about=last.path)


@pytest.mark.pattern("retry")
def test_one_call_has_one_key(scene, incident):
    """A lost reply is not billed twice."""
    rng = scene.rng("lost")
    flights = incident.flights(rng, 8)
    lost = [
        faults.reply_lost(0.0, 1000.0, rng.choice(("reset", "hang")), when=incident.first_tries(1, text))
        for text in (*flights[:3], "Summarise for")
    ]
    house = incident.House(scene, fails=lost)
    house.document("tariff", sections=2)
    paths = [incident.about(flight) for flight in (*flights[:4], flights[3])]  # the last is asked by two travellers
    later = [incident.about(flight) for flight in flights[4:]]

    async def play():
        await _ordinary(house, incident, rng)
        before = len(house.provider.invoice), len(house.tries())
        answers = [*await _all(house, paths), await house.send("POST", "/documents/tariff/summary")]
        made = len(house.provider.invoice) - before[0], len(house.tries()) - before[1]
        await house.replica.restart()
        return answers, made, await _all(house, later)

    answers, (billed, keys), afterwards = house.run(play)
    due = len(paths) + 3  # two sections, and their merge
    lost = [a for a in answers if not a.whole]
    good = len(answers) - len(lost)
    sees = f"five replies are lost on their way, and {good} of {len(answers)} travellers are answered"
    expect("answered", good, at_least=len(answers), unit="travellers", code="not-retried", sees=sees, about=_first(lost))
    twice = billed - due
    times = {flight: sum(flight in entry.prompt for entry in house.provider.log if entry.billed) for flight in flights}
    about = next((flight for flight in flights[:4] if times[flight] > 1 + (flight == flights[3])), "/documents")
    sees = f"a reply is lost, the call is made again, and {twice} of {due} answers are billed twice"
    expect("billed_twice", twice, at_most=0, unit="answers", code="billed-twice", sees=sees, about=about)
    sees = f"{due} calls have {keys} keys: the provider takes the question of one traveller for that of another"
    expect("keys", keys, at_least=due, unit="keys", code="shared-key", sees=sees, about=flights[3])
    lost = [a for a in afterwards if not a.whole]
    told = ", ".join(sorted({a.told for a in lost}))
    sees = f"after a restart, {len(lost)} of {len(later)} travellers get {told}: their keys were used before"
    expect("used_keys", len(lost), at_most=0, unit="keys", code="shared-key", sees=sees, about=_first(lost))


@pytest.mark.pattern("retry")
def test_retry_after_is_honoured(scene, incident):
    """Who says “in 3 seconds” is not asked before."""
    rng = scene.rng("patience")
    windows = [(10.0, 10.0 + rng.uniform(2.2, 4.0), False), (30.0, 30.0 + rng.uniform(2.2, 4.0), True)]
    statuses = rng.sample((429, 503), 2)
    busy = [
        faults.failing(begin, end, status, retry_after=math.inf, as_date=as_date)
        for (begin, end, as_date), status in zip(windows, statuses, strict=True)
    ]
    house = incident.House(scene, fails=busy)
    flights = incident.flights(rng, 6)

    async def play():
        ends = []
        for number, (begin, _, _) in enumerate(windows):
            await house.sim.until(begin - 6)
            await _ordinary(house, incident, rng)
            await house.sim.until(begin + rng.uniform(0.0, 0.5))
            ends += await _all(house, [incident.about(flight) for flight in flights[3 * number : 3 * number + 3]])
        return ends

    answers = house.run(play)
    early, hasty = 0.0, flights[0]
    for number, flight in enumerate(flights):
        _, end, _ = windows[number // 3]
        arrived = [entry.arrived for entry in house.provider.log if flight in entry.prompt]
        early, hasty = max([(early, hasty), *((end - at, flight) for at in arrived[1:])])
    sees = f"the provider says when to come again, and is asked {early:.1f} s before that"
    expect("early", early, at_most=0.05, unit="s", code="retry-after-ignored", sees=sees, about=hasty)
    lost = [a for a in answers if not a.whole]
    good = len(answers) - len(lost)
    sees = f"a wait of 2 to 4 s would have done, and {good} of {len(answers)} travellers are answered"
    expect(
        "answered", good, at_least=len(answers), unit="travellers", code="not-retried", sees=sees, about=_first(lost),
    )


@pytest.mark.pattern("retry")
def test_retry_keeps_to_its_contract(scene, incident, probes):
    """retry tries again, in time, and only what passes."""
    rng = scene.rng("retry")
    tries = rng.randrange(3, 6)
    asked = rng.uniform(1.0, 3.0)
    cases = {  # failures, kind, retry_after, deadline, tries, seconds each
        "recovers": (tries - 1, "unavailable", 0.0, 100.0, tries, 0.1),
        "gives up": (99, "unavailable", 0.0, 100.0, tries, 0.1),
        "our fault": (1, "other", 0.0, 100.0, tries, 0.1),
        "waits": (1, "unavailable", asked, 100.0, tries, 0.1),
        "cannot wait": (1, "unavailable", 50.0, 20.0, tries, 0.1),
        "too late": (0, "unavailable", 0.0, 0.0, tries, 0.1),
    }
    house = incident.House(scene)

    async def play():
        ends = {name: await house.replica.probe(probes.retried, *case) for name, case in cases.items()}
        return ends, await house.replica.probe(probes.waits, 60, 6)

    seen, waits = house.run(play)
    ends = {
        "recovers": tries, "gives up": "Unavailable", "our fault": "LookupError", "waits": 2,
        "cannot wait": "Unavailable", "too late": "DeadlineExceeded",
    }  # fmt: skip
    made = {"recovers": tries, "gives up": tries, "our fault": 1, "waits": 2, "cannot wait": 1, "too late": 0}
    why = {
        "recovers": "and then succeeds", "gives up": "and always", "our fault": "by our own fault",
        "waits": "and is to be left alone for a moment", "cannot wait": "and the wait would outlast the deadline",
        "too late": "but the time is up before the first try",
    }  # fmt: skip
    story = {}
    for name, (failures, kind, asks, seconds, tries, _) in cases.items():
        calls, end = len(seen[name]["at"]), seen[name]["end"]
        fails = f"a call fails{f' {failures} times' if 0 < failures < 99 else ' never' if not failures else ''}"
        raises = f"{fails} ({kind}, retry_after {asks:.1f})"
        story[name] = [(0.0, f"{raises}: retry within {seconds:.0f} s, {tries} tries")]
        story[name] += [(at, f"try {number}") for number, at in enumerate(seen[name]["at"], 1)]
        story[name].append((seen[name]["seconds"], f"the end: {end}"))
        sees = f"{fails}, {why[name]}: {made[name]} tries are due, and retry makes {calls}"
        off = abs(calls - made[name])
        expect("tries_off", off, at_most=0, unit="tries", code="wrong-tries", sees=sees, story=story[name])
        sees = f"{fails}, {why[name]}: retry is to end with {ends[name]}, and ends with {end}"
        wrong = int(end != ends[name])
        expect("wrong_end", wrong, at_most=0, code="wrong-tries", sees=sees, story=story[name])
    gap = seen["waits"]["at"][1] - seen["waits"]["at"][0] - 0.1
    sees = f"asked to wait {asked:.1f} s, retry waits {gap:.1f} s"
    short = asked - gap
    expect("gap_short", short, at_most=0.001, unit="s", code="retry-after-ignored", sees=sees, story=story["waits"])
    idle = seen["gives up"]["seconds"] - seen["gives up"]["at"][-1] - 0.1
    sees = f"the tries are used up, and retry waits {idle:.1f} s more before it says so"
    expect("idle", idle, at_most=0.001, unit="s", code="waits-in-vain", sees=sees, story=story["gives up"])
    late = seen["cannot wait"]["seconds"]
    sees = f"retry waits {late:.1f} s for a try that could only come after the deadline"
    told = story["cannot wait"]
    expect("waited_in_vain", late, at_most=1.0, unit="s", code="waits-in-vain", sees=sees, story=told)
    mean, most = sum(map(sum, waits)) / len(waits), sum(BASE * 2**number for number in range(5))
    sees = f"from the first try to the sixth, retry waits {mean:.1f} s on average, where delay may give {most:.1f} s"
    story = [(0.0, f"a call waits {', '.join(f'{wait:.2f}' for wait in each)} s between its tries") for each in waits[:6]]
    expect("mean", mean / most, at_least=0.3, code="not-the-delay", sees=sees, story=story)
    for number in range(5):
        longest, column = BASE * 2**number, sorted(wait[number] for wait in waits)
        story = [(0.0, f"after try {number + 1}, 60 calls wait " + ", ".join(f"{w:.3f}" for w in column[::6]) + ", … s")]
        sees = f"after try {number + 1}, retry waits {column[-1]:.2f} s, where delay gives {longest:.2f} s at the most"
        excess = max(0.0, column[-1] - longest - 0.01)
        expect("over_the_delay", excess, at_most=0.0, unit="s", code="not-the-delay", sees=sees, story=story)
        spread = (column[-1] - column[0]) / longest
        sees = f"after try {number + 1}, all wait from {column[0]:.2f} to {column[-1]:.2f} s: they come again together"
        expect("spread", spread, at_least=0.3, code="not-the-delay", sees=sees, story=story)


@pytest.mark.pattern("retry")
def test_retry_after_is_read_in_both_forms(scene, incident, probes):
    """Retry-After is read as seconds and as a date."""
    rng = scene.rng("header")
    now = float(rng.randrange(1_700_000_000, 1_800_000_000))
    ahead, past = rng.randrange(2, 5000), rng.randrange(2, 5000)
    headers = {
        str(ahead): ahead, "0": 0, _date(now + ahead): ahead, _date(now - past): 0, "soon": 0, "": 0, "-5": 0, None: 0,
    }  # fmt: skip
    house = incident.House(scene)
    zone = rng.choice(("America/New_York", "Asia/Kolkata"))
    seen = house.run(lambda: house.replica.probe(probes.retry_after, list(headers), now, zone))
    for (header, due), got in zip(headers.items(), seen, strict=True):
        sees = f"“Retry-After: {header}” is read as {got:g} s instead of {due} s"
        story = [(0.0, f"at {_date(now)}, in {zone}, retry_after_seconds({header!r}, now) is {got:g}")]
        off = abs(got - due)
        expect("retry_after_off", off, at_most=0.01, unit="s", code="wrong-retry-after", sees=sees, story=story)


@pytest.mark.pattern("exponential-backoff")
def test_delay_keeps_to_its_contract(scene, incident, probes):
    """delay doubles, is capped, and is spread out."""
    rng = scene.rng("delay")
    base, cap, draws = rng.uniform(0.1, 0.5), rng.uniform(4.0, 8.0), 300
    attempts = [1, 2, 3, 4, 30, 1000]
    house = incident.House(scene)
    seen = house.run(lambda: house.replica.probe(probes.delays, attempts, draws, base, cap, rng.randrange(10**6)))
    for attempt, waits in zip(attempts, seen["seen"], strict=True):
        longest = min(cap, base * 2 ** (attempt - 1)) if attempt < 100 else cap
        first = ", ".join(f"{wait:.3f}" for wait in waits[:6])
        story = [(0.0, f"delay({attempt}, rng, base={base:.2f}, cap={cap:.2f}): {first}, …")]
        over = max(waits) / longest
        sees = f"after try {attempt}, delay waits {max(waits):.2f} s, where {longest:.2f} s is the most"
        excess = max(0.0, over - 1.0001)
        expect("over_the_longest", excess, at_most=0.0, code="too-long-a-wait", sees=sees, story=story)
        sees = f"after try {attempt}, delay waits {max(waits):.2f} s at most, where it may be up to {longest:.2f} s"
        expect("reach", over, at_least=0.9, code="too-short-a-wait", sees=sees, story=story)
        spread = (max(waits) - min(waits)) / longest
        sees = f"after try {attempt}, all wait from {min(waits):.2f} to {max(waits):.2f} s: they come again together"
        expect("spread", spread, at_least=0.35, code="no-jitter", sees=sees, story=story)
        low = sum(wait < min(waits) + (max(waits) - min(waits)) / 2 for wait in waits) / draws
        sees = f"after try {attempt}, {100 * low:.0f} % of the waits are in the lower half: they are not spread evenly"
        expect("evenness", abs(low - 0.5), at_most=0.2, code="no-jitter", sees=sees, story=story)
    again = abs(seen["again"] - seen["seen"][0][0])
    sees = "delay does not draw from the generator that it is given"
    story = [(0.0, f"two generators with one seed: {seen['seen'][0][0]:.3f} s and {seen['again']:.3f} s")]
    expect("not_from_rng", again, at_most=1e-9, unit="s", code="foreign-chance", sees=sees, story=story)


@pytest.mark.pattern("exponential-backoff")
def test_a_herd_does_not_come_back_together(scene, incident):
    """Who failed together does not return together."""
    rng = scene.rng("herd")
    herd = incident.flights(rng, 90)
    fails = [faults.failing(0.0, 1000.0, 503, when=incident.first_tries(1, "on flight SK"))]
    house = incident.House(scene, fails=fails, median=0.1)

    async def play():
        await _ordinary(house, incident, rng, rate=40.0)
        await _all(house, [incident.about(flight) for flight in herd])

    house.run(play)
    again = []
    for flight in herd:
        again += [entry.arrived for entry in house.provider.log if flight in entry.prompt][1:2]
    sees = f"{len(herd)} calls fail in one moment, and {len(again)} of them are tried again"
    expect(
        "tried_again", len(again), at_least=len(herd), unit="calls", code="not-retried", sees=sees, about=herd[0],
    )
    peak = max(sum(begin <= at < begin + BUCKET for at in again) for begin in again)
    sees = f"{len(herd)} calls fail in one moment, and {peak} of them come again within {1000 * BUCKET:.0f} ms"
    buckets = sorted(Counter(int(at / BUCKET) for at in again).items())
    story = [(at * BUCKET, f"{count} of them within 20 ms, from {at * BUCKET:.2f} s on") for at, count in buckets]
    expect("herd", peak, at_most=41, unit="calls", code="herd", sees=sees, story=story)


@pytest.mark.pattern("circuit-breaker")
def test_breaker_opens_when_enough_has_failed(scene, incident, probes):
    """The breaker opens on a share of enough calls."""
    rng = scene.rng("opens")
    minimum, failures = rng.choice(((6, 0.5), (8, 0.5), (10, 0.5), (10, 0.6)))
    enough = round(failures * minimum)
    window, cooldown = rng.uniform(8.0, 15.0), rng.uniform(3.0, 6.0)
    settings = {"failures": failures, "minimum": minimum, "window": window, "cooldown": cooldown}
    well = rng.randrange(20, 30)
    few = math.ceil(failures * well / (1 - failures)) - 2  # two too few to open it
    cases = {
        "one of one": [["call", 1, "unavailable", 0.01], ["call", 1, "ok", 0.01]],
        "one too few": [["call", minimum - 1, "unavailable", 0.01], ["call", 1, "ok", 0.01]],
        "enough": [["call", minimum, "unavailable", 0.01], ["call", 5, "ok", 0.01]],
        "just the share": [
            ["call", minimum - enough, "ok", 0.01], ["call", enough, "unavailable", 0.01], ["call", 5, "ok", 0.01],
        ],
        "a smaller share": [
            ["call", well, "ok", 0.01], ["call", few, "unavailable", 0.01], ["call", 1, "ok", 0.01],
        ],
        "a large enough share": [
            ["call", well, "ok", 0.01], ["call", few + 5, "unavailable", 0.01], ["call", 5, "ok", 0.01],
        ],
        "long ago": [
            ["call", minimum - 1, "unavailable", 0.01], ["sleep", window + 1.0], ["call", 1, "unavailable", 0.01],
            ["call", 1, "ok", 0.01],
        ],
        "slow failures": [["call", minimum, "unavailable", window + 3.0], ["call", 5, "ok", 0.01]],
        "cancelled, then enough": [
            ["call", 3 * minimum, "cancel", 0.2], ["call", minimum, "unavailable", 0.01], ["call", 5, "ok", 0.01],
        ],
        "cancelled, then well": [
            ["call", 3 * minimum, "cancel", 0.2], ["call", 1, "ok", 0.01], ["call", 1, "ok", 0.01],
        ],
    }  # fmt: skip
    closed = {"one of one", "one too few", "a smaller share", "long ago", "cancelled, then well"}
    seen = _play(incident.House(scene), probes, settings, cases)
    for name, tallies in seen.items():
        last = tallies[-1]
        if name in closed:
            calls = last["made"] + last["refused"]
            sees = f"{_told(name, minimum, failures)}, and the breaker refuses {last['refused']} of {calls} calls"
            code, figure = "opens-too-early", last["refused"]
            expect("refused", figure, at_most=0, unit="calls", code=code, sees=sees, story=_told_by(tallies))
        else:
            sees = f"{_told(name, minimum, failures)}, and the breaker still lets {last['made']} calls through"
            code, figure = "does-not-open", last["made"]
            expect("let_through", figure, at_most=0, unit="calls", code=code, sees=sees, story=_told_by(tallies))


@pytest.mark.pattern("circuit-breaker")
def test_breaker_lets_one_look_first(scene, incident, probes):
    """Half-open, 50 callers make one probe."""
    rng = scene.rng("half-open")
    minimum, probing = rng.randrange(5, 10), rng.randrange(1, 4)
    cooldown = rng.uniform(3.0, 6.0)
    settings = {"minimum": minimum, "cooldown": cooldown, "probes": probing}
    opened = [["call", minimum, "unavailable", 0.01], ["sleep", cooldown + 0.1]]
    cases = {
        "ends well": [*opened, ["call", 50, "ok", 0.5], ["call", 50, "ok", 0.5]],
        "ends badly": [
            *opened, ["call", 50, "unavailable", 0.5], ["sleep", cooldown - 0.7], ["call", 50, "ok", 0.5],
            ["sleep", 0.8], ["call", 50, "ok", 0.5],
        ],
        "is cancelled": [*opened, ["call", probing, "cancel", 1.0], ["call", 50, "ok", 0.5]],
        "is refused": [*opened, ["call", probing, "refused", 0.1], ["call", 50, "ok", 0.5]],
        "clean sheet": [
            *opened, ["call", 1, "ok", 0.1], ["call", minimum - 1, "unavailable", 0.01], ["call", 1, "ok", 0.01],
        ],
        "late failures": [["begin", 3, "unavailable", 2.0], *opened, ["call", 1, "ok", 0.1]],
        "old news": [["begin", 3, "ok", 1.0], *opened[:1], ["sleep", 1.5], ["call", 50, "ok", 0.5]],
    }  # fmt: skip
    usual = [["call", 10, "unavailable", 0.01], ["sleep", COOLDOWN - 0.5], ["call", 5, "ok", 0.1], ["sleep", 0.5]]
    usual.append(["call", 5, "ok", 0.1])
    seen = _play(incident.House(scene), probes, settings, cases)
    seen |= _play(incident.House(scene), probes, {}, {"as it is": usual})
    for name in ("ends well", "ends badly"):
        made, story = seen[name][1]["made"], _told_by(seen[name])
        sees = f"the cool-down is over, 50 callers are waiting, and {made} calls go to whoever is just getting up"
        expect("probes", made, at_most=probing, unit="calls", code="probes-in-a-herd", sees=sees, story=story)
        sees = f"the cool-down is over, {probing} calls may look, and {made} pass"
        expect("no_probe", made, at_least=probing, unit="calls", code="stays-open", sees=sees, story=story)
    made, story = seen["ends badly"][2]["made"], _told_by(seen["ends badly"])
    sees = f"the probe has failed, and {made} calls pass before another cool-down is over"
    expect("after_a_bad_probe", made, at_most=0, unit="calls", code="no-second-cool-down", sees=sees, story=story)
    made, story = seen["ends well"][-1]["made"], _told_by(seen["ends well"])
    sees = f"the first probe has ended well, and still only {made} of 50 calls pass"
    expect("after_a_good_probe", made, at_least=50, unit="calls", code="stays-open", sees=sees, story=story)
    made, story = seen["ends badly"][-1]["made"], _told_by(seen["ends badly"])
    sees = f"the first probe has ended badly, another cool-down is over, {probing} calls may look, and {made} pass"
    expect("after_two_cool_downs", made, at_least=probing, unit="calls", code="stays-open", sees=sees, story=story)
    made, story = seen["is cancelled"][2]["made"], _told_by(seen["is cancelled"])
    sees = f"a probe was cancelled before it ended, {probing} calls may look, and {made} pass"
    expect("after_a_cancelled_probe", made, at_least=probing, unit="calls", code="stays-open", sees=sees, story=story)
    sees = f"a probe was cancelled, which says nothing, and {made} calls go to whoever is just getting up"
    expect("after_no_answer", made, at_most=probing, unit="calls", code="probes-in-a-herd", sees=sees, story=story)
    made, story = seen["is refused"][2]["made"], _told_by(seen["is refused"])
    sees = f"a probe was refused, which is an answer, and still only {made} of 50 calls pass"
    expect("after_a_refused_probe", made, at_least=50, unit="calls", code="stays-open", sees=sees, story=story)
    refused, story = 1 - seen["clean sheet"][-1]["made"], _told_by(seen["clean sheet"])
    sees = f"the breaker has closed, then {minimum - 1} calls fail, where it takes {minimum}, and it opens again"
    expect("old_failures", refused, at_most=0, unit="calls", code="opens-too-early", sees=sees, story=story)
    refused, story = 1 - seen["late failures"][-1]["made"], _told_by(seen["late failures"])
    sees = "calls from before fail while the breaker is open, and the cool-down begins anew with them"
    expect("longer_cool_down", refused, at_most=0, unit="calls", code="stays-open", sees=sees, story=story)
    made, story = seen["old news"][2]["made"], _told_by(seen["old news"])
    sees = f"a call from before ends well while the breaker is open, and {made} calls pass"
    expect("closed_by_an_old_call", made, at_most=0, unit="calls", code="old-news", sees=sees, story=story)
    early, due = (tally["made"] for tally in seen["as it is"][1:])
    story = _told_by(seen["as it is"])
    sees = f"a breaker with the default settings has been open for {COOLDOWN - 0.5:.1f} s, and {early} calls pass"
    expect("too_early", early, at_most=0, unit="calls", code="other-settings", sees=sees, story=story)
    sees = f"a breaker with the default settings has been open for more than {COOLDOWN:.0f} s, one call may look, {due} pass"
    expect("not_one", abs(due - 1), at_most=0, unit="calls", code="other-settings", sees=sees, story=story)


@pytest.mark.pattern("circuit-breaker")
def test_breaker_counts_no_refusals(scene, incident, probes):
    """A 400 is an answer: it does not open the breaker."""
    rng = scene.rng("refusals")
    wrong, right = (incident.flights(rng, 60)[:45], incident.flights(rng, 15))
    house = incident.House(scene, fails=[faults.failing(0.0, 1000.0, 400, when=incident.only("children"))])

    async def play():
        minimum = rng.randrange(5, 10)
        steps = [["call", 5 * minimum, "refused", 0.01], ["call", 10, "ok", 0.01]]
        seen = await house.replica.probe(probes.breaker, {"minimum": minimum}, steps)
        for at in range(15):
            await _all(house, [incident.about(flight, "children") for flight in wrong[3 * at : 3 * at + 3]])
            await _all(house, [incident.about(right[at])])
        return seen

    seen = house.run(play)
    refused = seen[1]["refused"]
    sees = f"callers made mistakes of their own, and the breaker refuses {refused} of 10 calls to a healthy provider"
    expect("refused", refused, at_most=0, unit="calls", code="counts-refusals", sees=sees, story=_told_by(seen))
    answers = [a for a in house.answers if "children" not in a.path]
    lost = [a for a in answers if not a.whole]
    sees = f"some requests are wrong, and {len(lost)} of {len(answers)} travellers who asked rightly get no answer"
    expect("lost", len(lost), at_most=0, unit="travellers", code="counts-refusals", sees=sees, about=_first(lost))
    told = [a for a in house.answers if "children" in a.path and a.status != 502]
    sees = f"the provider refuses what we sent, and {len(told)} travellers are told something else than 502"
    expect("wrong_endings", len(told), at_most=0, code="wrong-ending", sees=sees, about=_first(told))


@pytest.mark.pattern("circuit-breaker")
def test_who_is_down_is_left_in_peace(scene, incident):
    """While the provider is down, it is hardly called."""
    seconds = scene.rng("down").uniform(20.0, 25.0)
    house = incident.House(scene, fails=[faults.failing(3.0, 3.0 + seconds, 503)])
    house.document("tariff", sections=8)
    asks = Stream(name="ask", path=incident.question, rate=10.0, end=3.0 + seconds, arrivals="constant")
    summaries = Stream(
        name="summary", method="POST", path="/documents/tariff/summary", rate=0.5, begin=5.0, end=3.0 + seconds,
        arrivals="constant",
    )  # fmt: skip
    house.visits(asks, summaries, horizon=80.0)
    calls = sum(entry.arrived >= 3.0 for entry in house.provider.log)
    asked = sum(a.asked >= 3.0 for a in house.answers)
    sees = f"the provider is down, and the assistant calls it {calls} times for {asked} questions and summaries"
    expect("calls_while_down", calls, at_most=0.3 * asked, unit="calls", code="no-breaker", sees=sees)
    open_at = 9.0  # the breaker has opened long since
    late = sum(open_at <= entry.arrived < 3.0 + seconds for entry in house.provider.log)
    most = int((3.0 + seconds - open_at) / COOLDOWN) + 1
    sees = f"the breaker is open for {3.0 + seconds - open_at:.1f} s, and lets {late} calls through: {most} cool-downs begin in it"
    over = max(0, late - most)
    expect("too_many_probes", over, at_most=0, unit="calls", code="no-breaker", sees=sees)


@pytest.mark.pattern("circuit-breaker")
def test_each_dependency_has_its_own_breaker(scene, incident):
    """The library is down, and questions go on."""
    seconds = scene.rng("down").uniform(15.0, 20.0)
    house = incident.House(scene, library_fails=[faults.failing(0.0, seconds, 503)])
    house.document("tariff", sections=4)
    asks = Stream(name="ask", path=incident.question, rate=2.0, end=seconds, arrivals="constant")
    summaries = Stream(
        name="summary", method="POST", path="/documents/tariff/summary", rate=5.0, end=seconds, arrivals="constant"
    )
    visits = house.visits(asks, summaries, horizon=80.0)
    calls, wanted = len(house.library_calls), len(visits.of("summary"))
    sees = f"the library is down, and is called {calls} times for {wanted} summaries"
    expect("calls_while_down", calls, at_most=0.6 * wanted, unit="calls", code="no-breaker", sees=sees, about="/documents")
    answers = [a for a in house.answers if a.path.startswith("/ask")]
    lost = [a for a in answers if not a.whole]
    sees = f"the library is down, and {len(lost)} of {len(answers)} questions, which do not need it, get no answer"
    expect("lost", len(lost), at_most=0, unit="questions", code="one-breaker-for-all", sees=sees, about=_first(lost))


@pytest.mark.pattern("circuit-breaker")
def test_the_storm_ends(scene, incident):
    """After a brown-out, the storm ends by itself."""
    storm = incident.Storm()
    house = storm.house(scene)
    house.visits(storm.travellers(), horizon=storm.horizon)
    share = storm.answered_before(house)
    sees = f"before the storm, some replies are lost on their way, and {share:.0f} % of the questions are answered"
    expect("answered_before", share, at_least=96.0, unit="%", code="not-retried", sees=sees)
    share = storm.answered_after(house)
    sees = f"{storm.calm:.0f} s after the provider is well again, {share:.0f} % of the questions are answered"
    expect("answered_after", share, at_least=95.0, unit="%", code="metastable", sees=sees)
    ratio = storm.amplification(house)
    sees = f"the provider has its worst minute, and gets {ratio:.1f} calls for each question"
    expect("amplification", ratio, at_most=1.1, unit="calls", code="retry-storm", sees=sees)


async def _ordinary(house, incident, rng, *, rate=4.0, seconds=4.0):
    """A quiet time in which all goes well, so that a few failures are no outage."""
    for _ in range(int(rate * seconds)):
        asyncio.get_running_loop().create_task(house.send("GET", incident.about("today", rng.choice(incident.TOPICS))))
        await asyncio.sleep(1 / rate)
    await asyncio.sleep(1.0)


async def _all(house, paths):
    """All at once, and what they came to."""
    return await asyncio.gather(*(house.send("GET", path) for path in paths))


def _first(answers):
    """What the story is about: the first of these."""
    return [answer.path for answer in answers[:1]]


def _told_by(tallies):
    """The story of a breaker, by its callers."""
    return [
        (each["at"], f"{each['made'] + each['refused']} at once: {each['made']} pass ({each['failed']} fail), "
         f"{each['refused']} are refused")
        for each in tallies
    ]  # fmt: skip


def _calls(house, text):
    """Calls to the provider whose prompt contains `text`, merges apart."""
    return sum(text in entry.prompt and not entry.prompt.startswith("Merge") for entry in house.provider.log)


def _date(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


def _play(house, probes, settings, cases):
    async def set_the_clock():
        for step in itertools.cycle((3600.0, -3600.0)):
            await asyncio.sleep(1.0)
            house.replica.set_wall_clock(step)

    async def play():
        clock = asyncio.create_task(set_the_clock())
        seen = {name: await house.replica.probe(probes.breaker, settings, steps) for name, steps in cases.items()}
        clock.cancel()
        return seen

    return house.run(play)


def _told(name, minimum, failures):
    return {
        "one of one": "a single call fails",
        "one too few": f"{minimum - 1} calls fail, where it takes {minimum}",
        "enough": f"{minimum} calls fail, where {minimum} are enough",
        "just the share": f"{minimum} calls end, and {100 * failures:.0f} % of them fail",
        "a smaller share": f"fewer than {100 * failures:.0f} % of the calls fail",
        "a large enough share": f"more than {100 * failures:.0f} % of the calls fail",
        "long ago": "the failures were longer ago than the window",
        "slow failures": f"{minimum} calls fail just now, which began longer ago than the window",
        "cancelled, then enough": f"callers are cancelled, which counts for nothing, and {minimum} calls fail",
        "cancelled, then well": "callers are cancelled, which counts for nothing, and a call ends well",
    }[name]
