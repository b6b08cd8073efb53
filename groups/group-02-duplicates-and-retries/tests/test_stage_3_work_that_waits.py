"""Stage 3, work that waits: the command.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
from itertools import pairwise

import pytest

from grader.plugin import expect
from grader.sim import enumerate_crashes
from grader.world import faults

pytestmark = [pytest.mark.stage(3), pytest.mark.pattern("command")]

AT_ONCE = 0.5  # seconds; the configuration may have to be loaded
MADE_WITHIN = 10.0  # seconds in which an edit is made where the provider is well
AFTER_A_KILL = 40.0  # the same, where a process was killed: it may have had a lease
AGAIN_WITHIN = 33.0  # seconds from one try to the next, while the provider is down: 30, and the tries themselves
WITHIN = 60.0  # seconds in which a few edits are made
ENDS = ("done", "failed", "undone")


def test_a_command_is_a_value(scene, incident, probes):
    """A command told as text does the same in another process."""
    rng = scene.rng("commands")
    kind, strange = f"mark-{incident.word(rng)}", f"mark-{incident.word(rng)}"
    fields = [[incident.word(rng), [rng.choice("<[{"), rng.choice(">]}é")], rng.randrange(1, 4)] for _ in range(5)]
    texts = [f"{incident.word(rng)} {word} {incident.word(rng)}\n\nä {word}" for word, *_ in fields]
    house = incident.House(scene, replicas=2)

    async def play():
        one, other = house.replicas
        told = await one.probe(probes.encoded, kind, fields, texts)
        one.crash()
        return told, await other.probe(probes.decoded, kind, told["told"], texts, strange)

    first, second = house.run(play)
    due = []
    for (word, marks, times), text in zip(fields, texts, strict=True):
        after = text.replace(word, marks[0] * times + word + marks[1] * times)
        due.append([after, text, after])
    story = [(0.0, f"{told[:80]}") for told in map(str, first["told"])]
    sees = "a kind is registered, and a command of that kind, told as text, is an UnknownKind all the same"
    expect("unknown", int(second["late"]), at_most=0, unit="kinds", code="unknown-kind", sees=sees, story=story)
    for seen, where in ((first, "where it was made"), (second, "in another process")):
        wrong = [at for at, each in enumerate(seen["done"]) if each != due[at]]
        got = seen["done"][wrong[0]] if wrong else []
        sees = f"a command is done, undone and done again {where}, and the text is {got}"
        expect("done_otherwise", len(wrong), at_most=0, unit="commands", code="not-the-same", sees=sees, story=story)
    wrong = second["equal"].count(False)
    sees = f"{wrong} of 5 commands are not equal to what they were before they were told as text"
    expect("not_equal", wrong, at_most=0, unit="commands", code="not-the-same", sees=sees, story=story)
    sees = "a command told as text twice is not the same text"
    expect("unstable", second["again"].count(False), at_most=0, unit="commands", code="not-the-same", sees=sees, story=story)
    known = int(not second["early"]) + int(not second["strange"])
    sees = "a command of a kind that nobody has registered is no UnknownKind"
    expect("unknown_taken", known, at_most=0, unit="commands", code="unknown-kind", sees=sees, story=story)


def test_what_was_accepted_survives_a_kill(scene, incident):
    """Edits survive a kill, and are made once and in order."""
    rng = scene.rng("edits")
    house, names, parts = _house(scene, incident, rng, documents=3, edits=12, median=rng.uniform(1.0, 2.0))

    async def play():
        await _documents(house, names)
        edits = [await _append(house, names[at % 3], part, f"{at}") for at, part in enumerate(parts)]
        slowest = max(answer.ended - answer.asked for answer in edits)
        await asyncio.sleep(rng.uniform(0.5, 2.0))
        house.replicas[0].crash()
        await asyncio.sleep(1.0)
        house.config_is_down = 2  # the next two times that somebody asks
        await house.replicas[0].start()
        again = await _append(house, names[0], parts[0], "0")
        ends = await _ends(house, edits)
        return edits, slowest, again, ends, [await house.text(name) for name in names]

    edits, slowest, again, ends, texts = house.run(play)
    sees = f"an edit is accepted, and its client waits for {slowest:.1f} s"
    expect("accepted_after", slowest, at_most=AT_ONCE, unit="s", code="waits-for-the-work", sees=sees, about="POST")
    _all_made(house, parts, texts, "were accepted, the process was killed and started anew")
    sees = f"an edit is sent again after the kill, with its key, and is answered {again.told}, with another id"
    wrong = int((again.status, again.text("id")) != (202, edits[0].text("id")))
    expect("another_edit", wrong, at_most=0, unit="edits", code="made-twice", sees=sees, about="POST")
    wrong = sorted({end.text("status") for end in ends} - {"done"})
    sees = f"all edits are made, and of some it is said that they are {wrong}"
    expect("not_done", len(wrong), at_most=0, unit="edits", code="no-status", sees=sees, about="/edits/")


def test_two_replicas_make_each_edit_once(scene, incident):
    """Edits that come through all replicas are made once, in order."""
    rng = scene.rng("edits")
    house, names, parts = _house(scene, incident, rng, documents=2, edits=10, replicas=3, median=rng.uniform(0.3, 1.0))

    async def play():
        await _documents(house, names)
        edits = [await _append(house, names[at % 2], part, f"{at}", to=rng.randrange(3)) for at, part in enumerate(parts)]
        ends = await _ends(house, edits, to=rng.randrange(3))
        audits = [(await house.send("GET", f"/documents/{name}/edits", to=2)).rows() for name in names]
        return edits, ends, audits, [await house.text(name) for name in names]

    edits, ends, audits, texts = house.run(play)
    lost = sorted({end.told for end in ends} - {"200"})
    sees = f"an edit is accepted by one replica, and another, asked after it, answers {', '.join(lost)}"
    expect("not_known", len(lost), at_most=0, unit="answers", code="no-status", sees=sees, about="/edits/")
    _all_made(house, parts, texts, "came through three replicas")
    billed = max(house.billed(part, path=incident.EMBED) for part in parts)
    sees = f"an edit comes through one of three replicas, and its paragraph is billed {billed} times"
    expect("billed", billed, at_most=1, unit="times", code="billed-twice", sees=sees, story=house.story())
    for number, audit in enumerate(audits):
        told = [(row.get("id"), row.get("kind"), row.get("status")) for row in audit]
        due = [(edit.text("id"), "append", "done") for edit in edits[number::2]]
        sees = f"five edits of a document were made, and its history has {len(told)}: {[row[1:] for row in told][:3]}"
        expect("wrong_history", int(told != due), at_most=0, code="no-history", sees=sees, about=f"{names[number]}/edits")


def test_a_kill_at_any_point_loses_and_doubles_no_edit(scene, incident):
    """Killed at any point, no edit is lost, and none is made twice."""
    lost = twice = billed = 0

    def play(at):
        nonlocal lost, twice, billed
        rng = scene.rng("kill")
        house, names, parts = _house(scene, incident, rng, documents=1, edits=2)
        replica = house.replicas[0]

        async def scenario():
            await _documents(house, names)
            first = await _append(house, names[0], parts[0], "k-0")
            house.sim.counts_effects = True
            replica.crash_at(at, restart_after=1.0)
            edit = {"document": names[0], "kind": "append", "arguments": {"paragraph": parts[1]}}
            send = lambda _: house.send("POST", "/edits", key="k-1", json=edit)  # noqa: E731
            second = await house.insist(send, tries=12, pause=5.0)
            accepted = [first, second]
            over = house.sim.now + MADE_WITHIN
            while house.sim.now < over and not house.killed:
                await asyncio.sleep(1.0)
            effects, text = replica.effects, ""
            over = house.sim.now + (AFTER_A_KILL if house.killed else 0.0)
            while house.sim.now <= over and not all(part in text for part in parts):
                await asyncio.sleep(2.0)
                text = await house.text(names[0])
            await asyncio.sleep(2.0)  # should it be made once more
            return accepted, effects, await house.text(names[0])

        accepted, effects, text = house.run(scenario)
        killed = [" at ".join([e.data["behind"], *e.data["where"][:1]]) for e in house.sim.tape.of("crash")]
        where = f"killed right behind {killed[0]}" if killed else "without a kill"
        found = _split(text)
        told = ", ".join(answer.told for answer in accepted)
        sees = f"{where}, two edits are accepted in the end ({told})"
        wrong = sum(answer.status != 202 for answer in accepted)
        expect("not_accepted", wrong, at_most=0, unit="edits", code="not-accepted", sees=sees, story=house.story())
        lost += sum(part not in found for part in parts)
        twice += sum(found.count(part) > 1 for part in parts)
        sees = f"{where}, of two edits {lost} are not made in time and {twice} made twice"
        expect("lost", lost, at_most=0, unit="edits", code="lost-edits", sees=sees, story=house.story())
        expect("made_twice", twice, at_most=0, unit="edits", code="made-twice", sees=sees, story=house.story())
        billed = max(billed, *(house.billed(part, path=incident.EMBED) for part in parts))
        wrong = int([part for part in found if part in parts] != parts)
        sees = f"{where}, and two edits are made in another order"
        expect("disorder", wrong, at_most=0, code="disorder", sees=sees, story=house.story())
        return house, effects

    house = enumerate_crashes(play)[0]
    sees = f"an edit is made across a kill, and its paragraph is billed {billed} times"
    expect("billed", billed, at_most=1, unit="times", code="billed-twice", sees=sees, story=house.story())


def test_what_passes_is_tried_again_and_what_is_wrong_is_said(scene, incident):
    """An edit waits for an outage to end; one that cannot be made says so."""
    rng = scene.rng("outage")
    heals = rng.uniform(70.0, 90.0)
    statuses = rng.sample((429, 500, 502, 503, 504), 4)
    step = (heals - 2.0) / 5
    lame = [faults.failing(2.0 + at * step, 2.0 + (at + 1) * step, status) for at, status in enumerate(statuses)]
    lame.append(faults.unreachable(2.0 + 4 * step, heals))
    no = faults.failing(heals, 1000.0, 400, when=lambda call: refused.encode() in call.body)
    never_well = faults.failing(heals, 1000.0, 503, when=lambda call: sick.encode() in call.body)
    house, names, parts = _house(scene, incident, rng, documents=3, edits=4, fails=[*lame, no, never_well], horizon=600.0)
    missing, by, refused, sick = incident.paragraphs(incident.rules(rng, 4))

    async def play():
        await _documents(house, names)
        await house.sim.until(3.0)
        edits = [await _append(house, names[0], parts[0], "0"), await _append(house, names[0], parts[1], "1")]
        replace = {"document": names[0], "kind": "replace", "arguments": {"paragraph": missing, "by": by}}
        bad = await house.send("POST", "/edits", key="bad", json=replace)
        edits += [await _append(house, names[0], parts[2], "2"), await _append(house, names[1], parts[3], "3")]
        nameless = await house.send("POST", "/edits", json=replace)
        wrong = await house.send("POST", "/edits", key="wrong", json=replace | {"arguments": {"by": by}})
        unknown = await house.send("POST", "/edits", key="unknown", json=replace | {"kind": f"no-{incident.word(rng)}"})
        nowhere = await house.send("POST", "/edits", key="nowhere", json=replace | {"document": incident.word(rng)})
        await house.sim.until(heals)
        ends = await _ends(house, [*edits, bad])
        passes = await _append(house, names[2], sick, "sick")
        never = await _append(house, names[1], refused, "refused")
        later = await _append(house, names[1], by, "later")
        ends += await _ends(house, [never, later])
        audit = (await house.send("GET", f"/documents/{names[0]}/edits")).rows()
        texts = [await house.text(name) for name in names[:2]]
        waits = await house.send("GET", f"/edits/{passes.text('id')}")
        return bad, (nameless, wrong, unknown, nowhere), ends, audit, texts, waits

    bad, (nameless, bad_arguments, unknown, nowhere), (*ends, failed, never, later), audit, texts, waits = house.run(play)
    _all_made(house, parts, texts, "were accepted while the provider was down", due=[parts[:3], parts[3:]])
    tried = [0.0, *(call.arrived for call in house.calls(parts[0], path=incident.EMBED)), heals]
    pause = max(later - earlier for earlier, later in pairwise(tried))
    sees = f"an edit waits for an outage to end, and for {pause:.0f} s nobody tries; 30 s are agreed, and 3 for the tries"
    expect("pause", pause, at_most=AGAIN_WITHIN, unit="s", code="held-up", sees=sees, about="append")
    sees = f"an edit cannot be made, since it has nothing to replace, and it is {failed.text('status')!r}"
    expect("not_failed", int(failed.text("status") != "failed"), at_most=0, code="no-status", sees=sees, about="replace")
    rows = [row for row in audit if row.get("id") == bad.text("id")]
    sees = "an edit has failed, and does not say why"
    wrong = int(not failed.text("reason") or not rows or not rows[0].get("reason"))
    expect("no_reason", wrong, at_most=0, code="no-status", sees=sees, about="replace")
    sees = "the provider refuses a paragraph (400), and has no answer (503) to one of another document"
    sees = f"{sees}; the edit that appends the first is {never.text('status')!r} for ever"
    wrong = int(never.text("status") != "failed" or not never.text("reason"))
    expect("never_ends", wrong, at_most=0, unit="edits", code="no-status", sees=sees, about="/edits")
    sees = f"an edit has failed, and the next of its document is {later.text('status')!r}"
    expect("held_up", int(later.text("status") != "done"), at_most=0, unit="edits", code="held-up", sees=sees, about="/edits")
    sees = f"a paragraph is answered 503 again and again, which may pass, and the edit that appends it is {waits.text('status')!r}"
    expect("given_up", int(waits.text("status") != "queued"), at_most=0, code="lost-edits", sees=sees, about="append")
    sees = f"an edit without an Idempotency-Key is answered {nameless.told}"
    expect("nameless", int(nameless.status != 400), at_most=0, code="no-key", sees=sees, about="POST")
    sees = f"a replace whose arguments lack a field is answered {bad_arguments.told}"
    expect("bad_arguments", int(bad_arguments.status != 422), at_most=0, code="wrong-status", sees=sees, about="POST")
    sees = f"an edit of a kind that nobody knows is answered {unknown.told}"
    expect("unknown_taken", int(unknown.status != 422), at_most=0, code="wrong-status", sees=sees, about="no-")
    sees = f"an edit of a document that nobody has is answered {nowhere.told}"
    expect("nowhere", int(nowhere.status != 404), at_most=0, code="wrong-status", sees=sees, about="POST")


def test_an_edit_is_undone(scene, incident):
    """An edit is undone, and the edits since then stay."""
    rng = scene.rng("undo")
    house, names, parts = _house(scene, incident, rng, documents=2, edits=4, replicas=2)
    old, new, newer, last = incident.paragraphs(incident.rules(rng, 4))

    async def replaced_twice():
        """The first edit of a document is to be undone, and there is nothing any more to put its text in place of."""
        await house.put(names[1], [old])
        edits = []
        for paragraph, by in ((old, new), (new, newer)):
            replace = {"document": names[1], "kind": "replace", "arguments": {"paragraph": paragraph, "by": by}}
            edits.append(await house.send("POST", "/edits", key=by, json=replace))
        await _ends(house, edits)
        await house.send("POST", f"/edits/{edits[0].text('id')}/undo")
        return await _ends(house, [await _append(house, names[1], last, "last of two")])

    async def play():
        await house.put(names[0], [old, "The end."])
        first = await _append(house, names[0], parts[0], "0")
        replace = {"document": names[0], "kind": "replace", "arguments": {"paragraph": old, "by": new}}
        second = await house.send("POST", "/edits", key="1", json=replace)
        later = [await _append(house, names[0], part, f"later-{at}") for at, part in enumerate(parts[1:3])]
        bad = await house.send("POST", "/edits", key="bad", json=replace)
        await _ends(house, [first, second, *later, bad])
        undone = []
        for number, edit in enumerate((second, first, second)):
            undone.append(await house.send("POST", f"/edits/{edit.text('id')}/undo", to=number))
        for replica in house.replicas:
            await replica.restart()
        stuck = await house.send("POST", f"/edits/{bad.text('id')}/undo")
        stranger = await house.send("POST", f"/edits/{later[0].text('id')}/undo", tenant="somebody-else")
        await _ends(house, [await _append(house, names[0], parts[3], "last")])
        said = {answer.text("status") for answer in undone if answer.text("status")}
        for _ in range(20):
            looks = [await house.send("GET", f"/edits/{edit.text('id')}") for edit in (first, second)]
            said |= {look.text("status") for look in looks}
            if all(look.text("status") == "undone" for look in looks):
                break
            await asyncio.sleep(1.0)
        audit = (await house.send("GET", f"/documents/{names[0]}/edits")).rows()
        known = [edit.text("id") for edit in (first, second, *later, bad)]
        told = [str(row.get("id")) for row in audit][: len(known)] == known
        return undone, stuck, stranger, looks, await house.text(names[0]), told, said, await replaced_twice()

    undone, stuck, stranger, looks, text, told, said, (after,) = house.run(play)
    for answer in undone[:2]:
        sees = f"an edit is to be undone, and that is answered {answer.told}"
        wrong = int(not 200 <= answer.status < 300)
        expect("not_undone", wrong, at_most=0, unit="edits", code="not-undone", sees=sees, about="/undo")
    for look in looks:
        sees = f"20 s after it was to be undone, an edit is {look.text('status')!r}"
        wrong = int(look.text("status") != "undone")
        expect("not_said", wrong, at_most=0, unit="edits", code="not-undone", sees=sees, about=look.path)
    strange = sorted(said - {"queued", *ENDS})
    sees = f"an edit is to be undone, and meanwhile it is {strange}, which no client knows"
    expect("strange", len(strange), at_most=0, code="no-status", sees=sees, about="/undo")
    sees = "the history of a document lacks edits that were undone or have failed, or has them in another order"
    expect("wrong_history", int(not told), at_most=0, code="no-history", sees=sees, about="GET /documents")
    due = [old, "The end.", *parts[1:4]]
    found = _split(text)
    sees = f"two of six edits were undone, and the document lacks {len([p for p in due if p not in found])} paragraphs"
    expect("wrong_text", int(found != due), at_most=0, code="wrong-undo", sees=f"{sees} and has {len(found)}", about="/undo")
    sees = f"an edit is to be undone, of which nothing is left in the text, and the next of its document is {after.text('status')!r}"
    expect("held_up", int(after.text("status") != "done"), at_most=0, unit="edits", code="held-up", sees=sees, about="/undo")
    sees = f"an edit is undone once more, and that is answered {undone[2].told}"
    wrong = int(not (200 <= undone[2].status < 300 or undone[2].status == 409))
    expect("undone_twice", wrong, at_most=0, code="wrong-status", sees=sees, about="/undo")
    for what, answer, status in (("that has failed", stuck, 409), ("of somebody else", stranger, 404)):
        sees = f"an edit {what} is to be undone, and that is answered {answer.told}"
        expect("wrong_status", int(answer.status != status), at_most=0, code="wrong-status", sees=sees, about="/undo")


def test_what_waits_can_be_undone(scene, incident):
    """What is undone before it is made is never made."""
    rng = scene.rng("undo")
    heals = rng.uniform(20.0, 40.0)
    house, (name,), parts = _house(scene, incident, rng, documents=1, edits=3, fails=[faults.failing(2.0, heals, 503)])
    before = [f"This is {name}.", parts[2]]

    async def play():
        await house.put(name, before)
        await house.sim.until(3.0)
        edits = [await _append(house, name, part, f"{at}") for at, part in enumerate(parts)]  # the last one is there already
        await asyncio.sleep(5.0)
        undone = [await house.send("POST", f"/edits/{edits[at].text('id')}/undo") for at in (0, 2)]
        await house.sim.until(heals)
        (later,) = await _ends(house, [edits[1]])
        await asyncio.sleep(5.0)
        looks = [await house.send("GET", f"/edits/{edits[at].text('id')}") for at in (0, 2)]
        return undone, later, looks, _split(await house.text(name))

    undone, later, looks, found = house.run(play)
    for answer, look in zip(undone, looks, strict=True):
        sees = f"an edit that waits for the provider is to be undone, and that is answered {answer.told}"
        refused = int(not 200 <= answer.status < 300)
        expect("refused", refused, at_most=0, unit="edits", code="not-undone", sees=sees, about="/undo")
        sees = f"an edit was undone while it waited; it is {look.text('status')!r}, and the document has {len(found)} paragraphs"
        wrong = int(look.text("status") != "undone" or parts[0] in found or found.count(parts[2]) > 1)
        expect("made_anyway", wrong, at_most=0, unit="edits", code="not-undone", sees=sees, about="/undo")
    lost = [part[-20:] for part in before if part not in found]
    sees = f"two edits were undone while they waited, and the document lacks what it had before: {lost}"
    expect("text_lost", len(lost), at_most=0, unit="paragraphs", code="wrong-undo", sees=sees, about="/undo")
    sees = f"an edit was undone while it waited, and the next is {later.text('status')!r}"
    wrong = int(later.text("status") != "done" or parts[1] not in found)
    expect("lost", wrong, at_most=0, unit="edits", code="lost-edits", sees=sees, about="append")


def test_an_edit_can_be_undone_while_it_is_made(scene, incident):
    """What is undone while it is being made is undone."""
    rng = scene.rng("undo")
    struck = asyncio.Event()

    def hiccup(call):
        first = parts[1].encode() in call.body and not struck.is_set()
        if first:
            struck.set()
        return first

    fails = [
        faults.brown_out(0.0, 500.0, rng.uniform(15.0, 20.0), when=lambda call: parts[0].encode() in call.body),
        faults.failing(0.0, 500.0, 503, when=hiccup),
        faults.failing(0.0, 500.0, 400, when=lambda call: parts[1].encode() in call.body),
    ]
    house, names, parts = _house(scene, incident, rng, documents=2, edits=4, replicas=2, fails=fails)

    async def play():
        await _documents(house, names)
        slow = await _append(house, names[0], parts[0], "slow")
        await asyncio.sleep(rng.uniform(2.0, 3.0))
        undone = [await house.send("POST", f"/edits/{slow.text('id')}/undo", to=rng.randrange(2))]
        bad = await _append(house, names[1], parts[1], "bad")
        await asyncio.wait([asyncio.ensure_future(struck.wait())], timeout=20.0)  # it is tried once more in a moment, and is refused then
        undone.append(await house.send("POST", f"/edits/{bad.text('id')}/undo"))
        ends = await _ends(house, [await _append(house, name, part, part) for name, part in zip(names, parts[2:], strict=True)])
        await asyncio.sleep(10.0)
        looks = [await house.send("GET", f"/edits/{edit.text('id')}") for edit in (slow, bad)]
        return undone, ends, looks, [_split(await house.text(name)) for name in names]

    undone, ends, looks, found = house.run(play)
    for answer, look, end, text, due in zip(undone, looks, ends, found, parts[2:], strict=True):
        sees = f"an edit is undone while it is made ({answer.told}), and 10 s later it is {look.text('status')!r}"
        told = (answer.status // 100, look.text("status"))
        wrong = int(told != (2, "undone") and (answer.status, told[1]) != (409, "failed"))
        expect("not_undone", wrong, at_most=0, unit="edits", code="not-undone", sees=sees, about="/undo")
        sees = f"an edit is undone while it is made, and its paragraph is in the document: {[part[-20:] for part in text]}"
        expect("made_anyway", int(len(text) > 2), at_most=0, unit="edits", code="not-undone", sees=sees, about="/undo")
        sees = f"an edit is undone while it is made, and the next of its document is {end.text('status')!r}"
        wrong = int(end.text("status") != "done" or text[-1:] != [due])
        expect("lost", wrong, at_most=0, unit="edits", code="lost-edits", sees=sees, about="append")


def test_whoever_lives_makes_the_edits_of_the_dead(scene, incident):
    """A replica dies for good; what it has accepted is made by another."""
    rng = scene.rng("dead")
    house, names, parts = _house(scene, incident, rng, documents=2, edits=4, replicas=2, median=rng.uniform(1.0, 2.0))

    async def play():
        await _documents(house, names)
        edits = [await _append(house, names[at % 2], part, f"{at}") for at, part in enumerate(parts)]
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        house.replicas[0].crash()
        await _ends(house, edits, to=1)
        return [await house.text(name, to=1) for name in names]

    _all_made(house, parts, house.run(play), "were accepted by a replica that died, while another lives")


def test_an_edit_touches_nothing_else(scene, incident):
    """An edit changes its paragraph, and no other that looks like it."""
    rng = scene.rng("alike")
    house, names, parts = _house(scene, incident, rng, documents=2, edits=3)
    rule = incident.Rule.make(rng)
    longer = f"{parts[0]} Or more."
    alike = f"{parts[2]} Or more."

    async def play():
        await house.put(names[0], [longer, alike, parts[0], "The end."])
        await house.put(names[1], [parts[1], "The end."])
        replace = {"document": names[0], "kind": "replace", "arguments": {"paragraph": parts[0], "by": parts[2]}}
        edits = [await house.send("POST", "/edits", key="0", json=replace)]
        edits += [await _append(house, names[1], parts[1], "1"), await _append(house, names[0], rule.paragraph, "2")]
        await _ends(house, edits)
        replaced, appended = _split(await house.text(names[0])), _split(await house.text(names[1]))
        answer = await house.ask(rule.question)
        texts = []
        for _ in range(2):
            await house.send("POST", f"/edits/{edits[1].text('id')}/undo")
            await asyncio.sleep(15.0)
            texts.append(_split(await house.text(names[1])))
        await house.send("POST", f"/edits/{edits[0].text('id')}/undo")
        await asyncio.sleep(15.0)
        return replaced, appended, answer, texts, _split(await house.text(names[0]))

    replaced, appended, answer, (undone, again), back = house.run(play)
    sees = f"one paragraph is replaced, and the document says {' / '.join(part[-12:] for part in replaced)}"
    wrong = int(replaced != [longer, alike, parts[2], "The end.", rule.paragraph])
    expect("wrong_text", wrong, at_most=0, unit="documents", code="wrong-edit", sees=sees, about="replace")
    sees = f"a paragraph that is there already is appended, and the document has {appended.count(parts[1])} of it"
    wrong = int(appended != [parts[1], "The end.", parts[1]])
    expect("not_appended", wrong, at_most=0, unit="documents", code="wrong-edit", sees=sees, about="append")
    sees = f"a rule was appended, and who asks for it is told: {answer.text('answer')[:60]}"
    wrong = int(f" {rule.euros} euros" not in answer.text("answer"))
    expect("not_found", wrong, at_most=0, unit="answers", code="stale", sees=sees, about=("append", "/ask"))
    sees = f"that is undone, and the document has {undone.count(parts[1])} of it, {' / '.join(part[-12:] for part in undone)}"
    wrong = int(undone != [parts[1], "The end."])
    expect("wrong_undo", wrong, at_most=0, unit="documents", code="wrong-undo", sees=sees, about="/undo")
    sees = f"a replaced paragraph is put back, and the document says {' / '.join(part[-12:] for part in back)}"
    wrong = int(back != [longer, alike, parts[0], "The end.", rule.paragraph])
    expect("not_put_back", wrong, at_most=0, unit="documents", code="wrong-undo", sees=sees, about="/undo")
    sees = f"an edit is undone once more, and the document, which had {len(undone)} paragraphs, has {len(again)}"
    expect("undone_again", int(again != undone), at_most=0, unit="documents", code="wrong-undo", sees=sees, about="/undo")


def test_an_edit_belongs_to_its_tenant(scene, incident):
    """Two tenants, one name, one key: two edits."""
    rng = scene.rng("tenants")
    house, (name, _), parts = _house(scene, incident, rng, documents=2, edits=2)
    tenants = [f"tenant-{number}" for number in rng.sample(range(1000), 2)]

    async def play():
        for tenant in tenants:
            await house.put(name, [f"This is {tenant}."], tenant=tenant)
        edits = [await _append(house, name, part, "one", tenant=who) for who, part in zip(tenants, parts, strict=True)]
        await asyncio.sleep(15.0)
        looks = []
        for at, tenant in enumerate(tenants):
            audit = (await house.send("GET", f"/documents/{name}/edits", tenant=tenant)).rows()
            stranger = await house.send("GET", f"/edits/{edits[1 - at].text('id')}", tenant=tenant)
            looks.append((_split(await house.text(name, tenant=tenant)), [row.get("id") for row in audit], stranger))
        return edits, looks

    edits, looks = house.run(play)
    for tenant, part, edit, (found, audit, stranger) in zip(tenants, parts, edits, looks, strict=True):
        sees = f"two tenants edit documents of one name with one key, and {tenant} has {[text[:30] for text in found]}: its own is {part[:30]!r}"
        wrong = int(found != [f"This is {tenant}.", part])
        expect("wrong_text", wrong, at_most=0, unit="documents", code="wrong-tenant", sees=sees, about="/edits")
        whose = sorted({entry.tenant for entry in house.calls(part)} - {tenant})
        sees = f"{tenant} has made an edit, and that is on the bill of {whose}"
        expect("wrong_bill", len(whose), at_most=0, code="wrong-tenant", sees=sees, about="/edits")
        sees = f"{tenant} has made one edit, and its history has {len(audit)}, or that of somebody else"
        wrong = int(audit != [edit.text("id")])
        expect("wrong_history", wrong, at_most=0, code="wrong-tenant", sees=sees, about="GET /documents")
        sees = f"{tenant} asks after the edit of somebody else, and is answered {stranger.told}"
        expect("told", int(stranger.status != 404), at_most=0, code="wrong-tenant", sees=sees, about="GET /edits")


def test_the_key_of_an_edit_is_as_good_as_that_of_an_order(scene, incident):
    """One key, one edit: another with it is refused."""
    rng = scene.rng("keys")
    house, (name, elsewhere), parts = _house(scene, incident, rng, documents=2, edits=2)

    async def play():
        await _documents(house, [name, elsewhere])
        first = await _append(house, name, parts[0], "one")
        edit = {"document": name, "kind": "append", "arguments": {"paragraph": parts[1]}}
        others = [await house.send("POST", "/edits", key="one", json=edit)]
        edit = {"document": elsewhere, "kind": "append", "arguments": {"paragraph": parts[0]}}
        others.append(await house.send("POST", "/edits", key="one", json=edit))
        again = {"arguments": {"paragraph": f" {parts[0]}\n"}, "sent_at": 1.0, "kind": "append", "document": name}
        same = await house.send("POST", "/edits", key="one", json=again)
        await asyncio.sleep(MADE_WITHIN)
        return first, others, same, _split(await house.text(name))

    first, others, same, found = house.run(play)
    for what, other in zip(("another", "one of another document"), others, strict=True):
        sees = f"an edit has the key of {what}, and is answered {other.told}, not 422"
        expect("reused", int(other.status != 422), at_most=0, unit="edits", code="key-reused", sees=sees, about="POST /edits")
    sees = f"an edit is sent again with its key, in other white space, and is answered {same.told}, or has another id"
    wrong = int((same.status, same.text("id")) != (202, first.text("id")))
    expect("another_edit", wrong, at_most=0, unit="edits", code="made-twice", sees=sees, about="POST /edits")
    sees = f"one edit was accepted, and {MADE_WITHIN:.0f} s later the document has {len(found)} paragraphs, not 2"
    expect("wrong_text", int(found != [f"This is {name}.", parts[0]]), at_most=0, code="made-twice", sees=sees, about="POST /edits")


def test_an_edit_overwrites_no_save(scene, incident):
    """A document is saved while an edit of it is made: what was saved is not lost."""
    rng = scene.rng("saves")
    median = rng.uniform(2.5, 4.0)
    slow, slower = (
        faults.brown_out(0.0, 500.0, factor, when=lambda call, at=at: parts[at].encode() in call.body)
        for at, factor in ((3, 3.0), (4, 6.0))
    )
    house, (name, other), parts = _house(
        scene, incident, rng, documents=2, edits=5, replicas=2, median=median, fails=[slow, slower]
    )

    async def play():
        await house.put(other, [parts[1]])  # its vector is known from now on
        await house.put(name, [parts[0]])
        edit = await _append(house, name, parts[2], "one")
        await asyncio.sleep(rng.uniform(0.8, 1.8))  # the vector of what is appended is under way
        saved = await house.put(name, parts[:2], to=1)
        (end,) = await _ends(house, [edit])
        await asyncio.sleep(5.0)
        first = saved.ended < edit.asked + median, saved, end, _split(await house.text(name))
        saving = asyncio.create_task(house.put(other, [parts[1], parts[3]], to=1))  # takes long
        await asyncio.sleep(1.0)
        edit = await _append(house, other, parts[4], "two")  # takes longer
        saved = await saving
        house.replicas[1].crash()  # so it is the other one that makes the edit, and has read what was before
        (end,) = await _ends(house, [edit])
        return first, saved, end, _split(await house.text(other))

    (before, saved, end, found), *second = house.run(play)
    sees = f"a document is saved while an edit of it is made ({saved.told}), and then it lacks what was saved"
    lost = sum(part not in found for part in parts[:2])
    expect("save_lost", lost, at_most=0, unit="paragraphs", code="lost-update", sees=sees, about=("PUT", "/edits"))
    sees = f"a document is saved while an edit of it is made ({saved.told}), and the edit is not in it, but {end.text('status')!r}"
    # who saves when the edit is done replaces that, too; but its vector takes as long as this
    lost = int(before and (parts[2] not in found or end.text("status") != "done"))
    expect("edit_lost", lost, at_most=0, unit="edits", code="lost-edits", sees=sees, about=("PUT", "/edits"))
    saved, end, found = second
    lost = [part[-20:] for part in (parts[3], parts[4]) if part not in found]
    sees = f"a document is saved ({saved.told}) at one replica while a slower edit is made at another ({end.text('status')!r})"
    sees = f"{sees}, and then it lacks {lost}"
    expect("slow_save_lost", len(lost), at_most=0, unit="paragraphs", code="lost-update", sees=sees, about=("PUT", "/edits"))


def test_a_new_kind_needs_no_edit_of_the_service(scene, incident, probes):
    """A kind that is registered later is queued, made, undone."""
    rng = scene.rng("kinds")
    kind = f"mark-{incident.word(rng)}"
    house, names, parts = _house(scene, incident, rng, documents=2, edits=3, median=rng.uniform(0.5, 1.5))
    word, marks = incident.word(rng), [rng.choice("<[{"), rng.choice(">]}")]

    async def play():
        replica = house.replicas[0]
        for name in names:
            await house.put(name, [f"Here is {word}."])
        await house.put(names[0], [f"Here is {word}."], tenant="somebody-else")
        await replica.probe(probes.register, kind)
        order = {"document": names[0], "kind": kind, "arguments": {"word": word, "marks": marks, "times": 2}}
        first = await house.send("POST", "/edits", key="first", json=order)
        sees = f"a new kind of edit is registered, one is sent, and that is answered {first.told}"
        expect("not_accepted", int(first.status != 202), at_most=0, unit="edits", code="not-accepted", sees=sees, about=kind)
        await _append(house, names[0], parts[0], "0")
        replica.crash()
        await asyncio.sleep(1.0)
        await replica.start()
        await _append(house, names[0], parts[1], "1", tenant="somebody-else")
        other = await _append(house, names[1], parts[1], "1")
        (elsewhere,) = await _ends(house, [other])  # before the new process knows the new kind
        await asyncio.sleep(MADE_WITHIN)  # its worker has seen what it does not know
        waits = await house.send("GET", f"/edits/{first.text('id')}")
        mine, theirs = await house.text(names[0]), await house.text(names[0], tenant="somebody-else")
        await replica.probe(probes.register, kind)
        (end,) = await _ends(house, [first])
        made = await house.text(names[0])
        audit = (await house.send("GET", f"/documents/{names[0]}/edits")).rows()
        undo = await house.send("POST", f"/edits/{first.text('id')}/undo")
        await _ends(house, [await _append(house, names[0], parts[2], "2")])
        await asyncio.sleep(5.0)
        return first, elsewhere, waits, mine, theirs, end, made, audit, undo, await house.text(names[0])

    first, elsewhere, waits, mine, theirs, end, made, audit, undo, after = house.run(play)
    sees = f"an edit waits for a replica that knows its kind, and one of another document is {elsewhere.text('status')!r}"
    expect("held_up", int(elsewhere.text("status") != "done"), at_most=0, unit="edits", code="held-up", sees=sees, about="append")
    sees = "an edit waits for a replica that knows its kind, and the next of its document is made before it"
    expect("overtaken", int(parts[0] in mine), at_most=0, unit="edits", code="disorder", sees=sees, about=kind)
    sees = "an edit waits for a replica that knows its kind, and so does one of another tenant's document of that name"
    expect("strangers_wait", int(parts[1] not in theirs), at_most=0, unit="edits", code="held-up", sees=sees, about="append")
    sees = f"an edit waits for a replica that knows its kind, and is {waits.text('status')!r} meanwhile"
    expect("not_queued", int(waits.text("status") != "queued"), at_most=0, unit="edits", code="lost-edits", sees=sees, about=kind)
    sees = f"the new process has learnt the new kind, and the edit is {end.text('status')!r}"
    expect("not_done", int(end.text("status") != "done"), at_most=0, unit="edits", code="lost-edits", sees=sees, about=kind)
    due = f"Here is {marks[0] * 2}{word}{marks[1] * 2}."
    sees = f"an edit of a new kind is made, and the document says {made[:60]!r} instead of {due!r}"
    expect("wrong_text", int(not made.startswith(due)), at_most=0, code="lost-edits", sees=sees, about=kind)
    told = [(row.get("id"), row.get("kind")) for row in audit][:1]
    sees = f"an edit of a new kind is made, and the document's history begins with {told}"
    expect("no_history", int(told != [(first.text("id"), kind)]), at_most=0, code="no-history", sees=sees, about=f"{names[0]}/edits")
    sees = f"an edit of a new kind is undone ({undo.told}), and the document says {after[:60]!r}"
    wrong = int(_split(after) != [f"Here is {word}.", parts[0], parts[2]])
    expect("not_undone", wrong, at_most=0, code="wrong-undo", sees=sees, about="/undo")


def _house(scene, incident, rng, *, documents, edits, **rest):
    """A house, names of documents, and paragraphs to be appended."""
    names = [incident.word(rng) for _ in range(documents)]
    return incident.House(scene, **rest), names, incident.paragraphs(incident.rules(rng, edits))


async def _documents(house, names):
    for name in names:
        await house.put(name, [f"This is {name}."])


async def _append(house, name, paragraph, key, **rest):
    edit = {"document": name, "kind": "append", "arguments": {"paragraph": paragraph}}
    answer = await house.send("POST", "/edits", key=key, json=edit, **rest)
    sees = f"an edit is sent, and that is answered {answer.told}: {str(answer.body)[:60]}"
    wrong = int(answer.status != 202 or not answer.text("id"))
    expect("not_accepted", wrong, at_most=0, unit="edits", code="not-accepted", sees=sees, about="POST /edits")
    return answer


async def _ends(house, edits, *, to=0):
    """Ask after edits until all have ended, or it has taken too long."""
    until = house.sim.now + WITHIN
    ends = {}
    while len(ends) < len(edits):
        for number, edit in enumerate(edits):
            if number not in ends:
                look = await house.send("GET", f"/edits/{edit.text('id')}", to=to)
                if look.text("status") in ENDS or look.status not in (0, 200) or house.sim.now > until:
                    ends[number] = look
        await asyncio.sleep(1.0)
    return [ends[number] for number in range(len(edits))]


def _split(text):
    return [part for part in text.split("\n\n") if part]


def _all_made(house, parts, texts, what, due=None):
    """All are in the documents, once and in order."""
    found = [_split(text) for text in texts]
    whole = [part for each in found for part in each]
    lost, twice = sum(part not in whole for part in parts), sum(whole.count(part) > 1 for part in parts)
    sees = f"{len(parts)} edits {what}: {lost} are not there after {WITHIN:.0f} s, and {twice} made twice"
    expect("lost", lost, at_most=0, unit="edits", code="lost-edits", sees=sees, story=house.story())
    expect("made_twice", twice, at_most=0, unit="edits", code="made-twice", sees=sees, story=house.story())
    due = due or [parts[at :: len(texts)] for at in range(len(texts))]
    wrong = sum([part for part in each if part in parts] != want for each, want in zip(found, due, strict=True))
    sees = f"{len(parts)} edits {what}, and {wrong} documents have them in another order"
    expect("disorder", wrong, at_most=0, unit="documents", code="disorder", sees=sees, story=house.story())
