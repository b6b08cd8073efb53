"""Stage 2, who it was: cost attribution.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from grader.plugin import expect
from grader.world import faults
from grader.world.model import Price

pytestmark = [pytest.mark.stage(2), pytest.mark.pattern("cost-attribution")]


def test_nothing_is_lost_in_a_split(scene, incident, probes):
    """The shares are whole, add up, and are fair."""
    rng = scene.rng("splits")
    house = incident.House(scene)
    cases = [[1, [1, 1, 1]], [100, [1, 1, 1]], [7, [0, 5, 0]], [10, [0, 0, 0, 0]], [0, [3, 4]], [5, [2]]]
    for _ in range(30):
        digits = rng.choice((10, 1_000, 10**6, 10**20))
        cases.append([rng.randrange(digits), [rng.randrange(1 + digits) for _ in range(rng.randrange(2, 9))]])
    cases += [[rng.randrange(10**6), [1] * rng.randrange(3, 40)] for _ in range(4)]
    sent = [[str(amount), [str(each) for each in weights]] for amount, weights in cases]
    got = house.run(lambda: house.replicas[0].probe(probes.splits, sent))
    for (amount, weights), told in zip(cases, got, strict=True):
        what = f"{amount} micro-dollars, shared {' : '.join(map(str, weights[:6]))}{' …' * (len(weights) > 6)}"
        whole = all(each.lstrip("-").isdigit() for each in told)
        sees = f"{what}, is no list of {len(weights)} whole numbers: {', '.join(told[:6])}"
        expect("not_whole", int(not whole or len(told) != len(weights)), at_most=0, code="lost-in-rounding", sees=sees)
        shares = [int(each) for each in told]
        sees = f"{what}, comes to {sum(shares)} in all"
        expect("lost", int(sum(shares) != amount), at_most=0, code="lost-in-rounding", sees=sees)
        weighed = weights if any(weights) else [1] * len(weights)
        exact = [Fraction(amount * weight, sum(weighed)) for weight in weighed]
        unfair = [(share, part) for share, part in zip(shares, exact, strict=True) if abs(share - part) >= 1]
        sees = f"{what}: somebody's part is {float(unfair[0][1]):.2f}, and he pays {unfair[0][0]}" if unfair else ""
        expect("unfair", len(unfair), at_most=0, unit="shares", code="unfair", sees=sees)


def test_a_batch_is_paid_by_all_who_are_in_it(scene, incident):
    """Three tenants' documents go in one call, and each pays for its own."""
    rng = scene.rng("batch")
    house = incident.House(scene)
    tenants = [incident.word(rng) for _ in range(3)]
    sizes = rng.sample(range(8, 70), 4)
    owners = [*tenants, tenants[0]]

    async def play():
        await house.agree(*tenants)
        runs = []
        for _ in range(2):
            orders = (house.begin(who, "/documents", {"text": incident.document(rng, who, size)})
                      for who, size in zip(owners, sizes, strict=True))  # fmt: skip
            runs.append(await asyncio.gather(*orders))
            for answer, who in zip(runs[-1], owners, strict=True):
                await house.ends(who, answer.run)
        return runs, [await house.costs(who) for who in tenants]

    runs, costs = house.run(play)
    calls = len(house.calls())
    sees = f"twice, four documents come at one moment, and they take {calls} calls"
    expect("calls", calls, at_most=2, unit="calls", code="batch-broken-up", sees=sees, about="/documents")
    known, billed = sum(each.amount("micro_dollars") for each in costs), house.provider.billed
    sees = f"two batches of three tenants are billed at {billed} micro-dollars; all bills together have {known}"
    expect("off", abs(known - billed), at_most=0, unit="micro-dollars", code="lost-in-rounding", sees=sees, about=("/documents", "/costs"), story=house.story())
    for tenant, told in zip(tenants, costs, strict=True):
        due, known = house.due(tenant), told.amount("micro_dollars")
        sees = f"a tenant's part of two batches is {float(due):.2f} micro-dollars, and it pays {known}"
        # each share may be less than one away, and one tenant has two in each batch
        most = 4 if tenant == tenants[0] else 2
        expect("unfair", int(abs(due - known) >= most), at_most=0, unit="bills", code="unfair", sees=sees, about=("/documents", "/costs"), story=house.story())
        feature = told.amount("features", "documents")
        sees = f"a tenant has only had documents embedded, for {known} micro-dollars; of that, {feature} are on documents"
        expect("wrong_feature", abs(feature - known), at_most=0, code="wrong-feature", sees=sees, about=("/documents", "/costs"), story=house.story())
        mine = {answer.run for batch in runs for answer, who in zip(batch, owners, strict=True) if who == tenant}
        odd = set(told.amounts("runs")) - mine
        sees = f"{len(odd)} runs on a tenant's bill are not among those that it was told of"
        expect("odd_runs", len(odd), at_most=0, unit="runs", code="wrong-run", sees=sees, about=("/documents", "/costs"), story=house.story())


def test_work_behind_a_request_is_on_its_bill(scene, incident):
    """Digests and chats of two tenants, at once: each run costs what its calls cost."""
    rng = scene.rng("work")
    house = incident.House(scene, replicas=2, sigma=0.5)
    tenants = [incident.word(rng) for _ in range(2)]
    tags = {(tenant, kind): incident.word(rng) for tenant in tenants for kind in ("chat", "digest", "research")}

    async def order(tenant, kind, to):
        text = incident.question(rng, tags[tenant, kind])
        if kind == "chat":
            return await house.chat(tenant, text, to=to)
        body = {"sections": [f"{text} {number}" for number in range(3)]} if kind == "digest" else {"question": text, "steps": 3}
        return await house.begin(tenant, "/digests" if kind == "digest" else "/research", body, to=to)

    async def play():
        await house.agree(*tenants)
        begun = await asyncio.gather(*(order(*each, to=n % 2) for n, each in enumerate(tags)))
        runs = {each: answer.run for each, answer in zip(tags, begun, strict=True)}
        for (tenant, kind), run in runs.items():
            await house.ends(tenant, *([run] if kind != "chat" else []))
        return runs, {tenant: await house.costs(tenant, to=1) for tenant in tenants}

    _on_their_bills(house, tags, *house.run(play))


def test_sub_agents_are_on_the_bill_of_who_sent_them(scene, incident):
    """An agent and its sub-agents are one run; what they did alone is on it, too."""
    rng = scene.rng("agents")
    house = incident.House(scene, sigma=0.5)
    tenants = [incident.word(rng) for _ in range(2)]
    tags = {(tenant, "research"): incident.word(rng) for tenant in tenants}

    async def play():
        await house.agree(*tenants)
        runs = {}
        for each, tag in tags.items():
            also = [incident.question(rng, f"{tag}{letter}") for letter in "xyz"]
            body = {"question": incident.question(rng, tag), "steps": 2, "also": also}
            runs[each] = (await house.begin(each[0], "/research", body)).run
        for (tenant, _), run in runs.items():
            await house.ends(tenant, run)
        return runs, {tenant: await house.costs(tenant) for tenant in tenants}

    runs, costs = house.run(play)
    _on_their_bills(house, tags, runs, costs)
    for tenant in tenants:
        odd = set(costs[tenant].amounts("runs")) - set(runs.values())
        sees = f"a tenant has sent one agent, with three sub-agents, and {len(odd)} other runs are on its bill"
        expect("odd_runs", len(odd), at_most=0, unit="runs", code="wrong-run", sees=sees, about=("/research", "/costs"), story=house.story(tenant))


def test_what_comes_late_is_on_the_right_bill(scene, incident):
    """Lost replies, streams that were cut, a killed replica: all of it is on the bill of whoever it was for."""
    rng = scene.rng("late")
    tenants = [incident.word(rng) for _ in range(3)]
    lost = faults.reply_lost(0.0, 800.0, "reset", when=lambda call: tenants[0].encode() in call.body)
    house = incident.House(scene, replicas=2, median=3.0, fails=[lost])
    tags = {(tenant, feature): incident.word(rng) for tenant in tenants[:2] for feature in ("chat", "digest")}

    async def play():
        await house.agree(*tenants)
        await house.chat(tenants[2], incident.question(rng), to=1)
        runs = {}
        for tenant in tenants[:2]:
            text = incident.question(rng, tags[tenant, "digest"])
            begun = await house.begin(tenant, "/digests", {"sections": [text]}, to=1)
            runs[tenant, "digest"] = begun.run
        chat = asyncio.create_task(house.chat(tenants[0], incident.question(rng, tags[tenants[0], "chat"]), to=1))
        await house.stream(tenants[1], incident.question(rng, tags[tenants[1], "chat"]), hang_up=1, to=1)
        house.replicas[1].crash()
        await chat
        await asyncio.sleep(incident.SETTLED)
        return runs, {tenant: await house.costs(tenant) for tenant in tenants}

    runs, costs = house.run(play)
    due, known = house.due(tenants[2]), costs[tenants[2]].amount("micro_dollars")
    sees = f"a tenant has had one chat, for {due} micro-dollars, and is said to owe {known}"
    expect("off", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-tenant", sees=sees, about="/costs", story=house.story(tenants[2]))
    _on_their_bills(house, tags, runs, costs)


def test_a_cost_belongs_to_its_moment(scene, incident):
    """A call that begins before midnight is of the old month, at the old price, where its tenant lives."""
    rng = scene.rng("midnight")
    zone = rng.choice(("Asia/Tokyo", "Europe/Madrid", "America/New_York", "Asia/Karachi"))
    midnight = datetime(2026, 2, 1, tzinfo=ZoneInfo(zone))
    begins = datetime.fromtimestamp(midnight.timestamp() - 60.0, UTC)
    dearer = {"lark-large": Price(5_000, 30_000, 700)}
    house = incident.House(scene, begins=begins, median=rng.uniform(6.0, 9.0), changes=[(60.0, dearer)])
    local, utc = incident.word(rng), incident.word(rng)
    papers = {who: incident.word(rng) for who in (local, utc)}
    months = ["2026-01", "2026-02"]

    async def batch():  # documents of both go in one call
        order = (house.begin(who, "/documents", {"text": incident.document(rng, tag, 60)}) for who, tag in papers.items())
        await asyncio.gather(*order)

    async def play():
        await house.agree(local, zone=zone)
        await house.agree(utc)
        await house.chat(utc, incident.question(rng))
        await batch()
        await house.sim.until(58.0)
        await asyncio.gather(*(house.chat(who, incident.question(rng)) for who in (local, utc)))
        await batch()
        for _ in range(2):
            await asyncio.gather(*(house.chat(who, incident.question(rng)) for who in (local, utc)))
        costs = {(who, month): await house.costs(who, month) for who in (local, utc) for month in months}
        return costs, await house.costs(local)

    costs, now = house.run(play)
    for number, month in enumerate(months):
        due = house.due(local, since=60.0 * number, until=(60.0, 1e12)[number])
        known = costs[local, month].amount("features", "chat")
        sees = f"a tenant in {zone} has spent {due} micro-dollars on chats in {month}, by the calendar there; its bill has {known}"
        expect("off", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-month", sees=sees, about=("/chat", "/costs"), story=house.story(local))
    late = months[begins.month - 1]
    due, known = house.due(utc), costs[utc, late].amount("features", "chat")
    sees = f"a tenant in UTC has spent {due} micro-dollars on chats in {late}; its bill has {known}"
    expect("off_utc", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-month", sees=sees, about=("/chat", "/costs"), story=house.story(utc))
    for who, where, month in ((local, zone, months[0]), (local, zone, months[1]), (utc, "UTC", late)):
        span = {"since": 60.0 * months.index(month), "until": (60.0, 1e12)[months.index(month)]} if who == local else {}
        due, known = house.due(papers[who], **span), costs[who, month].amount("features", "documents")
        sees = f"a tenant in {where} had documents embedded in {month}, for {float(due):.2f} micro-dollars; its bill has {known}"
        # each share may be less than one away
        expect("off_documents", float(abs(due - known)), at_most=1.999, unit="micro-dollars", code="wrong-month", sees=sees, about="/costs", story=house.story(who))
    told = now.body.get("month")
    sees = f"in {zone} it is {months[1]}, and the bill of this month is that of {told}"
    expect("wrong_month", int(told != months[1]), at_most=0, code="wrong-month", sees=sees, about="/costs")


def _on_their_bills(house, tags, runs, costs):
    """What each tenant, feature and run cost, by what stands in the calls."""
    for tenant in dict.fromkeys(tenant for tenant, _ in tags):
        told, story = costs[tenant], house.story(tenant)
        due = sum(house.due(tag) for (who, _), tag in tags.items() if who == tenant)
        known = told.amount("micro_dollars")
        sees = f"a tenant's calls were billed at {due} micro-dollars, and {known} are on its bill"
        expect("off", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-tenant", sees=sees, about="/costs", story=story)
    for (tenant, feature), tag in tags.items():
        told, due, story = costs[tenant], house.due(tag), house.story(tenant)
        known = told.amount("features", feature)
        sees = f"a {feature} cost {due} micro-dollars; on the bill, {feature} has {known}"
        expect("off_feature", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-feature", sees=sees, about="/costs", story=story)
        run = runs.get((tenant, feature))
        known = told.amount("runs", run) if run else due
        sees = f"a {feature} cost {due} micro-dollars; on the bill, its run has {known}"
        expect("off_run", float(abs(due - known)), at_most=0, unit="micro-dollars", code="wrong-run", sees=sees, about="/costs", story=story)
