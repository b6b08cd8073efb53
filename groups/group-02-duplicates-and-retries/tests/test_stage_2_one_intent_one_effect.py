"""Stage 2, one intent, one effect: the idempotent command.

In the order in which they are best solved. What they demand is in the briefing.
"""

import asyncio

import pytest

from grader.plugin import expect
from grader.sim import enumerate_crashes
from grader.world import faults

pytestmark = [pytest.mark.stage(2), pytest.mark.pattern("idempotent-command")]

LEASE = 30.0  # seconds after which the key of a dead replica is free again
KEPT = 24 * 3600.0  # seconds for which a reply is kept


def test_a_retry_is_no_second_order(scene, incident):
    """The same order sent again is answered the same, and made once."""
    rng = scene.rng("orders")
    house, rule, key = _house(scene, incident, rng, replicas=2)

    async def play():
        await house.put("tariff", [rule.paragraph])
        nameless = [await house.order("tariff", none) for none in (None, "")]
        answers = [await house.order("tariff", key, to=at) for at in range(2)]
        await house.stop()
        await house.start()
        for body in ({"document": "tariff"}, {"sent_at": rng.random(), "document": "tariff"}, {"document": " tariff\n"}):
            await asyncio.sleep(rng.uniform(1.0, 10.0))
            answers.append(await house.send("POST", "/summaries", key=key, json=body))
        return nameless, answers, await house.made(to=1)

    nameless, answers, made = house.run(play)
    _made_once(house, rule, made, key)
    _same(house, answers, key)
    told = ", ".join(answer.told for answer in nameless)
    sees = f"an order comes without an Idempotency-Key, one with an empty one: {told}; nobody could tell them from a retry"
    taken = sum(answer.status != 400 for answer in nameless)
    expect("nameless", taken, at_most=0, unit="orders", code="no-key", sees=sees, story=house.story())


def test_two_orders_are_two(scene, incident):
    """Two orders of the same, with two keys, are two."""
    rng = scene.rng("orders")
    house, rule, key = _house(scene, incident, rng, replicas=2)

    async def play():
        await house.put("tariff", [rule.paragraph])
        together = await asyncio.gather(house.order("tariff", f"{key}{key}a"), house.order("tariff", f"{key}{key}b"))
        later = [await house.order("tariff", f"{key}{key}{letter}", to=at) for at, letter in enumerate("AB")]
        return [*together, *later], await house.made()

    answers, made = house.run(play)
    lost = sum(answer.status != 201 for answer in answers)
    sees = f"four orders come with four keys, and are answered {', '.join(answer.told for answer in answers)}"
    expect("refused", lost, at_most=0, unit="orders", code="swallowed", sees=sees, story=house.story())
    ids = {str(row.get("id")) for row in made}
    sees = f"a tenant orders four summaries of one document, with four keys, and gets {len(ids)}: the same is not the same order"
    expect("orders", len(ids), at_least=4, unit="orders", code="swallowed", sees=sees, story=house.story())
    billed = house.billed(rule.paragraph, path=incident.CHAT)
    sees = f"four orders are {billed} on the provider's invoice"
    expect("billed", billed, at_least=4, unit="calls", code="swallowed", sees=sees, story=house.story())


def test_double_clicks_at_once_are_one_order(scene, incident):
    """Five clicks at once, on three replicas, are one order."""
    rng = scene.rng("clicks")
    house, rule, key = _house(scene, incident, rng, replicas=3, median=rng.uniform(1.0, 3.0))
    bursts = 3

    async def play():
        await house.put("tariff", [rule.paragraph])
        clicks, ends = [], []
        for burst in range(bursts):
            name = f"{key}-{burst}"
            clicks.append(await asyncio.gather(*(house.order("tariff", name, to=at) for at in range(5))))
            ends.append(await house.insist(lambda at, name=name: house.order("tariff", name, to=at)))
        return clicks, ends, await house.made()

    clicks, ends, made = house.run(play)
    for answers, end in zip(clicks, ends, strict=True):
        done = [answer for answer in answers if answer.status == 201]
        ids = {answer.text("id") for answer in (*done, end)}
        sees = f"an office clicks five times at once, and is told of {len(ids)} summaries"
        expect("told", len(ids), at_most=1, unit="orders", code="ordered-twice", sees=sees, story=house.story())
        sees = f"an office clicks five times, asks again, and is told {end.told}"
        expect("lost", int(end.status != 201), at_most=0, unit="orders", code="lost-orders", sees=sees, story=house.story())
        others = [answer for answer in answers if answer.status not in (201, 409)]
        sees = f"a click that comes while the order is under way is answered {others[0].told if others else ''}"
        expect("wrong_status", len(others), at_most=0, unit="answers", code="wrong-status", sees=sees, story=house.story())
        silent = sum(not answer.headers.get("retry-after", "").isdigit() for answer in answers if answer.status == 409)
        sees = f"{silent} clicks are answered 409, and are not told in how many seconds to come again (Retry-After)"
        expect("silent", silent, at_most=0, unit="answers", code="wrong-status", sees=sees, story=house.story())
    sees = f"{bursts} orders of five clicks each: {len(made)} summaries are on the list"
    expect("rows", len(made), at_most=bursts, unit="rows", code="ordered-twice", sees=sees, story=house.story())
    billed = house.billed(rule.paragraph, path=incident.CHAT)
    sees = f"{bursts} orders of five clicks each: {billed} calls are on the provider's invoice"
    expect("billed", billed, at_most=bursts, unit="calls", code="billed-twice", sees=sees, story=house.story())


def test_a_key_is_for_one_thing(scene, incident):
    """A key that comes again with something else is refused."""
    rng = scene.rng("keys")
    house, rule, key = _house(scene, incident, rng, replicas=2)
    slow = incident.Rule.make(rng)

    async def play():
        await house.put("tariff", [rule.paragraph])
        await house.put("other", [slow.paragraph])
        first = await house.order("tariff", key)
        wrong = [await house.order("other", key, to=at) for at in range(2)]
        return first, wrong, await house.order("tariff", key), await house.made()

    first, wrong, again, made = house.run(play)
    _same(house, [first, again], key)
    for answer in wrong:
        sees = f"a key comes again, with another document, and is answered {answer.told}"
        told = "something is made that was never ordered" if answer.text("document") == "other" else "the client takes it for his"
        refused = int(answer.status != 422)
        expect("not_refused", refused, at_most=0, code="key-reused", sees=f"{sees}: {told}", story=house.story())
    rows = len(made)
    sees = f"one order was good, two came with its key, and {rows} summaries are on the list"
    expect("rows", rows, at_most=1, unit="rows", code="ordered-twice", sees=sees, story=house.story())
    billed = house.billed(slow.paragraph, path=incident.CHAT)
    sees = "an order was refused, and made all the same"
    expect("billed", billed, at_most=0, unit="calls", code="billed-twice", sees=sees, story=house.story())


def test_a_key_belongs_to_its_tenant(scene, incident):
    """Another tenant with the same key gets its own summary."""
    rng = scene.rng("tenants")
    left = 2

    def hiccup(call):
        nonlocal left
        struck = b"messages" in call.body and left > 0
        left -= struck
        return struck

    house, rule, key = _house(scene, incident, rng, fails=[faults.failing(0.0, 500.0, 503, when=hiccup)])
    sign = rng.choice((":", "/", "|", "-", ".", "_", ""))
    others = [("lark", f"air{sign}{key}"), (f"lark{sign}air", key), ("wren-air", key), ("swift-air", key)]
    rules = [incident.Rule.make(rng).at(str(euros)) for euros in rng.sample(range(1000, 10_000), len(others))]

    async def play():
        for (tenant, _), rule in zip(others, rules, strict=True):
            await house.put("tariff", [rule.paragraph], tenant=tenant)
        answers = await asyncio.gather(*(house.order("tariff", name, tenant=tenant) for tenant, name in others))
        again = [await house.order("tariff", name, tenant=tenant) for tenant, name in others]
        return answers, again, [await house.made(tenant=tenant) for tenant, _ in others]

    answers, again, made = house.run(play)
    for (tenant, name), rule, *said in zip(others, rules, answers, again, strict=True):
        for answer in said:
            text = answer.text("summary")
            whose = [t for (t, _), other in zip(others, rules, strict=True) if other is not rule and other.euros in text.split()]
            sees = f"{tenant!r} orders with the key {name!r}, and reads what belongs to {whose[:1]}: {text[:60]}"
            expect("strangers", len(whose), at_most=0, unit="answers", code="wrong-tenant", sees=sees, story=house.story())
            sees = f"{tenant!r} orders with the key {name!r}, which others use too, and is answered {answer.told}"
            lost = int(answer.status != 201 or f"{rule.euros} euros" not in text)
            expect("lost", lost, at_most=0, unit="orders", code="wrong-tenant", sees=sees, story=house.story())
    for (tenant, _), rule in zip(others, rules, strict=True):
        whose = sorted({entry.tenant for entry in house.calls(rule.paragraph)} - {tenant})
        sees = f"{tenant!r} saves and orders, and that is on the bill of {whose}"
        expect("wrong_bill", len(whose), at_most=0, unit="tenants", code="wrong-tenant", sees=sees, story=house.story())
    rows = [len(each) for each in made]
    sees = f"four tenants order one summary each, twice with one key, and have {rows} on their lists"
    expect("rows", max(rows), at_most=1, unit="rows", code="ordered-twice", sees=sees, story=house.story())


def test_a_lost_reply_is_billed_once(scene, incident):
    """Where the provider's replies break off or get lost, the order is billed once."""
    rng = scene.rng("lost")
    left = rng.randrange(4, 7)  # more than one request tries for

    def when(call):
        nonlocal left
        struck = b"messages" in call.body and left > 0
        left -= struck
        return struck

    broken_off = faults.malformed(0.0, 500.0, when=lambda call: left > 3 and when(call))
    lost = faults.reply_lost(0.0, 500.0, "reset", when=when)
    house, rule, key = _house(scene, incident, rng, replicas=2, horizon=600.0, fails=[broken_off, lost])

    async def play():
        await house.put("tariff", [rule.paragraph])
        first = await house.order("tariff", key)
        end = await house.insist(lambda at: house.order("tariff", key, to=at), pause=1.0, tries=40)
        return first, end, await house.order("tariff", key), await house.made()

    first, end, again, made = house.run(play)
    _made_once(house, rule, made, key)
    _same(house, [end, again], key)
    sees = f"the provider's replies are lost, and the first try of the order ends with {first.told}"
    wrong = int(first.status not in (201, 503, 504))
    expect("wrong_ending", wrong, at_most=0, unit="answers", code="wrong-ending", sees=sees, story=house.story())


def test_an_order_is_billed_once_though_its_document_changes(scene, incident):
    """Between two tries the document and the model change, and the order is billed once."""
    rng = scene.rng("edited")
    left = 4  # more than one request tries for

    def when(call):
        nonlocal left
        struck = b"messages" in call.body and left > 0
        left -= struck
        return struck

    lost = faults.reply_lost(0.0, 500.0, "reset", when=when)
    house, rule, key = _house(scene, incident, rng, replicas=2, horizon=600.0, fails=[lost])
    changed = rule.at(str(rng.randrange(1000, 9999)))

    async def play():
        await house.put("tariff", [rule.paragraph])
        await house.order("tariff", key)
        await house.insist(lambda _: house.order("tariff", f"{key}-other"))  # of the same, and it succeeds
        house.config["llm_model"] = "lark-small"  # whoever loads it from now on uses another model
        await house.put("tariff", [changed.paragraph], to=1)  # the office goes on working
        end = await house.insist(lambda at: house.order("tariff", key, to=at + 1), pause=1.0, tries=40)
        return end, await house.order("tariff", key), await house.made()

    end, again, made = house.run(play)
    _same(house, [end, again], key)
    billed = sum(house.billed(each.paragraph, path=incident.CHAT) for each in (rule, changed))
    sees = f"order {key} is sent again, after its document and the model were changed; with another order, {billed} calls are billed"
    expect("billed", billed, at_most=2, unit="calls", code="billed-twice", sees=sees, story=house.story())
    ids = [str(row.get("id"))[:8] for row in made]
    sees = f"order {key} is sent again, and with another {len(ids)} summaries are on the list: {', '.join(ids)}"
    expect("rows", len(ids), at_most=2, unit="rows", code="ordered-twice", sees=sees, story=house.story())


def test_what_passes_is_not_kept_and_what_is_final_is(scene, incident):
    """A 503 is not kept, a refusal is."""
    rng = scene.rng("failures")
    heals = 30.0
    lame, refused, well = incident.rules(rng, 3)
    no = rng.choice((400, 403, 422))
    fails = [
        faults.failing(0.0, heals, rng.choice((500, 503)), when=lambda call: b"messages" in call.body and lame.paragraph.encode() in call.body),
        faults.failing(0.0, heals, no, when=lambda call: b"messages" in call.body and refused.paragraph.encode() in call.body),
    ]  # fmt: skip
    house, _, key = _house(scene, incident, rng, replicas=2, fails=fails)

    async def play():
        for name, rule in (("lame", lame), ("refused", refused), ("well", well)):
            await house.put(name, [rule.paragraph])
        down = await house.order("lame", key)
        at_once = await house.order("lame", key, to=1)
        await house.order("lame", f"{key}-free")
        others = [await house.order("well", f"{key}-free", to=1)]
        told_no = await house.order("refused", f"{key}-no")
        await house.sim.until(heals + 1.0)
        healed = await house.order("lame", key, to=1)
        still = await house.order("refused", f"{key}-no", to=1)
        others.append(await house.order("well", f"{key}-no"))
        return down, at_once, told_no, healed, still, others, await house.order("refused", f"{key}-new"), await house.made()

    down, at_once, told_no, healed, still, others, new, made = house.run(play)
    for answer in (down, at_once):
        sees = f"the provider is down for a moment, and an order is answered {answer.told} after {answer.ended - answer.asked:.0f} s"
        wrong = int(answer.status not in (503, 504))
        expect("wrong_ending", wrong, at_most=0, unit="answers", code="wrong-ending", sees=sees, story=house.story())
    sees = f"the provider is well again, and the same order, sent once more, is answered {healed.told}: a hiccup is kept for a day"
    wrong = int(healed.status != 201)
    expect("hiccup_kept", wrong, at_most=0, unit="orders", code="hiccup-kept", sees=sees, story=house.story())
    sees = f"the provider refuses what is ordered, and that is answered {told_no.told}"
    expect("refusal", int(told_no.status != 502), at_most=0, unit="answers", code="wrong-ending", sees=sees, story=house.story())
    sees = f"an order was refused ({told_no.told}), and is answered {still.told} when it is sent again: who was told no has a summary"
    wrong = int((still.status, still.raw) != (told_no.status, told_no.raw))
    expect("changed", wrong, at_most=0, unit="answers", code="not-the-same", sees=sees, story=house.story())
    sees = f"a new order of what was refused before is answered {new.told}"
    expect("new_order", int(new.status != 201), at_most=0, unit="orders", code="swallowed", sees=sees, story=house.story())
    for what, other in zip(("ended with 503", "was refused"), others, strict=True):
        told = other.text("summary") or other.text("detail")
        sees = f"an order {what}, another comes with its key, and is answered {other.told}: {told[:70]}"
        wrong = int(other.status != 422 and not (other.status == 201 and f" {well.euros} euros" in other.text("summary")))
        expect("not_its_own", wrong, at_most=0, unit="answers", code="key-reused", sees=sees, story=house.story())
    rows = sorted(str(row.get("document")) for row in made if row.get("document") != "well")
    expect("rows", len(rows), at_most=2, unit="rows", code="ordered-twice", sees=f"on the list are {', '.join(rows)}", story=house.story())


def test_a_reply_is_kept_for_a_day(scene, incident):
    """A key is good for 24 hours, and then it is new."""
    rng = scene.rng("day")
    slow = faults.brown_out(0.0, 400.0, rng.uniform(1200.0, 1500.0), when=lambda call: b"messages" in call.body)
    no = faults.failing(0.0, 1000.0, 400, when=lambda call: b"messages" in call.body and bad.paragraph.encode() in call.body)
    house, rule, key = _house(scene, incident, rng, median=0.1, horizon=1000.0, fails=[slow, no])
    bad = incident.Rule.make(rng)
    changed = rule.at(str(rng.randrange(1000, 9999)))

    async def play():
        await house.put("tariff", [rule.paragraph])
        first = await house.order("tariff", key, timeout=200.0)
        kept = house.sim.now  # minutes after it was sent
        await house.put("tariff", [changed.paragraph])
        await house.put("bad", [bad.paragraph])
        refused = await house.order("bad", f"{key}-bad")
        await house.put("bad", [changed.paragraph])
        answers = []
        for moment in (KEPT - 2.0, KEPT + 2.0):
            await house.stop()
            await house.sim.skip(seconds=kept + moment - house.sim.now)
            await house.start()
            answers.append(await house.order("tariff", key))
        made = await house.made()
        await asyncio.sleep(300.0)  # what was refused later is kept until later
        return first, *answers, made, refused, await house.order("bad", f"{key}-bad", timeout=200.0)

    first, before, after, made, refused, anew = house.run(play)
    _same(house, [first, before], key, "2 s before 24 h have passed since then")
    sees = f"24 hours have passed, the key comes again, and is answered {after.told} with what was made the day before"
    wrong = int(after.status != 201 or after.text("id") == first.text("id"))
    expect("kept_too_long", wrong, at_most=0, unit="orders", code="kept-too-long", sees=sees, story=house.story())
    sees = f"24 hours have passed, the key is new, and its order is made of the text of yesterday: {after.text('summary')[:60]}"
    wrong = int(f" {changed.euros} euros" not in after.text("summary"))
    expect("of_yesterday", wrong, at_most=0, unit="orders", code="kept-too-long", sees=sees, story=house.story())
    sees = f"an order was refused ({refused.told}); 24 hours later its key is new, and its order ends with {anew.told}: {anew.text('summary')[:60]}"
    wrong = int(f" {changed.euros} euros" not in anew.text("summary"))
    expect("refused_yesterday", wrong, at_most=0, unit="orders", code="kept-too-long", sees=sees, story=house.story())
    expect("rows", len(made), at_least=2, unit="rows", code="swallowed", sees=f"{len(made)} summaries are on the list", story=house.story())
    expect("rows_at_most", len(made), at_most=2, unit="rows", code="ordered-twice", sees=f"{len(made)} summaries are on the list", story=house.story())


def test_a_crash_at_any_point_loses_and_doubles_nothing(scene, incident):
    """Killed at any point, an order is neither lost nor billed twice."""
    lost = twice = 0

    def play(at):
        nonlocal lost, twice
        house, rule, key = _house(scene, incident, scene.rng("crash"), horizon=200.0)
        replica = house.replicas[0]

        async def scenario():
            await house.put("tariff", [rule.paragraph])
            house.sim.counts_effects = True
            replica.crash_at(at, restart_after=1.0)
            begun = house.sim.now
            end = await house.insist(lambda _: house.order("tariff", key, timeout=20.0), tries=12, pause=5.0)
            effects = replica.effects
            seconds = house.sim.now - begun
            await asyncio.sleep(3.0)  # it may have crashed right behind the answer
            made, billed = await house.made(), house.billed(rule.paragraph, path=incident.CHAT)
            return end, seconds, effects, made, billed, await house.order("tariff", key)

        end, seconds, effects, made, billed, again = house.run(scenario)
        killed = [" at ".join([e.data["behind"], *e.data["where"][:1]]) for e in house.sim.tape.of("crash")]
        where = f"killed right behind {killed[0]}" if killed else "without a kill"
        ids = [str(row.get("id"))[:8] for row in made]
        lost += end.status != 201 or not ids
        twice += billed > 1
        sees = f"{where}, order {key} ends with {end.told} after {seconds:.0f} s: {lost} lost"
        expect("lost", lost, at_most=0, unit="orders", code="lost-orders", sees=sees, story=house.story())
        sees = f"{where}, order {key} is billed {billed} times: {twice} billed twice, {lost} lost"
        expect("billed_twice", twice, at_most=0, unit="orders", code="billed-twice", sees=sees, story=house.story())
        sees = f"{where}, order {key} has the rows {', '.join(ids)}"
        expect("rows", len(ids), at_most=1, unit="rows", code="ordered-twice", sees=sees, story=house.story())
        sees = f"{where}, and order {key} is made {seconds:.0f} s later: {LEASE:.0f} s are agreed for the key, 10 for the client's next try"
        expect("stuck", seconds, at_most=LEASE + 10.0, unit="s", code="stuck", sees=sees, story=house.story())
        return (house, [end, again], key), effects

    for house, answers, key in enumerate_crashes(play):
        _same(house, answers, key)


def test_a_slow_order_is_not_made_twice(scene, incident):
    """An order that takes minutes is made once, however often it is sent."""
    rng = scene.rng("slow")
    slow = faults.brown_out(0.0, 500.0, rng.uniform(450.0, 540.0), when=lambda call: b"messages" in call.body)
    house, rule, key = _house(scene, incident, rng, replicas=2, horizon=900.0, fails=[slow])
    looks = sorted([rng.uniform(2.0, 20.0), rng.uniform(35.0, 60.0), rng.uniform(65.0, 110.0)])

    async def play():
        await house.put("tariff", [rule.paragraph])
        begun = house.sim.now
        first = asyncio.create_task(house.order("tariff", key, timeout=5.0))  # gives up, and the order goes on
        early = []
        for number, look in enumerate(looks):
            await house.sim.until(begun + look)
            early.append(await house.order("tariff", key, to=number + 1, timeout=5.0))
            if number == 0:
                await house.replicas[1].restart()  # an ordinary deploy, next door
        await first
        calls = len(house.calls(rule.paragraph, path=incident.CHAT))
        await house.sim.until(begun + 200.0)
        end = await house.insist(lambda at: house.order("tariff", key, to=at), tries=20)
        return early, calls, end, await house.order("tariff", key, to=1), await house.made()

    early, calls, end, again, made = house.run(play)
    _made_once(house, rule, made, key)
    _same(house, [end, again], key)
    sees = f"an order is under way for minutes, it is sent again, and {calls} calls are made for it: its lease was let go while it lived"
    expect("calls", calls, at_most=1, unit="calls", code="lease-lost", sees=sees, story=house.story())
    others = [answer.told for answer in early if answer.status not in (0, 409)]
    sees = f"an order is under way, it is sent again, and answered {', '.join(others)}"
    expect("wrong_status", len(others), at_most=0, unit="answers", code="wrong-status", sees=sees, story=house.story())


def test_who_was_away_does_not_write(scene, incident):
    """A replica that stood still writes nothing that is not its own any more."""
    rng = scene.rng("away")
    slow = faults.brown_out(0.0, 500.0, rng.uniform(25.0, 35.0), when=lambda call: b"messages" in call.body)
    house, rule, key = _house(scene, incident, rng, replicas=2, horizon=600.0, fails=[slow])
    away = rng.uniform(70.0, 100.0)

    async def play():
        await house.put("tariff", [rule.paragraph])
        begun = house.sim.now
        first = asyncio.create_task(house.order("tariff", key, timeout=300.0))
        await asyncio.sleep(rng.uniform(1.0, 5.0))
        house.replicas[0].freeze()
        house.sim.loop.call_later(away, house.replicas[0].thaw)
        end = await house.insist(lambda _: house.order("tariff", key, to=1, timeout=20.0), tries=20, pause=3.0)
        taken = house.sim.now - begun
        await house.sim.until(begun + away + 30.0)
        later = [await house.order("tariff", key, to=at) for at in range(2)]
        woken = await first
        return end, taken, later + [woken] * (woken.status == 201), await house.made(to=1)

    end, taken, later, made = house.run(play)
    sees = f"a replica stands still, and the order it had taken ends with {end.told} elsewhere, {taken:.0f} s later"
    expect("lost", int(end.status != 201), at_most=0, unit="orders", code="lost-orders", sees=sees, story=house.story())
    sees = f"a replica stands still, and the order it had taken is made elsewhere {taken:.0f} s later: {LEASE:.0f} s are agreed for the key,"
    sees = f"{sees} 30 for the work and the client's next try"
    expect("stuck", taken, at_most=LEASE + 30.0, unit="s", code="stuck", sees=sees, story=house.story())
    _made_once(house, rule, made, key)
    _same(house, [end, *later], key)


def test_who_was_away_frees_nobodys_key(scene, incident):
    """A replica that stood still, wakes up and fails leaves what another has done."""
    rng = scene.rng("away")
    away = rng.uniform(70.0, 90.0)
    calls = []

    def first(call):
        if b"messages" in call.body and not calls:
            calls.append(call.source)
            return True
        return False

    fails = [
        faults.reply_lost(0.0, 20.0, "reset", when=first),  # of the one that stands still; he hears of it when he wakes up
        faults.failing(away - 2.0, away + 12.0, 503, when=lambda call: b"messages" in call.body),
    ]
    house, rule, key = _house(scene, incident, rng, replicas=2, median=1.0, horizon=600.0, fails=fails)

    async def play():
        await house.put("tariff", [rule.paragraph])
        order = asyncio.create_task(house.order("tariff", key, timeout=15.0))
        for _ in range(200):
            await asyncio.sleep(0.05)
            if calls:
                break
        house.replicas[0].freeze()
        await order
        end = await house.insist(lambda _: house.order("tariff", key, to=1, timeout=20.0), tries=12, pause=3.0)
        await house.sim.until(away)
        house.replicas[0].thaw()
        await house.sim.until(away + 15.0)  # his tries are over
        return end, [await house.order("tariff", key, to=at) for at in range(2)], await house.made(to=1)

    end, later, made = house.run(play)
    _made_once(house, rule, made, key)
    _same(house, [end, *later], key)


def _house(scene, incident, rng, **rest):
    """A house, a rule and a key."""
    return incident.House(scene, **rest), incident.Rule.make(rng), f"{rng.getrandbits(64):016x}"


def _same(house, answers, key, when="sent again"):
    """All say the same, byte by byte, and that it is done."""
    first = answers[0]
    sees = f"order {key} ends with {first.told}"
    expect("not_made", int(first.status != 201), at_most=0, unit="orders", code="lost-orders", sees=sees, story=house.story())
    others = [answer for answer in answers if (answer.status, answer.raw) != (first.status, first.raw)]
    told = f"{others[0].told} {others[0].raw[:50]!r}" if others else ""
    sees = f"order {key} was answered {first.told} {first.raw[:50]!r}, and {when} it is answered {told}"
    expect("not_the_same", len(others), at_most=0, unit="answers", code="not-the-same", sees=sees, story=house.story())


def _made_once(house, rule, made, key):
    """One row, one line on the invoice."""
    ids = [str(row.get("id"))[:8] for row in made]
    billed = house.billed(rule.paragraph, path="/v1/chat/completions")
    sees = f"order {key} is sent again, and {billed} calls are on the provider's invoice"
    expect("billed", billed, at_most=1, unit="calls", code="billed-twice", sees=sees, story=house.story())
    sees = f"order {key} is sent again, and {len(ids)} summaries are on the list: {', '.join(ids)}"
    expect("rows", len(ids), at_most=1, unit="rows", code="ordered-twice", sees=sees, story=house.story())
    sees = f"order {key} has no row on the list, and {billed} calls on the invoice"
    expect("made", min(len(ids), billed), at_least=1, unit="orders", code="lost-orders", sees=sees, story=house.story())
