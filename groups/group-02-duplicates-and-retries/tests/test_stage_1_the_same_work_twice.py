"""Stage 1, the same work, twice: content hashing, request deduplication, and the singleton.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import json
import unicodedata

import pytest

from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(1)


@pytest.mark.pattern("content-hashing")
def test_what_is_saved_again_costs_nothing(scene, incident):
    """A document that is saved again as it was costs nothing."""
    rng = scene.rng("saves")
    house = incident.House(scene, replicas=2)
    rules = incident.rules(rng, rng.randrange(8, 14))

    async def play():
        await _saved(house, "tariff", rules)
        await _saved(house, "tariff", rules)
        await _saved(house, "tariff", rules, to=1)
        await house.stop()
        await house.start()
        return house.sim.now, await _saved(house, "tariff", rules)

    restarted, _ = house.run(play)
    _embedded_once(house, rules)
    again = sum(len(house.calls(rule.paragraph, path=incident.EMBED, since=restarted)) for rule in rules)
    sees = f"the replicas are started anew, and {again} paragraphs that are known are embedded and billed again"
    expect("forgotten", again, at_most=0, unit="paragraphs", code="made-again", sees=sees, about="PUT", since=restarted)


@pytest.mark.pattern("content-hashing")
def test_an_edit_costs_what_it_changes(scene, incident):
    """Of 40 paragraphs one is changed, and one is embedded."""
    rng = scene.rng("edit")
    house = incident.House(scene, replicas=2)
    rules = incident.rules(rng, 40)
    at = rng.randrange(5, 35)
    changed = rules[at].at(str(rng.randrange(1000, 9999)))
    edited = [*rules[:at], changed, *rules[at + 1 :]]
    first = incident.Rule.make(rng)

    async def play():
        await _saved(house, "tariff", rules)
        moments = [house.sim.now]
        await _saved(house, "tariff", edited, to=1)
        moments.append(house.sim.now)
        await _saved(house, "tariff", [first, *edited])
        moments.append(house.sim.now)
        parts = incident.paragraphs([first, *edited])
        parts = [part.replace(" ", rng.choice(["  ", "\t", " "])) + rng.choice(["", " ", "\n"]) for part in parts]
        text = "\r\n\r\n".join(parts)
        answer = await house.send("PUT", "/documents/tariff", json={"text": text})
        sees = f"a document is saved with other white space, and that is answered {answer.told}"
        expect("not_saved", int(answer.status != 200), at_most=0, code="lost-answers", sees=sees, about="PUT")
        moments.append(house.sim.now)
        return moments, await house.ask(changed.question, to=1), text, await house.text("tariff")

    moments, answer, text, kept = house.run(play)
    for what, begin, end in zip(
        ("one of 40 paragraphs is changed", "one is put before them all", "the white space between words is changed"),
        moments, moments[1:], strict=False,
    ):  # fmt: skip
        made = sum(entry.path == incident.EMBED and begin <= entry.arrived < end for entry in house.provider.log)
        sees = f"{what}, and {made} paragraphs are embedded and billed"
        expect("embedded", made, at_most=2, unit="paragraphs", code="made-again", sees=sees, about="PUT", since=begin)
    sees = f"a document is saved with other white space, and what is kept is not what was saved: {kept[:50]!r}"
    other = int(kept.replace("\r\n", "\n") != text.replace("\r\n", "\n"))
    expect("not_as_saved", other, at_most=0, unit="documents", code="lost-answers", sees=sees, about="PUT")
    made = len(house.calls(changed.paragraph, path=incident.EMBED))
    sees = "a paragraph is changed, and is not embedded: nobody finds what it says now"
    expect("not_embedded", made, at_least=1, unit="paragraphs", code="stale", sees=sees, about="PUT", since=moments[0])
    said = " ".join(answer.text("answer").split())
    sees = f"a price was changed to {changed.euros}, and a traveller is told: {said[:90]}"
    wrong = int(f" {changed.euros} euros" not in said)
    expect("stale", wrong, at_most=0, unit="answers", code="stale", sees=sees, about="/ask")


@pytest.mark.pattern("content-hashing")
def test_the_same_in_another_spelling_is_the_same(scene, incident):
    """NFC and NFD of a paragraph are one paragraph."""
    rng = scene.rng("spelling")
    house = incident.House(scene)
    rules = incident.rules(rng, 6)
    parts = [f"{rule.paragraph} Größe, Café, naïve." for rule in rules]

    async def play():
        for form in rng.sample(("NFC", "NFD"), 2):
            await house.put("tariff", [unicodedata.normalize(form, part) for part in parts])
        await house.put("copy", parts)

    house.run(play)
    _embedded_once(house, rules)


@pytest.mark.pattern("content-hashing")
def test_tenants_and_models_share_nothing(scene, incident):
    """What is another tenant's, or another model's, is made anew."""
    rng = scene.rng("tenants")
    house = incident.House(scene)
    rules = incident.rules(rng, 5)
    other = f"tenant-{rng.randrange(1000)}"

    async def play():
        both = [asyncio.create_task(_saved(house, "tariff", rules))]
        await asyncio.sleep(rng.uniform(0.05, 0.25))  # the vectors of the one are under way
        both.append(asyncio.create_task(_saved(house, "tariff", rules, tenant=other)))
        await asyncio.gather(*both)
        texts = [await house.text("tariff", tenant=tenant) for tenant in (incident.TENANT, other)]
        await house.stop()
        house.config["embed_model"] = "lark-small"
        await house.start()
        begun = house.sim.now
        await _saved(house, "tariff", rules)
        return texts, begun, await house.ask(rules[0].question)

    texts, begun, answer = house.run(play)
    lost = sum(any(rule.paragraph not in text for rule in rules) for text in texts)
    sees = f"two tenants save documents of one name at one moment, and {lost} of them have nothing then"
    expect("lost", lost, at_most=0, unit="documents", code="shared", sees=sees, about="PUT")
    for rule in rules:
        made = len(house.calls(rule.paragraph, path=incident.EMBED, tenant=other))
        sees = "two tenants save the same text, and the second is served from what the first has paid for"
        expect("shared", made, at_least=1, unit="calls", code="shared", sees=sees, about="PUT")
        calls = house.calls(rule.paragraph, path=incident.EMBED, since=begun)
        made = sum(entry.model == "lark-small" for entry in calls)
        sees = "there is a new model for vectors, and a paragraph keeps the vector of the old one: they cannot be compared"
        expect("old_model", made, at_least=1, unit="calls", code="stale", sees=sees, about="PUT", since=begun)
    sees = f"with the new model, a question is answered {answer.told}: {answer.text('answer')[:60]}"
    wrong = int(f" {rules[0].euros} euros" not in answer.text("answer"))
    expect("wrong_answer", wrong, at_most=0, unit="answers", code="stale", sees=sees, about="/ask")
    worst = max(len(house.calls(rule.paragraph, path=incident.EMBED)) for rule in rules)
    sees = f"one paragraph of two tenants and two models is embedded {worst} times"
    expect("made", worst, at_most=3, unit="times", code="made-again", sees=sees, about="PUT")


@pytest.mark.pattern("content-hashing")
def test_fingerprint_knows_what_is_the_same(scene, incident, probes):
    """fingerprint: the same for the same, another for another."""
    rng = scene.rng("fingerprints")
    word, number = incident.word, rng.randrange(2, 1000)
    a, b, c = word(rng), word(rng), word(rng)
    base = {"document": f"{a} é {b}", "options": {"words": number, "tone": [c, None, True, {"n": 1}]}, "n": [1, number]}
    turned = {
        "n": [1.0, number], "options": {"tone": [c, None, True, {"n": 1}], "words": float(number)},
        "document": f" {a}\té\n\u00a0{b} ",
    }  # fmt: skip
    nfd = json.loads(json.dumps(base))
    nfd["document"] = unicodedata.normalize("NFD", base["document"])
    volatile = json.loads(json.dumps(base))
    volatile |= {"sent_at": rng.random(), "request_id": word(rng)}
    volatile["options"]["trace_id"] = word(rng)
    volatile["options"]["tone"][3]["sent_at"] = word(rng)
    same = {
        "with its keys in another order, other white space, and 1.0 for 1": turned,
        "in NFD": nfd,
        "with the volatile fields": volatile,
    }
    others = [
        [a + b, c], [a, b + c], [a, [b, c]], [[a, b], c], [a, b, c], [b, a, c], f"{a} {b} {c}", f"{a}{b}{c}", f'["{a}"]', [a],
        {"a": [a], "b": []}, {"a": [], "b": [a]}, {"a": a}, {a: "a"}, {"a": {"a": a}}, {"a": f'{{"a": "{a}"}}'},
        number, str(number), number + 0.5, -number, 1, True, "1", 0, False, None, "", [], {}, [None], {"a": None}, "None", "null",
        a.upper(), a, f"{a}é", f"{a}e", f"{a}²", f"{a}2", 2**60, 2**60 + 1, 0.25, 0.2500001, {"id": a}, {"id": b}, {"document_id": a}, {"document_id": b}, [number, b], [str(number), b], {"document": a, "model": b}, {"document": a, "model": c},
    ]  # fmt: skip
    texts = [json.dumps(each, ensure_ascii=False) for each in (base, *same.values(), *others)]
    house = incident.House(scene, replicas=2)

    async def play():
        return [await replica.probe(probes.fingerprints, texts) for replica in house.replicas]

    seen, elsewhere = house.run(play)
    story = [(0.0, f"{text[:64]} has {str(name)[:24]}") for text, name in zip(texts, seen["plain"], strict=True)]
    for told, name in zip(same, seen["plain"][1:], strict=False):
        sees = f"a payload has another fingerprint when it comes {told}"
        wrong = int(name != seen["plain"][0])
        expect("not_the_same", wrong, at_most=0, code="not-the-same", sees=sees, story=story[:4])
    names = seen["plain"][1 + len(same) :]
    twins = [(x, y) for x in range(len(names)) for y in range(x) if names[x] == names[y]]
    told = [json.dumps(others[at]) for pair in twins[:1] for at in pair]
    sees = f"{' and '.join(told)} have one fingerprint: one of them gets what was made for the other"
    story = [(0.0, f"{json.dumps(others[at])[:60]} has {str(names[at])[:24]}") for pair in twins[:4] for at in pair]
    expect("collisions", len(twins), at_most=0, unit="pairs", code="collision", sees=sees, story=story)
    wrong = seen["plain"] != seen["tuples"]
    expect("tuples", int(wrong), at_most=0, code="not-the-same", sees="a tuple and a list have other fingerprints", story=story)
    story = [(0.0, f"{t[:40]}: {str(x)[:20]}, elsewhere {str(y)[:20]}")
             for t, x, y in zip(texts, seen["plain"], elsewhere["plain"], strict=True)]  # fmt: skip
    sees = "another process has other fingerprints: after a restart, nothing is known any more"
    wrong = int(seen["plain"] != elsewhere["plain"])
    expect("unstable", wrong, at_most=0, code="unstable", sees=sees, story=story)
    shortest = min((len(str(name)) for name in seen["plain"] if set(str(name)) <= set("0123456789abcdefABCDEF")), default=0)
    sees = f"a fingerprint has {shortest} hexadecimal digits: two texts may have one by chance, or by intent"
    expect("digits", shortest, at_least=32, unit="digits", code="too-short", sees=sees, story=story)


@pytest.mark.pattern("request-deduplication")
def test_who_asks_the_same_at_once_is_answered_at_once(scene, incident):
    """Twenty ask the same at once: the model is asked once."""
    rng = scene.rng("travellers")
    house = incident.House(scene, median=rng.uniform(1.0, 2.0))
    rules = incident.rules(rng, 3)
    count = rng.randrange(12, 20)
    other, twin = f"tenant-{rng.randrange(1000)}", f"twin-{rng.randrange(1000)}"
    elsewhere = rules[0].at(str(rng.randrange(1000, 9999)))

    async def play():
        await _saved(house, "tariff", rules)
        await _saved(house, "tariff", [elsewhere], tenant=other)
        await _saved(house, "tariff", rules, tenant=twin)
        begun = house.sim.now

        async def late(seconds, rule, **rest):
            await asyncio.sleep(seconds)
            return await house.ask(rule.question, **rest)

        asked = [late(rng.uniform(0.0, 0.5), rules[0]) for _ in range(count)]
        asked.append(late(0.3, rules[0], tenant=twin))
        answers = await asyncio.gather(*asked, late(0.3, rules[1]), late(0.2, rules[0], tenant=other))
        await asyncio.sleep(1.0)
        return begun, answers, house.sim.now, await house.ask(rules[0].question)

    begun, (*same, another, others), again, last = house.run(play)
    due = [*[(answer, rules[0]) for answer in same], (another, rules[1]), (others, elsewhere), (last, rules[0])]
    wrong = [(answer, rule) for answer, rule in due if f" {rule.euros} euros" not in answer.text("answer")]
    sees = "; ".join(f"{rule.question} {answer.told}, {answer.text('answer')[:60]}" for answer, rule in wrong[:1])
    expect("wrong_answers", len(wrong), at_most=0, unit="answers", code="wrong-answer", sees=sees, about="/ask")
    for path, what in ((incident.CHAT, "the model is asked"), (incident.EMBED, "the question is embedded")):
        calls = house.calls(rules[0].question, path=path, since=begun, tenant=incident.TENANT)
        made = sum(entry.arrived < again for entry in calls)
        sees = f"{count} travellers ask the same at once, and {what} {made} times, and billed as often"
        expect("calls", made, at_most=1, unit="calls", code="asked-twice", sees=sees, about="/ask")
    for path in (incident.CHAT, incident.EMBED):
        for tenant in (other, twin):
            made = len(house.calls(rules[0].question, path=path, since=begun, tenant=tenant))
            sees = f"two tenants ask the same at once, and one of them pays for both: no call is made for {tenant} ({path})"
            expect("own_calls", made, at_least=1, unit="calls", code="shared", sees=sees, about="/ask")
    made = len(house.calls(rules[0].question, path=incident.CHAT, since=again))
    sees = "a second after the answer somebody asks again, and the model is not: he gets what was said to others"
    expect("asked_again", made, at_least=1, unit="calls", code="remembered", sees=sees, about="/ask", since=again)


@pytest.mark.pattern("request-deduplication")
def test_who_asks_after_an_edit_hears_of_it(scene, incident):
    """Who asks after an edit does not get what was true before."""
    rng = scene.rng("edits")
    rules = incident.rules(rng, 3)
    changed = rules[1].at(str(rng.randrange(1000, 9999)))
    slow = faults.brown_out(5.0, 500.0, rng.uniform(25.0, 40.0), when=lambda call: call.path == incident.CHAT)
    house = incident.House(scene, replicas=2, fails=[slow])

    async def play():
        for _ in range(3):  # so it has a newer version than the other
            await house.put("notes", [incident.Rule.make(rng).paragraph])
        await _saved(house, "tariff", rules)
        await house.sim.until(6.0)
        before = asyncio.create_task(house.ask(rules[1].question))
        await asyncio.sleep(0.5)  # the rules were read
        await _saved(house, "tariff", [rules[0], changed, rules[2]], to=1)
        after = await house.ask(changed.question)
        await before
        return after

    after = house.run(play)
    said = after.text("answer")
    sees = f"a price is changed to {changed.euros}, a replica confirms it, and who asks another then is told: {said[:80]}"
    wrong = int(f" {changed.euros} euros" not in said)
    expect("stale", wrong, at_most=0, unit="answers", code="stale", sees=sees, about=("PUT", "GET /ask"))
    calls = len(house.calls(rules[1].question, path=incident.EMBED))
    sees = f"the question is embedded {calls} times"
    expect("calls", calls, at_least=1, unit="calls", code="no-work", sees=sees, about="/ask")


@pytest.mark.pattern("request-deduplication")
def test_a_failure_is_shared_and_forgotten(scene, incident):
    """A failure goes to all who wait, and to nobody after."""
    rng = scene.rng("failure")
    heals = 12.0
    status = rng.choice((400, 503))
    tries = 3 if status == 503 else 1  # of one call, in clients.py: what is refused would be refused again
    lame = faults.failing(4.0, heals, status, when=lambda call: call.path == incident.CHAT)
    house = incident.House(scene, median=1.5, fails=[lame])
    rules = incident.rules(rng, 3)
    count = rng.randrange(6, 10)

    async def play():
        await _saved(house, "tariff", rules)
        await house.sim.until(4.5)
        failed = await asyncio.gather(*(house.ask(rules[0].question) for _ in range(count)))
        made = len(house.calls(rules[0].question, path=incident.CHAT))
        await house.sim.until(heals + 0.5)
        return failed, made, await house.ask(rules[0].question)

    failed, made, after = house.run(play)
    sees = f"{count} travellers ask the same at once, the model cannot be asked, and it is tried {made} times"
    expect("calls", made, at_most=tries, unit="calls", code="asked-twice", sees=sees, about="/ask")
    told = sorted({answer.told for answer in failed})
    sees = f"the model cannot be asked, and those who waited are told {', '.join(told)}"
    wrong = sum(answer.status not in (502, 503, 504) for answer in failed)
    expect("not_told", wrong, at_most=0, unit="answers", code="wrong-ending", sees=sees, about="/ask")
    sees = f"the model is well again, and who asks now is told {after.told}: the failure was kept"
    wrong = int(f" {rules[0].euros} euros" not in after.text("answer"))
    expect("remembered", wrong, at_most=0, unit="answers", code="remembered", sees=sees, about="/ask", since=heals)


@pytest.mark.pattern("request-deduplication")
def test_coalesce_is_fair(scene, incident, probes):
    """coalesce: one work for 50, whoever of them is cancelled."""
    rng = scene.rng("coalesce")
    seconds = rng.uniform(1.0, 3.0)
    names = [f"{incident.word(rng)}" for _ in range(2)]
    gone = rng.randrange(1, 20)
    house = incident.House(scene)

    async def play():
        probe, coalesced = house.replicas[0].probe, probes.coalesced
        return [
            await probe(coalesced, 50, names, seconds, "ends", gone, rng.choice((0.0, 1.0))),
            await probe(coalesced, 50, names[:1], seconds, "fails", 0, rng.choice((0.0, 1.0))),
        ]

    cancelled, failed = house.run(play)
    for seen, asked in ((cancelled, names), (failed, names[:1])):
        made = max(seen["made"].values())
        sees = f"50 ask at once for {len(asked)} things, and one of them is made {made} times"
        expect("made", made, at_most=1, unit="times", code="asked-twice", sees=sees, story=seen["story"])
        told = [f"LookupError {name} 2" if seen is failed else f"{name} 2" for name in asked]
        sees = f"who asks when all is over gets {seen['later'][0]}: what was made for others"
        wrong = int(seen["later"] != told)
        expect("remembered", wrong, at_most=0, unit="results", code="remembered", sees=sees, story=seen["story"])
    for at, got in enumerate(cancelled["got"]):
        due = "cancelled" if at < gone else f"{names[at % 2]} 1"
        sees = f"{gone} of 50 callers are cancelled, and caller {at} gets {got} where {due} is due"
        expect("wrong_results", int(got != due), at_most=0, unit="results", code="taken-along", sees=sees, story=cancelled["story"])
    most = cancelled["most"]
    sees = "one work waits for another that it has nothing to do with"
    expect("together", most, at_least=2, unit="works", code="one-by-one", sees=sees, story=cancelled["story"])
    lost = sum(got != f"LookupError {names[0]} 1" for got in failed["got"])
    sees = f"the work fails, and {lost} of 50 who waited for it do not hear of it"
    expect("not_told", lost, at_most=0, unit="callers", code="wrong-ending", sees=sees, story=failed["story"])


@pytest.mark.pattern("singleton")
def test_the_configuration_is_loaded_once(scene, incident):
    """Each replica loads its configuration once."""
    rng = scene.rng("config")
    house = incident.House(scene, replicas=2)
    rules = incident.rules(rng, 3)

    async def play():
        await asyncio.gather(*(house.send("GET", "/ask?q=anything", to=at) for at in range(8)))
        for at in range(2):
            await _saved(house, "tariff", rules, to=at)
        loaded = len(house.config_calls)
        house.config_is_down = 1000
        return loaded, [await house.ask(rule.question, to=at) for at, rule in enumerate(rules)]

    loaded, answers = house.run(play)
    sees = f"two replicas start, eight requests come at once, then two, and the configuration is loaded {loaded} times"
    expect("loaded", loaded, at_most=2, unit="times", code="made-again", sees=sees, about="GET")
    expect("loaded_at_all", loaded, at_least=1, unit="times", code="no-work", sees="the configuration is not asked for", about="GET")
    lost = sum(answer.status != 200 for answer in answers)
    sees = f"the configuration service is down, which nobody needs any more, and {lost} of 3 questions fail"
    expect("lost", lost, at_most=0, unit="answers", code="lost-answers", sees=sees, about="/ask")


@pytest.mark.pattern("singleton")
def test_a_failed_load_is_not_kept(scene, incident):
    """Where the configuration cannot be loaded, it is tried again."""
    rng = scene.rng("config")
    house = incident.House(scene)
    rules = incident.rules(rng, 2)
    house.config["embed_model"] = "lark-small"  # not what anybody would take for granted

    async def play():
        house.config_is_down = 1000
        early = [await house.put("tariff", incident.paragraphs(rules)) for _ in range(2)]
        house.config_is_down = 0
        loads = len(house.config_calls)
        saved = [await house.put("tariff", incident.paragraphs(rules)) for _ in range(3)]
        return early, saved, len(house.config_calls) - loads

    early, saved, loads = house.run(play)
    told = [answer.told for answer in early]
    sees = f"the configuration service is down, and requests end with {', '.join(told)}"
    wrong = sum(answer.status != 503 for answer in early)
    expect("wrong_endings", wrong, at_most=0, unit="answers", code="wrong-ending", sees=sees, about="PUT")
    lost = sum(answer.status != 200 for answer in saved)
    sees = f"the configuration service is well again, and {lost} of 3 requests still fail: {saved[-1].told}"
    expect("lost", lost, at_most=0, unit="answers", code="failure-kept", sees=sees, about="PUT")
    sees = f"the configuration service is well again, and for 3 requests it is loaded {loads} times"
    expect("loaded", loads, at_most=1, unit="times", code="made-again", sees=sees, about="PUT")
    models = {entry.model for entry in house.provider.log}
    sees = f"the configuration says lark-small, and the vectors are made with {', '.join(sorted(models))}"
    expect("made_up", int(models != {"lark-small"}), at_most=0, code="made-up", sees=sees, about="PUT")


@pytest.mark.pattern("singleton")
def test_once_is_once(scene, incident, probes):
    """Once makes one thing for 8 threads, and keeps no failure."""
    rng = scene.rng("once")
    threads, seconds, failing = 8, rng.uniform(0.1, 1.0), rng.randrange(1, 4)
    value = incident.word(rng)
    house = incident.House(scene)

    async def play():
        probe = house.replicas[0].probe
        return (
            await probe(probes.once, threads, seconds, 0), await probe(probes.once, 1, seconds, failing),
            await probe(probes.overridden, value, rng.random() < 0.5),
        )  # fmt: skip

    good, failed, overridden = house.run(play)
    for seen, due in ((good, 1), (failed, failing + 1)):
        story = seen["story"]
        sees = "it is made before anybody has asked for it: an import is enough to call the configuration service"
        expect("early", seen["early"], at_most=0, unit="times", code="too-early", sees=sees, story=story)
        sees = f"{threads} threads ask at once, and it is made {seen['made']} times, where {due} is due"
        expect("made", seen["made"], at_most=due, unit="times", code="made-again", sees=sees, story=story)
        sees = f"those who asked have {seen['things']} things: what one of them changes, the others never see"
        expect("things", seen["things"], at_most=1, unit="things", code="made-again", sees=sees, story=story)
        sees = f"making it failed at first ({due - 1} times), and who asks later does not get it: {seen['failed']} have failed"
        expect("failure_kept", int(not seen["last"]), at_most=0, code="failure-kept", sees=sees, story=story)
        expect("failed", seen["failed"], at_most=due - 1, unit="callers", code="failure-kept", sees=sees, story=story)
    due = {"inside": value, "thread": value, "nested": None, "again": value, "made_inside": 0, "after": "made 1", "made": 1}
    story = [(0.0, f"{name}: {said!r}, due {due[name]!r}") for name, said in overridden.items()]
    wrong = [name for name, said in due.items() if overridden.get(name) != said]
    sees = f"override({value!r}): {', '.join(f'{name} {overridden.get(name)!r}' for name in wrong)}"
    expect("wrong_override", len(wrong), at_most=0, code="wrong-override", sees=sees, story=story)


@pytest.mark.pattern("singleton")
def test_one_lock_for_one_name(scene, incident, probes):
    """lock_for: one lock for one name, and none that nobody needs."""
    rng = scene.rng("locks")
    names = [incident.word(rng) for _ in range(3)]
    seconds = rng.uniform(0.5, 2.0)
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.locks, 12, names, seconds, 200))
    story = seen["story"]
    sees = f"{seen['most']} are inside the lock of one name at once: each has a lock of his own"
    expect("inside", seen["most"], at_most=1, unit="callers", code="no-lock", sees=sees, story=story)
    sees = "one name waits for the lock of another"
    expect("together", seen["together"], at_least=2, unit="names", code="one-by-one", sees=sees, story=story)
    sees = f"one caller raised, another was cancelled as he waited, and {seen['waiting']} others wait for ever"
    expect("waiting", seen["waiting"], at_most=0, unit="callers", code="lock-kept", sees=sees, story=story)
    expect("done", seen["done"], at_least=10, unit="callers", code="lock-kept", sees=sees, story=story)
    for what in ("locks", "names"):
        sees = f"200 names were locked and let go, and {seen[what]} {what} are still there"
        expect(what, seen[what], at_most=20, unit=what, code="never-forgotten", sees=sees, story=story)


async def _saved(house, name, rules, **rest):
    answer = await house.put(name, [rule.paragraph for rule in rules], **rest)
    sees = f"a document is saved, and that is answered {answer.told}"
    expect("not_saved", int(answer.status != 200), at_most=0, code="lost-answers", sees=sees, about="PUT")
    return answer


def _embedded_once(house, rules):
    """Every paragraph was embedded, and billed, once."""
    path = "/v1/embeddings"
    least = min(len(house.calls(rule.paragraph, path=path)) for rule in rules)
    sees = "a paragraph is saved and never embedded: nobody finds it"
    expect("not_embedded", least, at_least=1, unit="times", code="no-work", sees=sees, about="PUT")
    again = sum(max(0, len(house.calls(rule.paragraph, path=path)) - 1) for rule in rules)
    sees = f"{len(rules)} paragraphs are saved again, unchanged, and {again} of them are embedded and billed again"
    expect("embedded_again", again, at_most=0, unit="paragraphs", code="made-again", sees=sees, about="PUT")
