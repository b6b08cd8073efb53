"""Stage 2, the flow and its parts: the template method and the composite.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
from dataclasses import replace

import pytest
from grader.plugin import expect

pytestmark = pytest.mark.stage(2)

LIMIT = 100_000
NEVER = ("guarantee", "promise", "liable")


def _compare(due, seen):
    """What is wrong, and all of it as a story."""
    story = [(float(at), f"{what}: {seen.get(what)!r}") for at, what in enumerate(due)]
    wrong = [f"{what}: {seen.get(what)!r}, and not {right!r}" for what, right in due.items() if seen.get(what) != right]
    return wrong, story


@pytest.mark.pattern("template-method")
def test_nothing_leaves_the_house_unchecked(scene, incident, probes):
    """What a flow decides is checked before anything is done, and recorded whatever it is."""
    rng = scene.rng("cases")
    house = incident.House(scene)
    kind, tool, word = incident.word(rng), incident.word(rng), rng.choice(NEVER)
    odd = word[0].upper() + "".join(rng.choice((str.upper, str.lower))(letter) for letter in word[1:])
    cents, line = rng.randrange(2, LIMIT), incident.word(rng)
    good = [[[kind, cents], [line]], [[kind, LIMIT], [line, kind]], [[kind, 1], None], [None, [line]]]
    bad = [
        [[kind, LIMIT + 1], [line]], [[kind, 0], [line]], [[kind, -cents], [line]], [[kind, cents + 0.5], [line]],
        [[kind, True], [line]], [["", cents], [line]], [[kind, cents], []], [[kind, cents], [line, " "]],
        [[kind, cents], [line, f"we are {odd} today"]], [None, [f"{line}{odd}s"]], [[kind, cents], [line, 7]],
        [[kind, cents], line],
    ]  # fmt: skip
    cases = [*good, *bad]
    rng.shuffle(cases)
    seen = house.run(lambda: house.desk.probe(probes.flows, cases, tool))
    wrong, story = [], []
    for (entry, lines), (status, events, reason) in zip(cases, seen, strict=True):
        sound = [entry, lines] in good
        effects = [f"book {entry[0]} {entry[1]}"] if entry else []
        effects.append("mail " + "; ".join(map(str, lines or ["Your ticket is settled."])))
        due = [f"look up {tool}", *(effects if sound else []), "record done" if sound else "record held"]
        entered = f"{entry[0] or 'of no kind'} {entry[1]}" if entry else "none"
        what = f"entry {entered}, lines {incident.listed(f'“{line}”' for line in _lines(lines))}"
        if status != ("done" if sound else "held") or events != due or (not sound and not reason):
            done, right = incident.listed(events), incident.listed(due)
            wrong.append(f"{what}: it is {status}; what happened is {done}, and right is {right}")
            story.append((0.0, f"{what} → {status}: {done}"))
    sees = f"{len(wrong)} of {len(cases)} flows did not go right ({len(bad)} want what nobody may do)."
    sees = f"{sees} {(wrong or [''])[0]}"
    expect("wrong_flows", len(wrong), at_most=0, unit="flows", code="unchecked", sees=sees, story=story)


def _lines(lines):
    return lines if isinstance(lines, list) else [] if lines is None else [lines]


@pytest.mark.pattern("template-method")
def test_nobody_can_skip_the_check(scene, incident, probes):
    """A flow of another team that raises, forgets super(), or has odd methods, is checked and recorded all the same."""
    rng = scene.rng("cases")
    house = incident.House(scene)
    seen = house.run(lambda: house.desk.probe(probes.rude_flows, f"we {rng.choice(NEVER)} it"))
    failed = ["failed", ["record failed"], True]
    due = {
        "look_ups raises": failed,
        "decide raises": failed,
        "write raises": failed,
        "book fails": ["failed", ["book kind 5", "record failed"], True],
        "mail fails": ["failed", ["book kind 5", "mail Your ticket is settled.", "record failed"], True],
        "looking up fails": ["failed", ["look up fare", "record failed"], True],
        "forgets super": ["done", ["mail Your ticket is settled.", "record done"], False],
        "says what may not be said": ["held", ["record held"], True],
        "has methods of its own": ["held", ["record held"], True],
        "has coroutines of its own": ["held", ["record held"], True],
        "has attributes of its own, and says it": ["held", ["record held"], True],
        "has attributes of its own, and is too dear": ["held", ["record held"], True],
        "facts and policy": [
            "done", ["look up fare", "book k 500", "mail Your ticket is settled.", "record done"], False,
        ],
        "run": "TypeError",
        "run of a mixin": "TypeError",
        "recording fails": "passes on",
        "taken up again": [
            "done", ["book kind 1", "mail line 2", "record failed"], ["book kind 1", "mail line 2", "record done"],
        ],
        "held, and taken up again": ["held", ["record held"], ["record held"]],
    }  # fmt: skip
    wrong, story = _compare(due, seen)
    sees = f"of {len(due)} flows of another team, {len(wrong)} get past what is the same for all. {(wrong or [''])[0]}"
    expect("got_past", len(wrong), at_most=0, unit="flows", code="skipped", sees=sees, story=story)


@pytest.mark.pattern("template-method")
def test_a_large_sum_is_for_people(scene, incident):
    """More than 1,000 euros are not booked by the desk, and what fails has an end and a record."""
    rng = scene.rng("upgrades")
    house = incident.House(scene)
    large = house.ticket(rng, "upgrade", plain=True, quote_cents=LIMIT + rng.randrange(1, 9_000))
    small = house.ticket(rng, "upgrade", plain=True, quote_cents=LIMIT)
    broken = house.ticket(rng, "receipt", plain=True)
    away = house.ticket(rng, "weather", plain=True)
    both = house.ticket(rng, "receipt", "seat", plain=True)
    wish = house.special(rng, wishes=("quote",), hold=0)
    mixed = replace(wish, text=f"{wish.text} {incident.SAYS['seat'][-1]}", routes=("special", "seat"))
    unclear = house.ticket(rng)
    unsent = house.ticket(rng, "meal", plain=True)

    async def play():
        (first,) = await house.handle([large], patience=8.0)
        house.gateway.broken.add("fare")
        house.gateway.away.add("weather")
        ends = [first, *await house.handle([small, broken, away, both, mixed, unclear], patience=20.0)]
        house.gateway.broken.add("mail")
        ends += await house.handle([unsent], patience=20.0)
        before = await house.send("GET", "/records")
        ended = [(t, end) for t, end in zip((large, broken, unclear), (ends[0], ends[2], ends[6]), strict=True)
            if end.body.get("status") not in (*incident.OPEN, None)]
        late = [(end, await house.send("POST", f"/tickets/{t.ref}/cancel")) for t, end in ended]
        return ends, late, before, await house.send("GET", "/records")

    (first, _, third, gone, two, three, _, last), late, before, records = house.run(play)
    done = len(house.effects(large, "ledger")) + len(house.effects(large, "mail"))
    quote = house.gateway.facts[large.booking]["quote_cents"]
    sees = f"an upgrade costs {quote / 100:.2f} euros, 1,000 are agreed, and {done} entries and mails are made of it"
    expect("done_anyway", done, at_most=0, unit="effects", code="unchecked", sees=sees, story=house.done(large))
    sees = f"an upgrade is too dear for the desk, and its ticket is {first.body.get('status')!r}"
    expect("not_held", int(first.body.get("status") != "held"), at_most=0, code="no-ending", sees=sees, about=large.ref)
    off = [(end, answer) for end, answer in late
        if answer.status != 200 or answer.body.get("status") != end.body.get("status")]
    changed = sum(row not in (records.body.get("records") or []) for row in before.body.get("records") or [])
    sees = f"of {len(late)} tickets that have ended, {len(off)} do not stay as they are when they are cancelled, and"
    sees = f"{sees} {changed} records of them do not"
    if off:
        end, answer = off[0]
        sees = f"{sees}: one that is {end.body.get('status')} is {answer.body.get('status')} then ({answer.told})"
    expect("ended_twice", len(off) + changed, at_most=0, unit="tickets", code="others-changed", sees=sees,
           about="/cancel")
    booked = [e.cents for e in house.effects(small, "ledger")]
    sees = f"an upgrade of exactly 1,000 euros is within what was agreed, and the ledger has {booked}"
    expect("not_booked", int(booked != [LIMIT]), at_most=0, code="held-back", sees=sees, story=house.done(small))
    sees = f"the fare of a booking cannot be looked up, and its ticket is {third.body.get('status')!r}"
    expect("no_end", int(third.body.get("status") != "failed"), at_most=0, code="no-ending", sees=sees,
           about=broken.ref)
    mails = len(house.effects(away, "mail"))
    sees = f"the weather does not answer (503), and 20 s later a ticket that needs it is {gone.body.get('status')!r},"
    sees = f"{sees} with {mails} mails; failed is agreed, and none"
    expect("no_end", int(gone.body.get("status") != "failed" or mails > 0), at_most=0, code="no-ending", sees=sees,
           about=away.ref)
    sees = f"no mail can be sent, and 20 s later a ticket that needs one is {last.body.get('status')!r}"
    expect("no_end", int(last.body.get("status") != "failed"), at_most=0, code="no-ending", sees=sees,
           about=unsent.ref)
    found = records.body.get("records") or []
    rows = {row.get("ticket"): (row.get("status"), row.get("reason")) for row in found}
    alone = ((large, "held", first), (broken, "failed", third), (away, "failed", gone), (unsent, "failed", last))
    off = [(status, end.body.get("reason"), rows.get(t.ref)) for t, status, end in alone
        if not end.body.get("reason") or rows.get(t.ref) != (status, end.body["reason"])]
    sees = f"a ticket is held, and three others have failed; for {len(off)} of them there is no reason, or compliance"
    sees = f"{sees} has not the same"
    if off:
        status, reason, row = off[0]
        known = f"“{row[0]}”, because of “{row[1]}”" if row else "nothing"
        sees = f"{sees}: one is {status}, because of “{reason or ''}”, and its record says {known}"
    expect("no_record", len(off), at_most=0, unit="tickets", code="no-record", sees=sees, about="/records")
    if two.body.get("routes") == list(both.routes):  # who routes by one word: that is stage 3's business
        _each_its_own(incident, house, (both, mixed, three), found)


def _each_its_own(incident, house, tickets, found):
    """Of two concerns each has its own end, and its own record; one of them may have to be planned."""
    both, mixed, end = tickets
    rows = {row.get("route"): (row.get("status"), row.get("reason")) for row in found if row.get("ticket") == both.ref}
    mails = len(house.effects(both, "mail"))  # a flawed call of the model may make it fail: that is stage 3's business
    due = {"receipt": "failed", "seat": "done" if mails else "failed"}
    wrong = {name: status for name, (status, _) in rows.items()} != due or not rows["receipt"][1]
    told = incident.listed(f"{name} {status} (“{reason}”)" for name, (status, reason) in rows.items())
    sees = f"of two concerns the first fails, {mails} mails are sent for the other, and compliance has: {told}"
    expect("not_its_own", int(wrong), at_most=0, unit="tickets", code="no-record", sees=sees, story=house.done(both))
    rows = sorted(str(row.get("route")) for row in found if row.get("ticket") == mixed.ref)
    booked = [e.kind for e in house.effects(mixed, "ledger")]
    wrong = end.body.get("routes") != list(mixed.routes) or rows != sorted(mixed.routes) or booked.count("seat") != 1
    sees = f"a letter has a wish that has to be planned, and wants another seat: it goes to"
    sees = f"{sees} {incident.listed(end.body.get('routes') or [])}, the ledger has {incident.listed(booked)} for it,"
    sees = f"{sees} and compliance a record of {incident.listed(rows)}"
    expect("one_way", int(wrong), at_most=0, unit="tickets", code="others-changed", sees=sees, story=house.done(mixed))


@pytest.mark.pattern("composite")
def test_a_tree_is_asked_as_a_leaf(scene, incident, probes):
    """What a tree costs and how far it is comes from its leaves, each counted once; no tree is part of itself."""
    rng = scene.rng("tree")
    house = incident.House(scene)
    names, costs = [incident.word(rng) for _ in range(4)], [rng.randrange(1, 90) for _ in range(4)]
    fails, more = incident.word(rng), rng.randrange(1, 90)
    seen = house.run(lambda: house.desk.probe(probes.tree, names, costs, fails, more))
    a, b, c, d = costs
    due = {
        "cost": [a + b + c + d, a + b + c, a + b, a, 0],
        "empty": 1.0,
        "before": 0.0,
        "half": [0.5, 2 / 3, 1.0],
        "whole": 1.0,
        "done": [names[0], names[1], names[3], names[2]],
        "again": [names[0], names[1], names[3], names[2]],
        "foreign": [a + b + c + d + more, 0.8],
        "grown": [1.0, 1],
        "cycles": ["Cycle"] * 3,
        "cost_after": a + b + c + d + more,
        "raised": fails,
        "grown below": [a + b + c + d + 2 * more, 5 / 6],
        "stopped": [["a"], 1 / 3],
        "two wait for one that raises": [fails, fails],
        "it raised, and is run again": [["try", "try"], 1.0],
        "shared": [["one", "shared"], ["two", "shared"]],
        "one of two who wait is cancelled": [True, True, "shared"],
        "who waits is cancelled": [True, []],
    }
    for what in ("half", "grown below", "stopped"):
        seen[what] = [round(each, 6) if isinstance(each, float) else each for each in seen[what]]
        due[what] = [round(each, 6) if isinstance(each, float) else each for each in due[what]]
    wrong, story = _compare(due, seen)
    sees = f"a tree of four leaves, in which one subtree stands twice: {len(wrong)} answers are wrong."
    sees = f"{sees} {(wrong or [''])[0]}"
    expect("wrong_answers", len(wrong), at_most=0, unit="answers", code="wrong-tree", sees=sees, story=story)


@pytest.mark.pattern("composite")
def test_cancelling_reaches_the_leaves(scene, incident, probes):
    """Whoever cancels a tree stops the leaf that is under way, and all that are to come."""
    rng = scene.rng("tree")
    house = incident.House(scene)
    names = [incident.word(rng) for _ in range(4)]
    at = rng.randrange(3)
    seen = house.run(lambda: house.desk.probe(probes.cancelled, names, at + 0.5))
    due = {
        "ended": True, "begun": names[: at + 1], "done": names[:at], "stopped": names[at : at + 1], "progress": at / 4,
    }  # fmt: skip
    wrong, story = _compare(due, seen)
    sees = f"a tree of four leaves is cancelled while leaf {at + 1} is under way. {(wrong or [''])[0]}"
    expect("wrong_answers", len(wrong), at_most=0, unit="answers", code="goes-on", sees=sees, story=story)


@pytest.mark.pattern("composite")
def test_what_is_cancelled_ends(scene, incident):
    """Behind the answer to a cancellation nothing more is booked or mailed, and a restart does not bring it back."""
    rng = scene.rng("tickets")
    house = incident.House(scene, median=rng.uniform(2.0, 4.0))
    one, two = house.ticket(rng, "seat", plain=True), house.ticket(rng, "meal", "seat", plain=True)
    three = house.ticket(rng, "seat", plain=True)
    four = house.special(rng, wishes=("fare", "weather"), hold=0)
    five = house.ticket(rng, "meal", "seat", plain=True)
    other = replace(house.ticket(rng, "seat", plain=True), ref=one.ref, tenant="borealis")  # two offices, one ref
    tried = house.ticket(rng, "seat", plain=True)
    stopped = (one, two, three, four, five)

    async def play():
        for ticket in (*stopped, other, *stopped):  # and once more
            await house.submit(ticket)
        await asyncio.sleep(rng.uniform(0.5, 1.5))
        answers, said = [], {}

        async def cancel(ticket):
            while ticket in (three, four, five) and not house.effects(ticket, "ledger") and house.sim.now < 20.0:
                await asyncio.sleep(0.05)  # until it is half done
            if ticket is five:
                await asyncio.sleep(4 * incident.GATEWAY_SECONDS)  # what was mailed before that is answered
            answers.append(await house.send("POST", f"/tickets/{ticket.ref}/cancel", ticket.tenant))
            said[ticket.ref] = house.sim.now

        await asyncio.gather(*(cancel(ticket) for ticket in stopped))
        await asyncio.sleep(12.0)
        await house.desk.restart()
        await house.submit(one)  # once more
        await house.settle([other], patience=30.0)
        late = await house.send("POST", f"/tickets/{other.ref}/cancel", other.tenant)
        ends = await house.settle([*stopped, other], patience=15.0)
        theirs = [await house.send("GET", path, other.tenant) for path in ("/records", "/tickets")]
        house.gateway.away.add("ledger")
        await house.submit(tried)
        until = house.sim.now + 10.0
        while not any(call[3] == tried.booking for call in house.gateway.calls) and house.sim.now < until:
            await asyncio.sleep(0.05)  # until the ledger has been tried in vain
        await cancel(tried)
        house.gateway.away.clear()
        await asyncio.sleep(5.0)
        return answers, said, ends, late, await house.send("GET", "/records"), theirs

    answers, said, ends, late, records, theirs = house.run(play)
    told = ", ".join(answer.told for answer in answers)
    wrong = sum(answer.status != 200 for answer in answers)
    sees = f"{len(answers)} tickets are cancelled, and that is answered {told}"
    expect("not_cancelled", wrong, at_most=0, code="wrong-status", sees=sees, about="/cancel")
    after = {t.ref: [e for tool in ("ledger", "mail") for e in house.effects(t, tool) if e.at > said[t.ref]]
        for t in (*stopped, tried)}
    first = next((t for t in (*stopped, tried) if after[t.ref]), one)
    count = sum(map(len, after.values()))
    sees = f"{len(after)} tickets are cancelled, one of them while the ledger does not answer, and {count} entries and"
    sees = f"{sees} mails are made of them after that was confirmed"
    expect("done_after", count, at_most=0, unit="effects", code="goes-on", sees=sees, story=house.done(first))
    *now, status = (end.body.get("status") for end in ends)
    wrong = sum(status != "cancelled" for status in now)
    sees = f"{len(stopped)} tickets were cancelled, the desk restarted, one was sent once more, and they are"
    sees = f"{sees} {', '.join(map(str, now))}"
    expect("come_back", wrong, at_most=0, unit="tickets", code="goes-on", sees=sees, about="/tickets")
    rows = {t.ref: [row for row in records.body.get("records") or [] if row.get("ticket") == t.ref] for t in stopped}
    lacking = sum("cancelled" not in [row.get("status") for row in found] for found in rows.values())
    lacking += sum(len({row.get("route") for row in found}) != len(found) for found in rows.values())
    lacking += sum([row.get("route") for row in rows[t.ref]] != list(t.routes) for t in (three, four))
    sees = f"{len(stopped)} tickets were cancelled, three of them half done, and for {lacking} compliance has no record"
    sees = f"{sees} of that, several of one route, or not the route it took"
    expect("no_record", lacking, at_most=0, unit="tickets", code="no-record", sees=sees, about="/records")
    mailed = [e for e in house.effects(five, "mail") if e.at < said[five.ref] - 3 * incident.GATEWAY_SECONDS]
    ways = {row.get("route"): row.get("status") for row in rows[five.ref]}
    wrong = bool(mailed) and ways != {"meal": "done", "seat": "cancelled"}
    sees = f"a ticket with two concerns is cancelled when the first is done, its mail sent, and compliance has"
    sees = f"{sees} {incident.listed(f'{name} {status}' for name, status in ways.items())}"
    expect("not_its_own", int(wrong), at_most=0, unit="tickets", code="no-record", sees=sees, story=house.done(five))
    # a flawed call of the model may make the other fail: that is stage 3's business
    sees = f"a ticket of another office, with the ref of one that is cancelled, is {status!r}, with"
    sees = f"{sees} {len(house.effects(other, 'ledger'))} of its 1 entries"
    wrong = int(status not in ("done", "failed") or len(house.effects(other, "ledger")) != 1)
    expect("others_changed", wrong, at_most=0, unit="tickets", code="others-changed", sees=sees,
           story=house.done(other))
    records, listed = (answer.body.get(name) or [] for answer, name in zip(theirs, ("records", "tickets"), strict=True))
    seen = [[(row.get(ref), row.get("status")) for row in rows] for rows, ref in ((records, "ticket"), (listed, "id"))]
    wrong = sum(found != [(other.ref, status)] for found in seen)
    sees = f"an office has sent one ticket, which is {status!r}; its records name {len(records)} tickets, its list"
    sees = f"{sees} {len(listed)}, and that is not just this one"
    expect("not_theirs", wrong, at_most=0, unit="lists", code="others-changed", sees=sees, about="/records")
    sees = f"a ticket that had ended is cancelled ({late.told}), and is {status!r} then"
    wrong = int(late.status != 200 or late.body.get("status") != status)
    expect("ended_twice", wrong, at_most=0, unit="tickets", code="others-changed", sees=sees, about=other.ref)
