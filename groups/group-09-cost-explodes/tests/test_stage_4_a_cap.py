"""Stage 4, a cap, not an alert: budget enforcement.

In the order in which they are best solved. What they demand is in the briefing and in the stub.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from grader.plugin import expect
from grader.world import faults

pytestmark = [pytest.mark.stage(4), pytest.mark.pattern("budget-enforcement")]

ZONES = ("Asia/Tokyo", "America/New_York", "Europe/Madrid", "Australia/Sydney", "America/Los_Angeles", "Asia/Kathmandu", "UTC")


def test_a_month_is_that_of_the_tenants_calendar(scene, incident, probes):
    """The month of a moment, in its zone, summer time and all."""
    rng = scene.rng("months")
    house = incident.House(scene)
    moments = []
    for zone in ZONES:
        for month in rng.sample(range(1, 13), 4):
            midnight = datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).timestamp()
            moments += [[midnight, zone], [midnight - 1.0, zone], [midnight + rng.uniform(0, 2e6), zone]]
    got = house.run(lambda: house.replicas[0].probe(probes.months, moments))
    due = [datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m") for at, zone in moments]
    wrong = [(at, zone, mine, right) for (at, zone), mine, right in zip(moments, got, due, strict=True) if mine != right]
    at, zone, mine, right = wrong[0] if wrong else (0.0, "", "", "")
    sees = f"at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC, it is {right} in {zone}, and not {mine}"
    story = [(0.0, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC in {zone}: {right}, and not {mine}")
             for at, zone, mine, right in wrong[:4]]  # fmt: skip
    expect("wrong_month", len(wrong), at_most=0, unit="moments", code="wrong-month", sees=sees, story=story)


def test_many_at_once_do_not_overshoot(scene, incident):
    """Eight offices ask and ask until there is no money left: no more is spent, and hardly less."""
    rng = scene.rng("overshoot")
    # at the provider, the old month has some hours left
    house = incident.House(scene, replicas=2, sigma=0.4, begins=datetime(2026, 1, 31, 20, tzinfo=UTC))
    tenant, budget, zone = incident.word(rng), rng.randrange(11_000, 13_000), rng.choice(("Asia/Tokyo", "Asia/Karachi"))

    async def office(number):
        for _ in range(30):
            answer = await house.insist(tenant, incident.table(rng, "", 450), to=number)
            if answer.status != 200:
                return answer
        return answer

    async def play():
        await house.agree(tenant, budget=budget, zone=zone)
        return await asyncio.gather(*(office(number) for number in range(8)))

    ends = house.run(play)
    _kept(house, tenant, budget)
    _usable(house, tenant, budget, "eight offices asked at once, until they were told that there is none left")
    odd = [answer.told for answer in ends if answer.status != 402]
    sees = f"the budget is used up, and {len(odd)} of {len(ends)} offices are told {', '.join(odd[:3])}, not 402"
    expect("not_told", len(odd), at_most=0, unit="answers", code="wrong-status", sees=sees, about="/chat", story=house.story(tenant))


def test_a_reservation_is_large_enough(scene, incident):
    """Tables of figures have many tokens for their length: what is reserved is what it may cost."""
    rng = scene.rng("tables")
    house = incident.House(scene)
    tenants = {incident.word(rng): 4_000 + 260 * number for number in range(6)}

    async def play():
        for tenant, budget in tenants.items():
            await house.agree(tenant, budget=budget)
        for tenant in tenants:
            text = incident.table(rng, "", 6_000)
            for _ in range(5):
                answer = await house.insist(tenant, text)
                if answer.status != 200:
                    break

    house.run(play)
    for tenant, budget in tenants.items():
        _kept(house, tenant, budget)
    used = sum(house.due(tenant) for tenant in tenants)
    least = sum(budget - 2_200 for budget in tenants.values())  # one more did not fit
    sees = f"tenants with {sum(tenants.values())} micro-dollars in all were refused when {used} of them were used"
    expect("used", float(used), at_least=least, unit="micro-dollars", code="not-usable", sees=sees, about="/chat", story=house.story())


def test_from_eighty_percent_a_cheaper_model_will_do(scene, incident):
    """Below 80 % the tenant's own model answers, from there on the cheaper one; and somebody is told, once."""
    rng = scene.rng("eighty")
    house = incident.House(scene, replicas=2)
    tenant, budget = incident.word(rng), rng.randrange(75_000, 85_000)
    house.deaf = 1
    told = []

    async def play():
        await house.agree(tenant, budget=budget)
        for number in range(30):
            spent = house.due(tenant)
            told.append((spent, await house.chat(tenant, incident.table(rng, "", 1_500), to=number)))
            if sum(before >= 0.8 * budget for before, _ in told) >= 4:
                break
        await asyncio.sleep(60.0)
        await house.chat(tenant, incident.question(rng))
        await asyncio.sleep(60.0)

    house.run(play)
    calls = house.calls(tenant)
    for which, model, code in (("below", incident.LARGE, "cheap-too-early"), ("from", incident.SMALL, "dear-too-late")):
        asked = [answer for spent, answer in told if (spent < 0.8 * budget) == (which == "below")]
        wrong = [answer for answer in asked
                 if not any(answer.asked <= call.arrived <= answer.ended and call.model == model for call in calls)]  # fmt: skip
        sees = f"{which} 80 % of the budget, {len(wrong)} of {len(asked)} questions are not answered by {model}"
        expect(which, len(wrong), at_most=0, unit="questions", code=code, sees=sees, about="/chat", story=house.story(tenant))
    alerts = [each for each in house.alerts if each.get("tenant") == tenant]
    sees = f"80 % of a budget are spent, the first alert is answered 503, and two minutes later {len(alerts)} have been heard"
    expect("alerts", len(alerts), at_most=1, unit="alerts", code="too-many-alerts", sees=sees, about="/chat")
    expect("no_alert", len(alerts), at_least=1, unit="alerts", code="no-alert", sees=sees, about="/chat")
    said = ", ".join(f"{name} {value}" for name, value in alerts[0].items())[:90]
    odd = sum((each.get("month"), each.get("percent")) != ("2026-01", 80) for each in alerts)
    expect("odd_alert", odd, at_most=0, code="no-alert", sees=f"an alert says {said}", about="/chat")


def test_what_was_not_needed_comes_back(scene, incident):
    """Calls that fail, time out, or die with their process hold nothing for ever."""
    rng = scene.rng("back")
    failing, hanging, crash = [incident.word(rng) for _ in range(3)]
    fails = [
        faults.failing(0.0, 900.0, rng.choice((500, 503)), when=lambda call: failing.encode() in call.body),
        faults.hanging(0.0, 900.0, when=lambda call: hanging.encode() in call.body),
        faults.brown_out(0.0, 900.0, 20.0, when=lambda call: crash.encode() in call.body),
    ]
    house = incident.House(scene, replicas=2, fails=fails, horizon=1200.0)
    tenant, budget = incident.word(rng), rng.randrange(9_000, 10_500)

    async def play():
        await house.agree(tenant, budget=budget)
        await house.chat(tenant, incident.question(rng), to=1)
        for _ in range(4):
            await house.chat(tenant, incident.question(rng, failing))
        at_once = await house.chat(tenant, incident.question(rng))
        lost = [asyncio.create_task(house.chat(tenant, incident.question(rng, tag), to=to))
                for tag, to in ((hanging, 0), (hanging, 0), (crash, 1), (crash, 1))]  # fmt: skip
        await asyncio.sleep(3.0)
        house.replicas[1].crash()
        await asyncio.gather(*lost)
        await house.replicas[1].start()
        await asyncio.sleep(incident.SETTLED)
        before = house.due(tenant)
        await asyncio.gather(*(_until_refused(house, incident, rng, tenant, to) for to in range(2)))
        return at_once, before

    at_once, before = house.run(play)
    models = [call.model for call in house.calls(tenant) if at_once.asked <= call.arrived <= at_once.ended]
    sees = (
        f"four calls were refused by the provider, which costs nothing; the next question, with {float(before):.0f} of {budget} "
        f"micro-dollars spent, is answered {at_once.told}, by {', '.join(models) or 'no model'}"
    )
    wrong = int(at_once.status != 200 or models != [incident.LARGE])
    expect("held_by_failures", wrong, at_most=0, code="held-for-ever", sees=sees, about="/chat", story=house.story(tenant))
    _kept(house, tenant, budget)
    _usable(house, tenant, budget, "two calls hung, two died with their process, minutes went by, and offices asked for the rest")


def test_lost_replies_are_spent(scene, incident):
    """No reply comes, and the report is ten minutes late: the budget holds all the same."""
    rng = scene.rng("lost")
    house = incident.House(scene, lag=600.0, fails=[faults.reply_lost(0.0, 900.0, "reset")], horizon=1500.0)
    tenant, budget = incident.word(rng), rng.randrange(10_600, 11_600)

    async def play():
        await house.agree(tenant, budget=budget)
        text = incident.table(rng, "", 3_000)
        return [await house.chat(tenant, text) for _ in range(14)]

    answers = house.run(play)
    _kept(house, tenant, budget)
    used = 100 * float(house.due(tenant)) / budget
    sees = f"replies get lost, {used:.0f} % of a budget are spent, and then nothing is asked any more"
    # each of three tries may hold the most that it may cost
    expect("used", used, at_least=15.0, unit="%", code="not-usable", sees=sees, about="/chat", story=house.story(tenant))
    last = answers[-1]
    sees = f"what may be spent is spent, and one more question is answered {last.told}"
    expect("not_told", int(last.status not in (402, 429)), at_most=0, code="wrong-status", sees=sees, about="/chat", story=house.story(tenant))


def test_a_question_that_is_billed_twice_is_within_the_budget(scene, incident):
    """A slow try is given up, the next one is billed beside it, and there was room for one only."""
    rng = scene.rng("twice")
    seen = Counter()

    def first(call):
        key = call.headers.get("idempotency-key", "")
        seen[key] += bool(key)
        return seen[key] == 1

    slow = faults.brown_out(0.0, 800.0, rng.uniform(70.0, 90.0), when=first)
    house = incident.House(scene, joins=False, fails=[slow])
    # the cheaper model's answer costs about 850, and 1,180 at most
    tenants = {incident.word(rng): budget for budget in (1_350, 1_500, rng.randrange(4_500, 5_500))}

    async def office(tenant):
        for _ in range(5):
            if (await house.chat(tenant, incident.table(rng, "", 3_000))).status == 402:
                break

    async def play():
        for tenant, budget in tenants.items():
            await house.agree(tenant, budget=budget)
        await asyncio.gather(*(office(tenant) for tenant in tenants))
        await asyncio.sleep(60.0)  # what was given up has ended, too

    house.run(play)
    for tenant, budget in tenants.items():
        _kept(house, tenant, budget)
        used = 100 * float(house.due(tenant)) / budget
        sees = f"there was room for a question, its first try is slow, and {used:.0f} % of the budget could be used"
        expect("used", used, at_least=15.0, unit="%", code="not-usable", sees=sees, about="/chat", story=house.story(tenant))


def test_who_has_no_money_takes_no_place(scene, incident):
    """Who is refused for want of money has made no call: it does not count in the quota."""
    rng = scene.rng("places")
    house = incident.House(scene)
    tenant, quota = incident.word(rng), rng.randrange(3, 6)

    async def play():
        await house.agree(tenant, budget=10, quota=quota)
        poor = [await house.chat(tenant, incident.question(rng)) for _ in range(quota + 2)]
        await house.agree(tenant, budget=10**6, quota=quota)
        return poor, [await house.chat(tenant, incident.question(rng)) for _ in range(quota + 1)]

    poor, rich = house.run(play)
    odd = [answer.told for answer in poor if answer.status != 402]
    sees = f"a budget has no room for any question, and {len(odd)} of {len(poor)} are answered {', '.join(odd[:3])}, not 402"
    expect("not_told", len(odd), at_most=0, unit="answers", code="wrong-status", sees=sees, about="/chat")
    good = sum(answer.status == 200 for answer in rich)
    sees = f"{len(poor)} questions were refused for want of money; then there is some, and of a quota of {quota}, {good} are let in"
    expect("let_in_too_few", good, at_least=quota, unit="questions", code="under-quota", sees=sees, about="/chat")
    sees = f"of a quota of {quota}, {good} are let in"
    expect("let_in", good, at_most=quota, unit="questions", code="over-quota", sees=sees, about="/chat")


def test_the_end_is_the_end_for_jobs_and_agents(scene, incident):
    """Agents, digests, documents and streams stop when the money does, and stay stopped."""
    rng = scene.rng("agents")
    house = incident.House(scene, replicas=2)
    tenant, other = incident.word(rng), incident.word(rng)
    budget = rng.randrange(8_000, 9_000)

    async def play():
        await house.agree(tenant, budget=budget)
        await house.agree(other)
        agents = {"question": incident.question(rng), "steps": 60, "also": [incident.question(rng)]}
        digest = {"sections": [incident.table(rng, "", 500) for _ in range(30)]}
        begun = [await house.begin(tenant, "/research", agents), await house.begin(tenant, "/digests", digest, to=1)]
        ends = await house.ends(tenant, *(each.run for each in begun), patience=240.0)
        stopped, calls = house.sim.now, len(house.calls())
        await house.stream(tenant, incident.question(rng))
        late = [
            await house.chat(tenant, incident.question(rng)),
            await house.begin(tenant, "/documents", {"text": incident.document(rng, tenant, 1_500)}),
            await house.begin(tenant, "/digests", digest),
        ]
        others = [await house.chat(other, incident.question(rng), to=to) for to in range(2)]
        await asyncio.sleep(30.0)
        runs = [each.run for each in late[1:] if each.run]
        return begun, ends, stopped, calls, late, others, await house.ends(tenant, *runs, patience=30.0)

    begun, ends, stopped, calls, late, others, later = house.run(play)
    _kept(house, tenant, budget)
    _usable(house, tenant, budget, "an agent for 60 steps and a digest of 30 sections went on until they were stopped")
    sees = f"an agent and a digest have no money left, and are said to be {' and '.join(ends)}, not stopped"
    expect("not_stopped", sum(end != "stopped" for end in ends), at_most=0, unit="runs", code="goes-on", sees=sees, about=("/research", "/digests"), story=house.story(tenant))
    more = [call for call in house.calls(since=stopped) if call.prompt and other not in call.prompt]
    sees = f"the money is spent, and a stream, a chat, a document and a digest still make {len(more)} calls"
    expect("more", len(more), at_most=0, unit="calls", code="goes-on", sees=sees, about=("/research", "/digests"), story=house.story(tenant))
    sees = f"the money is spent, and a question is answered {late[0].told}"
    expect("not_told", int(late[0].status != 402), at_most=0, code="wrong-status", sees=sees, about=("/research", "/digests"), story=house.story(tenant))
    told = [each.told for each in late[1:]] + later
    wrong = sum(each.status not in (202, 402) for each in late[1:]) + sum(end != "stopped" for end in later)
    sees = f"the money is spent; a document and a digest are answered 402, or accepted and stopped, and not {', '.join(told)}"
    expect("wrong_end", wrong, at_most=0, code="wrong-status", sees=sees, about=("/research", "/digests"), story=house.story(tenant))
    hurt = sum(answer.status != 200 for answer in others)
    sees = f"one tenant's money is spent, and {hurt} of another's questions are not answered"
    expect("others", hurt, at_most=0, unit="questions", code="hurts-others", sees=sees, about=("/research", "/digests"), story=house.story(other))


def test_a_budget_begins_anew_at_the_tenants_midnight(scene, incident):
    """At midnight where the tenant lives there is money again, for it alone, and what was spent stays in the old month."""
    rng = scene.rng("midnight")
    zone, elsewhere = rng.sample(("Asia/Tokyo", "Europe/Madrid", "America/New_York", "Asia/Karachi"), 2)
    midnight = datetime(2026, 2, 1, tzinfo=ZoneInfo(zone)).timestamp()
    house = incident.House(scene, begins=datetime.fromtimestamp(midnight - 120.0, UTC))
    tenant, other = incident.word(rng), incident.word(rng)
    budget, tokens = rng.randrange(6_000, 7_000), 5_000
    months = ["2026-01", "2026-02"]

    async def play():
        for who, where in ((tenant, zone), (other, elsewhere)):
            await house.agree(who, zone=where, budget=budget)
            await _until_refused(house, incident, rng, who, tokens=tokens)
        early = [await house.chat(who, incident.table(rng, "", tokens)) for who in (tenant, other)]
        assert house.sim.now < 120.0, "two tenants' questions take more than two minutes"
        house.replicas[0].crash()  # what is spent outlives a process
        await house.replicas[0].start()
        early += [await house.chat(who, incident.table(rng, "", tokens)) for who in (tenant, other)]
        await house.sim.until(121.0)
        late = [await house.chat(tenant, incident.question(rng))]
        late.append(await house.chat(other, incident.table(rng, "", tokens)))
        await _until_refused(house, incident, rng, tenant, tokens=tokens)
        return early, late, [await house.costs(tenant, month) for month in months]

    early, late, costs = house.run(play)
    for number, answer in enumerate(early):
        sees = f"a budget is used up, {'the service is restarted, ' * (number > 1)}and a question is answered {answer.told}"
        expect("early", int(answer.status != 402), at_most=0, code="overshoot", sees=sees, about="/chat", story=house.story(tenant))
    sees = f"it is past midnight of the last day in {zone}, and a tenant there is answered {late[0].told}"
    expect("no_new_month", int(late[0].status != 200), at_most=0, code="wrong-month", sees=sees, about="/chat", story=house.story(tenant))
    models = [call.model for call in house.calls(tenant) if late[0].asked <= call.arrived <= late[0].ended]
    sees = f"it is past midnight in {zone}, nothing of the new budget is spent, and {', '.join(models)} answers there"
    cheap = int(models != [incident.LARGE])
    expect("below", cheap, at_most=0, code="cheap-too-early", sees=sees, about="/chat", story=house.story(tenant))
    sees = f"it is past midnight in {zone}; a tenant in {elsewhere}, where it is not, has used up its budget, and is answered {late[1].told}"
    same = datetime.fromtimestamp(midnight + 121.0, ZoneInfo(elsewhere)).month == datetime.fromtimestamp(midnight - 120.0, ZoneInfo(elsewhere)).month
    expect("wrong_zone", int(same and late[1].status != 402), at_most=0, code="wrong-month", sees=sees, about="/chat", story=house.story(other))
    for number, month in enumerate(months):
        due = float(house.due(tenant, since=120.0 * number, until=(120.0, 1e12)[number]))
        sees = f"a budget is {budget} micro-dollars a month, and in {month} {due:.0f} were spent"
        expect("overshoot", due - budget, at_most=0, unit="micro-dollars", code="overshoot", sees=sees, about="/chat", story=house.story(tenant))
        expect("used", due, at_least=0.5 * budget, unit="micro-dollars", code="not-usable", sees=sees, about="/chat", story=house.story(tenant))
        known = costs[number].amount("micro_dollars")
        sees = f"{due:.0f} micro-dollars were spent in {month}, by the tenant's calendar; its bill has {known}"
        expect("off", abs(known - due), at_most=0, unit="micro-dollars", code="wrong-month", sees=sees, about="/chat", story=house.story(tenant))


async def _until_refused(house, incident, rng, tenant, to=0, *, tokens=1_000):
    """Ask until there is no money left."""
    for _ in range(40):
        answer = await house.insist(tenant, incident.table(rng, "", tokens), to=to)
        if answer.status != 200:
            break
    return answer


def _kept(house, tenant, budget):
    """What was billed is within the budget."""
    spent = float(house.due(tenant))
    sees = f"a budget is {budget} micro-dollars, and {spent:.0f} are billed: {100 * spent / budget - 100:.0f} % too many"
    expect("overshoot", max(0.0, spent - budget), at_most=0, unit="micro-dollars", code="overshoot", sees=sees, about="/chat", story=house.story(tenant))


def _usable(house, tenant, budget, what):
    """And nearly all of the budget could be used."""
    used = 100 * float(house.due(tenant)) / budget
    sees = f"{what}: {used:.0f} % of the budget could be used"
    expect("used", used, at_least=90.0, unit="%", code="not-usable", sees=sees, about="/chat", story=house.story(tenant))
