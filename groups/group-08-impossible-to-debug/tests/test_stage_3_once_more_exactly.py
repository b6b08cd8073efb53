"""Stage 3, once more, exactly: replayable execution and black-box debugging.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import json
import math

import pytest
from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(3)


def rule_breaks(due):
    """Of {what: (right, got)}: what is not right, and a story of all."""
    wrong = [f"{what}: {_short(got)}, where {_short(right)} is right" for what, (right, got) in due.items() if got != right]
    return wrong, [(float(at), f"{what}: {_short(got)}") for at, (what, (_, got)) in enumerate(due.items())]


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 160 else f"{text[:160]}…"


@pytest.mark.pattern("replayable-execution")
def test_a_journal_repeats_a_run(scene, incident, probes):
    """A run that is replayed gets what it got then, and calls nobody; where it is another, that step is named."""
    rng = scene.rng("journal")
    house = incident.House(scene)
    values = [incident.word(rng) for _ in range(2)]
    secret = f"sk-{incident.word(rng)}"
    seen = house.probe(probes.journals, values, secret)
    first, again = seen["first"], seen["again"]
    steps = json.dumps(seen["steps"])
    named = sorted(str(step.get("name")) for step in seen["steps"])
    told = {step["name"]: step for step in seen["steps"]}
    due = {
        "recorded, the failing step says": (f"ConnectionError: no {secret} {values[0]}", first[3]),
        "the steps and draws that are kept": (sorted(["chance", "clock", "ask", "ask", "ask", "then", "breaks"]), named),
        "a step keeps what went in and what came out": (
            [{"at": 7, "given": "x"}, {"of": ["then", 7, values[0]], "list": [1, 2]}],
            [told.get("then", {}).get(key) for key in ("input", "output")],
        ),
        "a failed step keeps its error": (f"no [mask] {values[0]}", told.get("breaks", {}).get("error")),
        "a secret is in what is kept": (False, secret in steps),
        "replayed, the drawn values are": (first[0], again[0]),
        "replayed, the steps that ran at the same time give": (first[1], again[1]),
        "replayed, the step behind them gives": (first[2], again[2]),
        "replayed, the failing step says": (f"Failed: no [mask] {values[0]}", again[3]),
        "replayed, who is called": ([], seen["worked"]),
        "replayed, the steps are": (sorted(named), sorted(seen["same steps"])),
        "replayed once more, it is": (again, seen["twice"]),
        "a step that gets another input": ("ask", seen["diverged"][0]),
        "a step that there was not": ("new", seen["diverged"][1]),
        "a step that is done once more than then": ("then", seen["diverged"][2]),
        "a draw that is made once more than then": ("chance", seen["diverged"][3]),
    }
    wrong, story = rule_breaks(due)
    sees = f"{len(wrong)} of {len(due)} rules do not hold: {(wrong or [''])[0]}"
    expect("wrong_rules", len(wrong), at_most=0, unit="rules", code="not-repeated", sees=sees, story=story)


@pytest.mark.pattern("replayable-execution")
def test_a_run_is_repeated_when_all_has_changed(scene, incident):
    """Days later, with other documents, prompts and settings, and everybody down: what was answered then is answered again."""
    rng = scene.rng("runs")
    marker = incident.word(rng)
    down = faults.failing(0, 1e7, 500, when=lambda call: marker.encode() in call.body)
    later = faults.unreachable(100_000, 1e7)
    house = incident.House(scene, fails=[down, later])
    house.tools.fares["KL0001"] = house.codes[0]
    house.tools.broken.add("KL0001")
    house.tools.more = {"access_token": incident.word(rng)}
    card = incident.card(rng)
    asks = [(house.bookings[at % 3], incident.TOPICS[topic][0]) for at, topic in enumerate(incident.TOPICS)]
    asks += [(house.bookings[0], f"My card is {card}. {incident.TOPICS['bags'][0]}")]
    failing = [("KL0001", incident.TOPICS["pets"][0]), (house.bookings[1], f"{incident.TOPICS['pets'][0]} {marker}")]

    async def play():
        answers = await house.ask_all([*asks, *failing], gap=0.05)
        await house.publish("{nobody} knows this. {fare}")
        answers.append(await house.ask(house.bookings[0], incident.TOPICS["pets"][0]))
        await asyncio.sleep(5.0)
        records = [await house.record(answer.run) for answer in answers]
        await house.publish(incident.BAD_PROMPT)
        for code in house.codes:
            await house.save(code, changes=1, pets=2, bags=3, seats=4)
        await house.send("PUT", "/config", json={"window": 60, "max_tokens": 2})
        await house.desk.stop()
        await house.sim.skip(days=3)
        house.tools.fares = dict.fromkeys(house.tools.fares, house.codes[-1])
        house.tools.broken, house.tools.more = set(house.tools.fares), {}
        await house.desk.start()
        before = house.calls
        replays = [await house.replay(answer.run) for answer in answers]
        twice = await house.replay(answers[0].run)
        await asyncio.sleep(30.0)
        return answers, records, replays, twice, house.calls - before

    answers, records, replays, twice, calls = house.run(play)
    done = [(answer, replay) for answer, replay in zip(answers, replays, strict=True) if answer.status == 200]
    sees = f"{len(asks)} questions can be answered, and {len(done)} are"
    expect("not_answered", abs(len(asks) - len(done)), at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")
    off = [(a, r) for a, r in done if (r.text, r.body.get("reference")) != (a.text, a.body.get("reference"))]
    first = off[0] if off else done[0]
    what = f"“{first[1].text}”" if first[1].text else f"nothing ({first[1].told} {first[1].body.get('status') or ''})".replace(" )", ")")
    sees = f"of {len(done)} answers, {len(off)} are not the same when they are replayed: “{first[0].text}” becomes {what}"
    story = [(a.asked % 1000, f"{a.text} {a.body.get('reference')} → {r.text or r.told} {r.body.get('reference')}") for a, r in done]
    expect("not_repeated", len(off), at_most=0, unit="answers", code="not-repeated", sees=sees, about="/replay", story=story)
    sees = f"{len(answers) + 1} runs are replayed, and the desk calls others {calls} times for that"
    expect("calls", calls, at_most=0, unit="calls", code="asks-again", sees=sees, about="/replay")
    failed = [(record, replay) for record, replay in zip(records, replays, strict=True) if record.body.get("status") == "failed"]
    sees = f"three runs have failed, and {len(failed)} records say so"
    expect("not_failed", abs(len(failed) - 3), at_most=0, unit="runs", code="unexplained", sees=sees, about="/runs")
    off = [(a, r) for a, r in failed if r.body.get("status") != "failed" or r.body.get("error") != a.body.get("error")]
    told = f"“{off[0][0].body.get('error')}” becomes “{off[0][1].body.get('error') or ''}”" if off else ""
    sees = f"of three runs that failed, {len(off)} do not fail in the same way when they are replayed: {told}"
    expect("fail_otherwise", len(off), at_most=0, unit="runs", code="not-repeated", sees=sees, about="/replay")
    named = sum(replay.body.get("diverged") is not None or replay.status != 200 for replay in replays)
    sees = f"of {len(replays)} replays with nothing changed, {named} are said to be others"
    expect("diverged", named, at_most=0, unit="replays", code="not-repeated", sees=sees, about="/replay")
    sees = f"a run is replayed twice: “{replays[0].text}”, and then “{twice.text}”"
    expect("not_twice", int(replays[0].body != twice.body), at_most=0, code="not-repeated", sees=sees, about="/replay")


@pytest.mark.pattern("replayable-execution")
def test_a_replay_says_where_it_becomes_another(scene, incident):
    """With another prompt, a run is the same up to the model; and that is said, not asked."""
    house = incident.House(scene)
    booking, question = house.bookings[0], incident.TOPICS["seats"][0]

    async def play():
        other = await house.publish(incident.HARMLESS_PROMPT)
        mine = await house.publish(incident.HOUSE_PROMPT)
        answer = await house.ask(booking, question)
        record = await house.record(answer.run)
        before = house.calls
        same = await house.replay(answer.run, json={"prompt": mine.body.get("version")})
        changed = await house.replay(answer.run, json={"prompt": other.body.get("version")})
        unknown = await house.replay("no-such-run")
        await asyncio.sleep(5.0)
        listed = await house.send("GET", "/runs")
        return answer, record, same, changed, unknown, house.calls - before, len(listed.rows("runs"))

    answer, record, same, changed, unknown, calls, runs = house.run(play)
    expect("not_answered", int(answer.status != 200), at_most=0, code="not-answered",
           sees=f"a question is answered {answer.told}", about="POST /ask")  # fmt: skip
    sees = f"a run is replayed with the prompt that it had: “{same.text or same.told}” instead of “{answer.text}”"
    expect("not_repeated", int(same.text != answer.text), at_most=0, code="not-repeated", sees=sees, about="/replay")
    step = str(changed.body.get("diverged"))
    inputs = [json.dumps(each.get("input")) for each in record.rows("steps") if each.get("name") == step]
    told = any("airline" in text and question in text for text in inputs)
    said = f"from “{step}” on" if changed.body.get("diverged") else f"nowhere ({changed.told})"
    sees = f"a run is replayed with another prompt, and it is another one {said}: it is where the model is asked"
    expect("not_named", int(not told), at_most=0, code="no-divergence", sees=sees, about="/replay")
    sees = f"a run is replayed with another prompt, and is said to have answered “{changed.text}”"
    expect("made_up", int(bool(changed.text)), at_most=0, code="no-divergence", sees=sees, about="/replay")
    sees = f"three replays call others {calls} times"
    expect("calls", calls, at_most=0, unit="calls", code="asks-again", sees=sees, about="/replay")
    sees = f"one question was asked, its run is replayed, and GET /runs has {runs} runs"
    expect("more_runs", abs(runs - 1), at_most=0, unit="runs", code="has-effects", sees=sees, about="/replay")
    sees = f"a run that there is not is replayed, and that is answered {unknown.told}"
    expect("wrong_status", int(unknown.status != 404), at_most=0, code="wrong-status", sees=sees, about="/replay")


@pytest.mark.pattern("black-box-debugging")
def test_one_of_many_is_to_blame(scene, incident, probes):
    """What makes the difference is found in few questions, however many things differ; and nobody is blamed without cause."""
    rng = scene.rng("cases")
    house = incident.House(scene)
    names = [incident.word(rng) for _ in range(9)]
    cases, most = [], []

    def case(size, differ, never=False):
        mine = rng.sample(names, size)
        changed = rng.sample(mine, differ)
        good = {name: rng.choice([f"{incident.word(rng)}", {"of": rng.randrange(99)}, [rng.randrange(9)]]) for name in mine}
        bad = {name: ["other", value] if name in changed else json.loads(json.dumps(value)) for name, value in good.items()}
        cases.append([good, bad, rng.choice(changed) if changed else None, never])
        most.append(math.ceil(math.log2(differ)) + 1 if differ else 0)

    for size, differ in ((5, 5), (5, 5), (5, 4), (5, 3), (5, 2), (5, 1), (9, 8), (9, 9), (9, 6), (1, 1), (5, 0), (0, 0)):
        case(size, differ)
    case(5, 3, never=True)
    case(5, 1, never=True)
    seen = house.probe(probes.blamed, cases)
    wrong, many, odd, story = [], [], 0, []
    for (good, bad, cause, never), limit, (found, asked, sensible) in zip(cases, most, seen, strict=True):
        differ = sum(good[name] != bad[name] for name in good)
        due = None if never else cause
        what = f"{differ} of {len(good)} inputs differ, and {'it does not happen again' if never else due or 'nothing'} is to blame"
        story.append((float(len(story)), f"{what}: {found} after {asked} questions"))
        wrong += [f"{what}; found is {found}"] if found != due else []
        many += [f"{what}; {asked} questions, {limit} are agreed"] if asked > limit else []
        odd += not sensible
    sees = f"of {len(cases)} cases, {len(wrong)} blame another, or nobody: {(wrong or [''])[0]}"
    expect("wrongly_blamed", len(wrong), at_most=0, unit="cases", code="wrong-cause", sees=sees, story=story)
    sees = f"of {len(cases)} cases, {len(many)} take more questions than agreed: {(many or [''])[0]}"
    expect("too_many", len(many), at_most=0, unit="cases", code="too-many-questions", sees=sees, story=story)
    sees = f"in {odd} cases, somebody asks with inputs that are of neither run"
    expect("made_up", odd, at_most=0, unit="cases", code="wrong-cause", sees=sees, story=story)


@pytest.mark.pattern("black-box-debugging")
def test_the_hidden_fault_is_named(scene, incident):
    """Five things change, one of them for the worse: it is named, after four questions at most, and nobody gets a mail."""
    rng = scene.rng("faults")
    house = incident.House(scene)
    causes = rng.sample(incident.FACTORS, len(incident.FACTORS))
    base = dict(house.tools.fares)

    async def one(cause):
        mischief = incident.Mischief(house, cause, rng.choice(house.bookings), rng.choice(list(incident.TOPICS)))
        good = await house.ask(mischief.booking, mischief.question, user=house.user(rng))
        await mischief.happen()
        bad = await house.ask(mischief.booking, mischief.question, user=house.user(rng))
        await house.publish(incident.HOUSE_PROMPT)  # all of it is taken back before anybody asks
        for code in house.codes:
            await house.save(code)
        await house.send("PUT", "/config", json={"window": 4000, "max_tokens": 80})
        house.tools.fares, house.tools.more = dict(base), {}
        asked, mails = len(house.provider.log), len(house.tools.mails)
        found = await house.send("POST", "/diagnose", json={"good": good.run, "bad": bad.run})
        await asyncio.sleep(2.0)
        calls, mails = len(house.provider.log) - asked, len(house.tools.mails) - mails
        return cause, good, bad, found, calls, mails

    async def play():
        return [await one(cause) for cause in causes]

    seen = house.run(play)
    silent = [answer.told for _, good, bad, *_ in seen for answer in (good, bad) if answer.status != 200]
    sees = f"of {2 * len(seen)} questions, {len(silent)} are not answered: {', '.join(sorted(set(silent)))}"
    expect("not_answered", len(silent), at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")
    same = [cause for cause, good, bad, *_ in seen if good.text == bad.text]
    sees = f"something goes wrong, and it makes no difference to the answer: {', '.join(same)}"
    expect("no_difference", len(same), at_most=0, unit="faults", code="not-answered", sees=sees, about="POST /ask")
    story = [(bad.asked % 1000, f"{cause}: “{good.text}” became “{bad.text}”; blamed is {found.body.get('cause') or 'nobody'}")
             for cause, good, bad, found, _, _ in seen]  # fmt: skip
    wrong = [f"{cause} is to blame, and {found.body.get('cause') or 'nobody'} is named"
             for cause, _, _, found, _, _ in seen if found.status != 200 or found.body.get("cause") != cause]  # fmt: skip
    sees = f"of {len(seen)} faults, {len(wrong)} are not named: {(wrong or [''])[0]}"
    expect("not_named", len(wrong), at_most=0, unit="faults", code="cause-unknown", sees=sees, about="/diagnose", story=story)
    most = max(calls for *_, calls, _ in seen)
    sees = f"to find one of five causes, the model is asked {most} times"
    expect("asked", most, at_most=4, unit="questions", code="too-many-questions", sees=sees, about="/diagnose", story=story)
    mails = sum(mails for *_, mails in seen)
    sees = f"{len(seen)} causes are looked for, and travellers get {mails} mails because of that"
    expect("mails", mails, at_most=0, unit="mails", code="has-effects", sees=sees, about="/diagnose", story=story)


@pytest.mark.pattern("black-box-debugging")
def test_nobody_is_blamed_without_cause(scene, incident):
    """Where nothing differs, or the model itself was at fault, none of the five is named."""
    wrong_model = faults.wrong_citation(50.0, 60.0)
    house = incident.House(scene, fails=[wrong_model])
    mischief = incident.Mischief(house, "the model", house.bookings[0], "bags")

    async def play():
        first = await house.ask(mischief.booking, mischief.question)
        second = await house.ask(mischief.booking, mischief.question, user="somebody@example.org")
        before = len(house.provider.log)
        same = await house.send("POST", "/diagnose", json={"good": first.run, "bad": second.run})
        asked = len(house.provider.log) - before
        await mischief.happen()
        await house.sim.until(50.5)
        bad = await house.ask(mischief.booking, mischief.question)
        await house.sim.until(70.0)
        before = len(house.provider.log)
        model = await house.send("POST", "/diagnose", json={"good": first.run, "bad": bad.run})
        unknown = await house.send("POST", "/diagnose", json={"good": first.run, "bad": "no-such-run"})
        return (first, second, bad), same, asked, model, len(house.provider.log) - before, unknown

    answers, same, asked, model, again, unknown = house.run(play)
    told = [answer.told for answer in answers]
    lost = sum(answer.status != 200 for answer in answers)
    sees = f"three questions are answered {', '.join(told)}"
    expect("not_asked", lost, at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")
    sees = "the model cites another source, and the traveller is told the same as before"
    expect("unmoved", int(answers[0].text == answers[2].text), at_most=0, code="not-answered", sees=sees, about="POST /ask")
    silent = sum(reply.status != 200 for reply in (same, model))
    sees = f"two times somebody asks what is to blame, and that is answered {same.told} and {model.told}"
    expect("not_answered", silent, at_most=0, unit="questions", code="cause-unknown", sees=sees, about="/diagnose")
    told = [reply.body.get("cause") for reply in (same, model)]
    wrong = sum(cause is not None for cause in told)
    sees = f"nothing differs, and {told[0] or 'nobody'} is blamed; the model was at fault for a while, and {told[1] or 'nobody'} is"
    expect("blamed", wrong, at_most=0, unit="cases", code="wrong-cause", sees=sees, about="/diagnose")
    sees = f"nothing differs, and the model is asked {asked} times; it was at fault itself, and is asked {again} times"
    expect("asked", asked + max(0, again - 4), at_most=0, unit="questions", code="too-many-questions", sees=sees, about="/diagnose")
    sees = f"a run that there is not is to be looked at, and that is answered {unknown.told}"
    expect("wrong_status", int(unknown.status != 404), at_most=0, code="wrong-status", sees=sees, about="/diagnose")
