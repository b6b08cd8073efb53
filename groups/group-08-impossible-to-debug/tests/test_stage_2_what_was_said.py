"""Stage 2, what was said: input / output logging and prompt versioning.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import hashlib
import json
import re
from urllib.parse import quote

import pytest
from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(2)

BYTES = 5_000  # that a run may leave on the disk


def rule_breaks(due):
    """Of {what: (right, got)}: what is not right, and a story of all."""
    wrong = [f"{what}: {_short(got)}, where {_short(right)} is right" for what, (right, got) in due.items() if got != right]
    return wrong, [(float(at), f"{what}: {_short(got)}") for at, (what, (_, got)) in enumerate(due.items())]


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 160 else f"{text[:160]}…"


@pytest.mark.pattern("input-output-logging")
def test_secrets_are_found_however_they_are_written(scene, incident, probes):
    """Keys and card numbers are masked, in five encodings; what only looks like one stays, and so does all around it."""
    rng = scene.rng("secrets")
    house = incident.House(scene)
    key = f"sk-{incident.word(rng)}-{rng.randrange(10**8):08}"
    card, order = incident.card(rng), incident.card(rng, valid=False)
    spaced = " ".join(card[at : at + 4] for at in range(0, 16, 4))
    year = f"20{rng.randrange(27, 40)}"
    before, behind = incident.word(rng), incident.word(rng)
    hidden = {}  # what -> [value, what must be gone, what must stay]
    for secret in (key, card):
        for how, text in incident.encodings(secret).items():
            name = "a key" if secret == key else "a card"
            hidden[f"{name} {how}"] = [f"{before} {text} {behind}", text, [before, behind]]
            hidden[f"{name} {how}, deep inside"] = [{"list": [1, {"said": f"{before} {text}"}]}, text, [before]]
    hidden["a card with spaces"] = [f"{before} {spaced}, {behind}", spaced, [before, behind]]
    hidden["a card with dashes"] = [f"it is {spaced.replace(' ', '-')}.", spaced.replace(" ", "-"), ["it is"]]
    hidden["a card with spaces, percent-encoded"] = [f"{before} q={quote(spaced)} {behind}", quote(spaced), [before, behind]]
    hidden["a key in capital hex"] = [f"{before} {key.encode().hex().upper()}", key.encode().hex().upper(), [before]]
    hidden["a card and its month"] = [f"{before} {spaced} {rng.randrange(1, 13):02}/{year[2:]} {behind}", spaced, [before, behind]]
    hidden["a card behind numbers"] = [f"{before}: 2 for 120 {card} {behind}", card, [before, behind]]
    hidden["a card before a year"] = [f"{before} {spaced} {year}", spaced, [before]]
    hidden["JSON in a string"] = [{"body": json.dumps({"a": before, "password": behind})}, behind, [before]]
    hidden["a name that says it"] = [{"Authorization": behind, "other": before}, behind, [before]]
    hidden["a name deep inside"] = [{"x": [{"access_token": {"is": behind}}], "y": before}, behind, [before]]
    stay = {
        "an order number": f"order {order} of {before}",
        "a short number": "4111 and 2026-01-10",
        "digits in a word": f"run {before[:2]}{card}{behind[:2]} of {before}",
        "an address": f"write to {before}.{behind}@example.org, please",
        "prices": "120 150 180 200 210 or 95 40 35 20 15 10 5",
        "words": f"{before} {behind}, 100 % sure; a/b+c=d {before}{behind}{before}{behind}{before}",
        "numbers and nothing": [1, 2.5, None, True, {"tokens": 7}],
        "base64 of words": incident.encodings(f"{before} {behind} {before}")["in base64"],
    }
    users = [house.user(rng) for _ in range(4)]
    values = [value for value, _, _ in hidden.values()] + list(stay.values())
    seen = house.probe(probes.cleaned, [key, "another-secret"], values, users)
    left = seen["left"]
    story = [(float(at), f"{what}: {_short(text)}") for at, (what, (text, _)) in enumerate(zip([*hidden, *stay], left, strict=True))]
    leaks = [what for (what, (_, gone, _)), (text, _) in zip(hidden.items(), left, strict=False)
             if gone in text or json.dumps(gone)[1:-1] in text]  # fmt: skip
    sees = f"of {len(hidden)} secrets, {len(leaks)} can still be read: {', '.join(leaks[:4])}"
    expect("leaks", len(leaks), at_most=0, unit="secrets", code="secrets-logged", sees=sees, story=story)
    lost = [what for (what, (_, _, kept)), (text, _) in zip(hidden.items(), left, strict=False) if not all(k in text for k in kept)]
    lost += [what for (what, value), (text, _) in zip(stay.items(), left[len(hidden) :], strict=True)
             if text != json.dumps(value, sort_keys=True)]  # fmt: skip
    sees = f"what is no secret, or stands beside one, is lost in {len(lost)} of {len(values)}: {', '.join(lost[:4])}"
    expect("lost", len(lost), at_most=0, unit="values", code="over-redacted", sees=sees, story=story)
    again = sum(not same for _, same in left)
    sees = f"of {len(values)} values, {again} become something else when they are cleaned again"
    expect("not_stable", again, at_most=0, unit="values", code="not-stable", sees=sees, story=story)
    names = seen["names"]
    story = [(0.0, f"{user}: {', '.join(each)}") for user, each in zip(users, names, strict=True)]
    apart = len({first for first, _, _ in names})
    sees = f"{len(users)} users have {apart} pseudonyms, and {sum(a != b for a, b, _ in names)} another one in another process"
    expect("not_joinable", len(users) - apart + sum(a != b for a, b, _ in names), at_most=0, code="not-joinable",
           sees=sees, story=story)  # fmt: skip
    plain = sum(first == third or user.split("@")[0] in first for user, (first, _, third) in zip(users, names, strict=True))
    sees = f"whoever has a list of all users finds out whose {plain} of {len(users)} pseudonyms are: no secret is in them"
    expect("found_out", plain, at_most=0, unit="users", code="no-pseudonym", sees=sees, story=story)


@pytest.mark.pattern("input-output-logging")
def test_a_long_text_is_capped_and_known(scene, incident, probes):
    """Of a long text the beginning is kept, and enough to recognise the whole."""
    rng = scene.rng("texts")
    house = incident.House(scene)
    most = rng.randrange(20, 200)
    texts = ["", "é" * most, "é" * (most + 1), incident.word(rng) * most]
    seen = house.probe(probes.caps, texts, most)
    due = {
        f"{len(text)} characters, where {most} are agreed": (
            {"text": text[:most], "length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}, got,
        )
        for text, got in zip(texts, seen, strict=True)
    }  # fmt: skip
    wrong, story = rule_breaks(due)
    sees = f"of {len(texts)} texts, {len(wrong)} are capped otherwise. {(wrong or [''])[0]}"
    expect("wrong_caps", len(wrong), at_most=0, unit="texts", code="wrong-cap", sees=sees, story=story)


def explained(house, record, entry, booking):
    """What a record lacks of what is needed to say why: compared with what the model has seen."""
    if record.status != 200:
        return [f"everything: GET /runs/… is answered {record.told}"]
    body = record.body
    steps = json.dumps(body.get("steps") or [], ensure_ascii=False).replace("\\", "")  # be it JSON in JSON
    fare = house.tools.fares.get(booking, "?")
    asked = [line for line in (entry.prompt if entry else "").splitlines() if line]
    lacks = ["the prompt, word by word"] if not all(line in steps for line in asked) else []
    lacks += ["what the model said"] if entry and entry.answer and entry.answer not in steps else []
    lacks += ["the model"] if body.get("model") != "lark-small" else []
    lacks += ["max_tokens"] if not isinstance(body.get("max_tokens"), int) else []
    lacks += ["the window"] if not isinstance(body.get("window"), int) else []
    lacks += ["the prompt's version"] if not record.table("prompt").get("version") else []
    if entry:
        versions = {str(each.get("id")): each.get("version") for each in record.rows("documents")}
        lacks += ["the documents"] if not versions.get(house.ident(fare)) or not all(versions.values()) else []
        lacks += ["what the bookings said"] if not re.search(rf'"fare":\s*"{fare}"', steps) else []
    return lacks


@pytest.mark.pattern("input-output-logging")
def test_every_run_can_be_explained(scene, incident):
    """Whatever became of a question, its run says what went in and what came out; also if it failed, or nobody waited."""
    rng = scene.rng("questions")
    marker = incident.word(rng)
    down = faults.failing(0, 900, 500, when=lambda call: marker.encode() in call.body)
    house = incident.House(scene, fails=[down])
    house.tools.fares["KL0001"] = house.codes[0]
    house.tools.broken.add("KL0001")
    good, question = house.bookings, incident.TOPICS["changes"][0]
    asks = [(good[0], question, 60.0), (good[1], incident.TOPICS["pets"][0], 60.0), ("KL0001", question, 60.0),
            (good[0], f"{question} ({marker})", 60.0), (good[2], question, 0.15)]  # fmt: skip

    async def play():
        answers, entries = [], []
        for at, (booking, text, patience) in enumerate(asks):
            if at == 3:  # a document and the settings are others by then
                await house.save(house.codes[0], seats=999)
                await house.send("PUT", "/config", json={"window": 3900, "max_tokens": 70})
            before = len(house.provider.log)
            answers.append(await house.ask(booking, text, timeout=patience))
            under_way = (await house.send("GET", "/runs")).rows("runs")[-1:]  # the last one, while the model is asked
            await asyncio.sleep(3.0)
            entries.append(next(iter(house.provider.log[before:]), None))
        listed = await house.send("GET", "/runs")
        runs = [str(row.get("id")) for row in listed.rows("runs")]
        records = [await house.record(run) for run in (*runs, *[""] * 5)[:5]]
        return answers, entries, runs, records, await house.record("no-such-run"), listed, under_way

    answers, entries, runs, records, unknown, listed, under_way = house.run(play)
    has = f"has {len(runs)} of them" if listed.status == 200 else f"says {listed.told}"
    sees = f"{len(asks)} questions were asked, and GET /runs {has}"
    expect("not_listed", len(asks) - len(runs), at_most=0, unit="runs", code="no-record", sees=sees, about="/runs")
    what = ("a question that is answered", "another one", "one at which the bookings fail", "one at which the model fails",
            "one whose traveller hangs up")  # fmt: skip
    lacking = {}
    for name, (booking, _, _), entry, record in zip(what, asks, entries, records, strict=True):
        lacking[name] = explained(house, record, entry, booking) if name != what[2] else []
    when = [answer.asked for answer in answers]
    story = [(at, f"{name} lacks {', '.join(each) or 'nothing'}") for at, (name, each) in zip(when, lacking.items(), strict=True)]
    wrong = {name: each for name, each in lacking.items() if each}
    first = next(iter(wrong), "")
    sees = f"{len(wrong)} of {len(asks)} runs cannot be explained: {first} lacks {', '.join(wrong.get(first, []))}"
    expect("unexplained", len(wrong), at_most=0, unit="runs", code="unexplained", sees=sees, about="/runs/", story=story)
    told = [[record.body.get(name) for name in ("window", "max_tokens")] for record in (records[0], records[3])]
    sees = f"the window and max_tokens were 4000 and 80, then 3900 and 70; the records of then and now say {told[0]} and {told[1]}"
    expect("other_settings", int(told != [[4000, 80], [3900, 70]]), at_most=0, code="unexplained", sees=sees, about="/runs/")
    then, now = ({str(e.get("id")): e.get("version") for e in record.rows("documents")} for record in (records[0], records[3]))
    edited = {ident for ident in then if ident in now and then[ident] != now[ident]}
    sees = f"one document of {len(then)} is edited, and in the records {len(edited)} have another version than before"
    expect("other_documents", int(edited != {house.ident(house.codes[0])}), at_most=0, code="unexplained", sees=sees, about="/runs/")
    due = ["done", "done", "failed", "failed", "done"]
    got = [record.body.get("status") for record in records]
    sees = f"five runs have ended as {', '.join(due)}, and their records say {', '.join(map(str, got))}"
    expect("wrong_ends", sum(a != b for a, b in zip(due, got, strict=True)), at_most=0, unit="runs", code="unexplained",
           sees=sees, about="/runs")  # fmt: skip
    told = str(under_way[0].get("status")) if under_way and under_way[0].get("id") == runs[-1] else "nothing"
    sees = f"a question is under way, and GET /runs says {told} of it: if the desk crashed now, nobody would know of it"
    expect("not_begun", int(told != "running"), at_most=0, code="no-record", sees=sees, about="/runs")
    silent = sum(not record.body.get("error") for record in records[2:4])
    sees = f"two runs have failed, and {silent} of them do not say why"
    expect("silent", silent, at_most=0, unit="runs", code="unexplained", sees=sees, about="/runs")
    off = sum(answer.run != record.body.get("id") for answer, record in zip(answers[:4], records, strict=False))
    sees = f"of four answers, two of them errors, {off} do not name the run that the record is of"
    expect("unnamed", off, at_most=0, unit="answers", code="no-record", sees=sees, about="POST /ask")
    wrong = sum(record.body.get("answer") != answer.text for answer, record in zip(answers[:2], records, strict=False))
    sees = f"of two answers, {wrong} stand otherwise in the record"
    expect("other_answers", wrong, at_most=0, unit="answers", code="unexplained", sees=sees, about="/runs")
    expect("found", int(unknown.status != 404), at_most=0, code="wrong-status",
           sees=f"a run that there is not is answered {unknown.told}", about="/runs/no-such-run")  # fmt: skip


@pytest.mark.pattern("input-output-logging")
def test_no_secret_lies_about(scene, incident):
    """Travellers write their card numbers into their questions: these stand in no record, log, file, trace or event."""
    rng = scene.rng("secrets")
    house = incident.House(scene)
    token, order = incident.word(rng) * 3, incident.card(rng, valid=False)
    house.tools.more = {"access_token": token, "order": order}
    card = incident.card(rng)
    planted = incident.encodings(card)
    users = [house.user(rng), house.user(rng)]
    question = incident.TOPICS["changes"][0]

    async def play():
        answers, told = [], {}
        for how, text in planted.items():
            asked = f"My card is {text}. {question}"
            answers.append(await house.ask(house.bookings[0], asked, user=users[how == "in hex"]))
            told[f"a card {how}"] = answers[-1].asked
        house.tools.broken.add(house.bookings[1])
        await house.ask(house.bookings[1], f"{question} {card}", user=users[0])
        await asyncio.sleep(5.0)
        records = [await house.record(answer.run) for answer in answers]
        traces = [await house.trace(str(record.body.get("trace_id"))) for record in records]
        listed = await house.send("GET", "/runs")
        printed = house.desk.printed(5_000)
        return answers, told, records, [*records, *traces, listed], printed, house.files()

    answers, told, records, replies, printed, files = house.run(play)
    expect("not_asked", sum(answer.status != 200 for answer in answers), at_most=0, unit="answers", code="not-answered",
           sees=f"travellers mention a card, and are answered {', '.join(a.told for a in answers)}", about="POST /ask")  # fmt: skip
    places = {"what it prints": printed.encode(), **{f"the file {name}": data for name, data in files.items()}}
    places |= {"what the auditors are told": b"\n".join(house.auditors.bodies)}
    for reply in replies:
        places[f"the reply of GET {reply.path.rpartition('/')[0] or reply.path}"] = json.dumps(reply.body).encode()
    secrets = {f"a card {how}": text for how, text in planted.items()} | {"a token": token, "our key": house.key}
    secrets |= {f"a user's address ({at})": user for at, user in enumerate(users)}
    found = sorted({f"{what} in {where}" for what, text in secrets.items() for where, data in places.items()
                    if text.encode() in data or json.dumps(text)[1:-1].encode() in data})  # fmt: skip
    began = answers[0].asked
    story = sorted((next((told[what] for what in told if line.startswith(what)), began), line) for line in found)
    sees = f"{len(secrets)} secrets were planted, and they can be read in {len(found)} places: {', '.join(found[:2])}"
    expect("leaks", len(found), at_most=0, unit="places", code="secrets-logged", sees=sees, story=story, about="POST /ask")
    unexplained = sum(record.status != 200 or order not in json.dumps(record.body) for record in records)
    sees = f"of {len(records)} records, {unexplained} lack the order number, which is no secret"
    expect("unexplained", unexplained, at_most=0, unit="records", code="unexplained", sees=sees, about="/runs")
    wrong = sum(house.due(house.bookings[0], "changes") not in answer.text for answer in answers)
    sees = f"of {len(answers)} travellers who mention a card, {wrong} are answered wrongly"
    expect("not_answered", wrong, at_most=0, unit="answers", code="not-answered", sees=sees, about="POST /ask")
    names = [str(record.body.get("user") or "") for record in records]
    joined = len(set(names[:3])) == 1 and len(set(names)) == 2 and "" not in names
    sees = f"two users have asked, and in the records they are {len(set(names))}"
    expect("not_joinable", int(not joined), at_most=0, code="not-joinable", sees=sees, about="/runs")


@pytest.mark.pattern("input-output-logging")
def test_records_cost_little(scene, incident):
    """What is known of a run takes little room, though its prompt is long; and is whole all the same."""
    house = incident.House(scene, fares=2, more=400, share=0.02)
    pairs = [(house.bookings[at % 2], incident.TOPICS[("changes", "pets")[at // 2 % 2]][0]) for at in range(20)]

    async def play():
        await house.send("PUT", "/config", json={"window": 50_000})
        await house.ask_all(pairs[:6], gap=0.1)
        sizes = []
        for some in ([], pairs):
            answers = await house.ask_all(some, gap=0.05)
            await house.desk.stop()
            sizes.append(house.stored())
            await house.desk.start()
        asked = f"{pairs[-1][1]} (fare {house.tools.fares[pairs[-1][0]]})"
        entry = next((entry for entry in reversed(house.provider.log) if asked in entry.prompt), None)
        return answers, sizes[1] - sizes[0], entry, await house.record(answers[-1].run)

    answers, grown, entry, record = house.run(play)
    lost = [answer for answer in answers if answer.status != 200]
    sees = f"of {len(answers)} questions with long prompts, {len(lost)} are not answered: {lost[0].told if lost else ''}"
    expect("not_answered", len(lost) + (entry is None), at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")
    lacks = explained(house, record, entry, pairs[-1][0])
    sees = f"the last of {len(answers)} runs, of long prompts, cannot be explained: it lacks {', '.join(lacks)}"
    expect("unexplained", len(lacks), at_most=0, code="unexplained", sees=sees, about="/runs")
    a_run = grown / len(answers)
    sees = f"a run leaves {a_run:,.0f} bytes on the disk; its prompt has {len(entry.prompt):,} characters, nearly all as before"
    expect("bytes", a_run, at_most=BYTES, unit="bytes", code="too-much-kept", sees=sees, about="POST /ask")


@pytest.mark.pattern("prompt-versioning")
def test_a_version_is_a_text(scene, incident, probes):
    """A version comes from the text alone, is never changed, and can be gone back to."""
    rng = scene.rng("prompts")
    house = incident.House(scene)
    base = f"You are {incident.word(rng)}.\nToday is {{today}}. "
    texts = [base, f"{base} ", base.replace("\n", "\r\n"), base.upper()]
    name = incident.word(rng)

    async def play():
        seen = await house.desk.probe(probes.versions, texts, name)
        await house.desk.restart()
        return seen, await house.desk.probe(probes.versions, texts, f"{name}-other")

    seen, other = house.run(play, stocked=False)
    first = seen["versions"]
    unknown = "UnknownPrompt"
    due = {
        "what nobody has published is": ([unknown] * 3, seen["nothing"]),
        "four texts are so many versions": (4, len(set(first))),
        "the last that is published is in use": (True, seen["current"]),
        "one that is not to be in use is not": (True, seen["quietly"]),
        "the first text, published again, is": (first[0], seen["again"]),
        "and then in use is": (first[0], seen["back"]),
        "after going back to the second, it is": (first[1], seen["rolled"]),
        "after going back to what there is not, it is": ([unknown, first[1]], seen["unknown"]),
        "the texts are": (texts, seen["texts"]),
        "another process sees": ([first[1], texts[0]], seen["other process"]),
        "under another name, the same text is, and in use stays": ([first[0], first[1]], seen["other name"]),
        "the same texts, after a restart, are": (first, other["versions"]),
    }
    wrong, story = rule_breaks(due)
    sees = f"{len(wrong)} of {len(due)} rules do not hold: {(wrong or [''])[0]}"
    expect("wrong_rules", len(wrong), at_most=0, unit="rules", code="no-version", sees=sees, story=story)


@pytest.mark.pattern("prompt-versioning")
def test_a_prompt_is_filled_in_once(scene, incident, probes):
    """Variables are filled in, all of them, and nothing else is."""
    rng = scene.rng("prompts")
    house = incident.House(scene)
    a, b = incident.word(rng), incident.word(rng)
    missing = "raises MissingVariable"
    cases = [
        [f"{{{a}}} and {{{b}}}", {a: "1", b: "2"}, "1 and 2"],
        [f"{{{a}}} and {{{a}}}", {a: "1", "more": "2"}, "1 and 1"],
        [f"{{{a}}} and {{{b}}}", {a: f"{{{b}}}", b: "2"}, f"{{{b}}} and 2"],
        [f"{{{a}}} and {{{b}}}", {b: f"{{{a}}}", a: "1"}, f"1 and {{{a}}}"],
        [f"{{{a}}}", {a: "{today} {0} {}"}, "{today} {0} {}"],
        [f"{{{a}}} and {{{b}}}", {a: "1"}, missing],
        [f"{{{a}}}", {}, missing],
        ['Answer as {"amount": 7}, {} or {not a name}.', {}, 'Answer as {"amount": 7}, {} or {not a name}.'],
        [f"{{{a}.__class__}} {{{a}!r}} {{{a}:>9}}", {a: "1"}, f"{{{a}.__class__}} {{{a}!r}} {{{a}:>9}}"],
        [f"\\1 $1 {{{a}}}", {a: "\\g<0> $2"}, "\\1 $1 \\g<0> $2"],
        ["", {}, ""],
    ]
    seen = house.probe(probes.rendered, [case[:2] for case in cases], "answer-2")
    due = {
        f"prompt {at}, “{text}”": (right, got)
        for at, ((text, _, right), got) in enumerate(zip(cases, seen, strict=True), 1)
    }
    wrong, story = rule_breaks(due)
    sees = f"of {len(cases)} prompts, {len(wrong)} are filled in otherwise. {(wrong or [''])[0]}"
    expect("wrong_prompts", len(wrong), at_most=0, unit="prompts", code="wrongly-rendered", sees=sees, story=story)


@pytest.mark.pattern("prompt-versioning")
def test_every_run_says_which_prompt_it_had(scene, incident):
    """Prompts are published, to some users or to all, and taken back; each run says with which text it was answered."""
    rng = scene.rng("prompts")
    house = incident.House(scene)
    word_a, word_b, word_c = (incident.word(rng) for _ in range(3))
    one = f"You are {word_a}. Today is {{today}}. The fare is {{fare}}."
    two = f"You are {word_b}.  Today is {{today}}. The fare is {{fare}}."
    users = [house.user(rng) for _ in range(12)]
    booking, question = house.bookings[0], incident.TOPICS["pets"][0]

    async def ask(user):
        before = len(house.provider.log)
        answer = await house.ask(booking, question, user=user)
        return answer, house.prompt_since(before)

    async def play():
        first = await house.publish(one)
        await ask(users[0])
        again = await house.publish(f"{one} ")
        second = await house.publish(two, share=50)
        runs = [await ask(user) for user in users]
        back = await house.send("POST", "/prompts/answer/rollback", json={"version": first.body.get("version")})
        rolled = [await ask(user) for user in users[:6]]
        unknown = await house.send("POST", "/prompts/answer/rollback", json={"version": "no-such-version"})
        await house.desk.restart()
        later = await ask(users[1])
        records = [await house.record(answer.run) for answer, _ in (*runs, *rolled, later)]
        names = [str(record.table("prompt").get("version")) for record in records]
        texts = {name: (await house.send("GET", f"/prompts/answer/{name}")).body.get("text") for name in sorted(set(names))}
        await house.publish(f"You are {word_c}. {{todya}} {{fare}}")
        before = len(house.provider.log), len(house.tools.mails)
        broken = await house.ask(booking, question)
        await asyncio.sleep(1.0)
        asked = len(house.provider.log) - before[0], len(house.tools.mails) - before[1]
        return (first, again, second, back, unknown), runs, rolled, later, records, names, texts, broken, asked

    replies, runs, rolled, later, records, names, texts, broken, asked = house.run(play)
    told = [str(reply.body.get("version") or "") for reply in replies[:3]]
    sees = f"three prompts are published, and told which version they are: {', '.join(each or 'nothing' for each in told)}"
    expect("no_versions", 3 - len({each for each in told if each}), at_most=0, unit="prompts", code="no-version", sees=sees,
           about="/prompts/answer")  # fmt: skip
    off, story = 0, []
    for (_, prompt), name in zip((*runs, *rolled, later), names, strict=True):
        text = str(texts.get(name))
        parts = [part for part in text.replace("{today}", "\n").replace("{fare}", "\n").splitlines() if part.strip()]
        right = len(parts) >= 2 and all(part in prompt for part in parts)
        off += not right
        story.append((0.0, f"{'right' if right else 'wrong'}: version {name} is “{text}”, and the model saw “{prompt[:60]}”"))
    sees = f"{len(names)} questions were asked with three prompts, and {off} of their runs name another text than the model saw"
    expect("other_prompt", off, at_most=0, unit="runs", code="no-version", sees=sees, story=story)
    wrong = sum(word_a not in prompt or "}" in prompt for _, prompt in (*rolled, later))
    wrong += sum(text not in (one, f"{one} ", two) for text in texts.values())
    sees = f"the first prompt is gone back to, and {wrong} questions are asked with another one, or with other bytes"
    expect("not_rolled_back", wrong, at_most=0, unit="questions", code="no-rollback", sees=sees, story=story)
    statuses = [reply.status for reply in replies]
    sees = f"publishing, going back, and going back to what there is not are answered {', '.join(map(str, statuses))}"
    expect("wrong_status", int(statuses != [200, 200, 200, 200, 404]), at_most=0, code="wrong-status", sees=sees,
           about="/prompts/answer")  # fmt: skip
    shared = sum(word_b in prompt for _, prompt in runs)
    sees = f"a prompt is for a half of the users, and {shared} of {len(users)} get it"
    expect("shared", abs(shared - 6), at_most=5, unit="users", code="no-version", sees=sees, story=story)
    calls, mails = asked
    sees = f"a prompt names a variable that there is not, the question is answered {broken.told}, and the model is asked {calls} times"
    expect("called", int(broken.status < 500) + calls + mails, at_most=0, code="asked-anyway", sees=sees, about="POST /ask")
    sees = f"a prompt names a variable that there is not, and its answer names {'a' if broken.run else 'no'} run"
    expect("no_run", int(not broken.run), at_most=0, code="no-record", sees=sees, about="POST /ask")
