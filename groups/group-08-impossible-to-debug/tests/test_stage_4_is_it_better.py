"""Stage 4, is it better: offline evaluation, the feedback loop, the shadow.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import json

import pytest
from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(4)

ANSWER_SECONDS = 1.0  # what an answer may take on an ordinary day


def rule_breaks(due):
    """Of {what: (right, got)}: what is not right, and a story of all."""
    wrong = [f"{what}: {_short(got)}, where {_short(right)} is right" for what, (right, got) in due.items() if got != right]
    return wrong, [(float(at), f"{what}: {_short(got)}") for at, (what, (_, got)) in enumerate(due.items())]


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 160 else f"{text[:160]}…"


def golden_set(rng, word, sizes):
    """Cases, so many for each slice."""
    cases = [
        {"id": f"{name}-{at}", "slice": name, "question": f"{word(rng)}?", "expected": word(rng)}
        for name, size in sizes.items() for at in range(size)
    ]  # fmt: skip
    return rng.sample(cases, len(cases))


@pytest.mark.pattern("offline-evaluation")
def test_better_on_the_whole_is_not_enough(scene, incident, probes):
    """A candidate that loses a slice is stopped, however much it gains; the same system, asked once more, is not."""
    rng = scene.rng("golden")
    house = incident.House(scene)
    cases, due = [], []

    def outcomes(golden, share):
        return {case["id"]: rng.random() < share for case in golden}

    def add(what, passes, golden, baseline, candidate):
        due.append((what, passes))
        cases.append([golden, baseline, candidate])

    for _ in range(6):
        sizes = {"changes": rng.randrange(80, 120), "pets": rng.randrange(20, 30), "bags": rng.randrange(40, 60)}
        golden = golden_set(rng, incident.word, sizes)
        pets = [case["id"] for case in golden if case["slice"] == "pets"]
        baseline = {case["id"]: case["slice"] == "pets" or rng.random() < 0.8 for case in golden}
        lost = set(rng.sample(pets, -(-len(pets) * 35 // 100)))
        gained = [ident for ident, right in baseline.items() if not right]
        won = set(rng.sample(gained, min(len(gained), len(lost) + 5)))
        better = {ident: (right or ident in won) and ident not in lost for ident, right in baseline.items()}
        add("better on the whole, and a slice is lost", False, golden, baseline, better)
    for _ in range(14):
        sizes = {"changes": rng.randrange(60, 120), "pets": rng.randrange(20, 40), "few": 3, "fewer": 1}
        golden = golden_set(rng, incident.word, sizes)
        baseline = outcomes(golden, 0.85)
        again = {ident: right != (rng.random() < 0.03) for ident, right in baseline.items()}
        few = [case["id"] for case in golden if case["slice"] == "few"]
        baseline[few[0]], again[few[0]] = True, False
        add("the same system, asked once more", True, golden, baseline, again)
    golden = golden_set(rng, incident.word, {name: 15 for name in incident.TOPICS})
    baseline = outcomes(golden, 1.1)
    worse = {case["id"]: at % 6 != 0 for at, case in enumerate(golden)}
    add("a sixth is lost, a little in each slice", False, golden, baseline, worse)
    add("all is lost", False, golden, baseline, dict.fromkeys(baseline, False))
    add("nothing is changed", True, golden, baseline, dict(baseline))
    add("half of the cases have no result", False, golden, baseline, {i: True for at, i in enumerate(baseline) if at % 2})
    add("there are results of other cases", True, golden, {**baseline, "x": True}, {**baseline, "y": False})
    add("all is better", True, golden, dict.fromkeys(baseline, False), baseline)
    seen = house.probe(probes.gates, cases)
    verdicts = [(what, passes, got, reason) for (what, passes), (got, reason, _) in zip(due, seen, strict=True)]
    story = [(float(at), f"{what}: {'passes' if got else 'is stopped'} ({reason})") for at, (what, _, got, reason) in enumerate(verdicts)]
    let = [what for what, passes, got, _ in verdicts if got and not passes]
    sees = f"of {sum(not p for _, p in due)} candidates that are worse, {len(let)} pass: {', '.join(sorted(set(let)))}"
    expect("let_through", len(let), at_most=0, unit="candidates", code="slice-lost", sees=sees, story=story)
    stopped = [what for what, passes, got, _ in verdicts if passes and not got]
    sees = f"of {sum(p for _, p in due)} that are no worse, {len(stopped)} are stopped: {', '.join(sorted(set(stopped)))}"
    expect("stopped", len(stopped), at_most=1, unit="candidates", code="false-alarm", sees=sees, story=story)
    silent = sum("pets" not in reason for what, _, got, reason in verdicts if "slice is lost" in what and not got)
    sees = f"a slice is lost, and {silent} reasons do not name it"
    expect("silent", silent, at_most=0, unit="reasons", code="no-reason", sees=sees, story=story)
    off = 0
    for (golden, *both), (_, _, slices) in zip(cases, seen, strict=True):
        for name in {case["slice"] for case in golden}:
            mine = [case["id"] for case in golden if case["slice"] == name]
            right = [sum(results.get(ident, False) for ident in mine) / len(mine) for results in both]
            off += any(abs(a - b) > 0.001 for a, b in zip(slices.get(name, [9, 9]), right, strict=True))
    sees = f"{off} slices are said to have other shares right than they have"
    expect("wrong_shares", off, at_most=0, unit="slices", code="wrong-share", sees=sees, story=story)


@pytest.mark.pattern("offline-evaluation")
def test_the_golden_set_is_the_one_that_was_agreed_on(scene, incident, probes):
    """Whoever changes what is measured against has changed the result: it is noticed, and order is no change."""
    rng = scene.rng("golden")
    house = incident.House(scene)
    golden = golden_set(rng, incident.word, {"changes": 5, "pets": 4})
    shuffled = [dict(rng.sample(list(case.items()), len(case))) for case in rng.sample(golden, len(golden))]
    edited = [{**case, "expected": incident.word(rng)} if at == 3 else case for at, case in enumerate(golden)]
    moved = [{**case, "slice": "pets"} if case["slice"] == "changes" else case for case in golden]
    others = {"shuffled": shuffled, "one answer is edited": edited, "one case less": golden[1:], "one case twice": [*golden, golden[0]],
              "other slices": moved, "one more": [*golden, {**golden[0], "id": "new"}]}  # fmt: skip
    seen = house.probe(probes.fingerprints, golden, list(others.values()))
    due = {
        what: ([True, ""] if what == "shuffled" else [False, "GoldenChanged"], got)
        for what, got in zip(others, seen, strict=True)
    }
    wrong, story = rule_breaks(due)
    sees = f"of {len(due)} golden sets, {len(wrong)} are taken for another: {(wrong or [''])[0]}"
    expect("taken_wrongly", len(wrong), at_most=0, unit="sets", code="golden-changed", sees=sees, story=story)


@pytest.mark.pattern("offline-evaluation")
def test_a_prompt_is_tried_before_it_answers(scene, incident):
    """A prompt that costs one kind of question is stopped; one that costs none is not; and nobody gets a mail."""
    house = incident.House(scene, fares=4)
    trap = "{} with fare {{fare}} costs 1 euros."
    bags, pets = trap.format("A second suitcase"), trap.format("Bringing a pet")
    now, candidate = f"{incident.HOUSE_PROMPT} {bags}", f"{incident.HOUSE_PROMPT} {pets}"
    sizes = {"changes": 2, "bags": 22, "pets": 20}
    cases = []
    for topic, size in sizes.items():
        for at in range(size):
            booking = house.bookings[at % 4]
            question = incident.TOPICS[topic][0].replace("What", ("What", "Please say what", "And what")[at // 4 % 3])
            cases.append({"booking": booking, "question": f"{question} ({at})", "expected": house.due(booking, topic),
                          "slice": topic})  # fmt: skip

    async def play():
        await house.publish(now)
        await house.send("PUT", "/golden", json={"cases": cases})
        mails = len(house.tools.mails)
        found = await house.send("GET", "/golden")
        pinned = found.body.get("fingerprint")
        worse = await house.send("POST", "/evaluate", json={"text": candidate, "golden": pinned})
        asked = len(house.provider.log)
        await house.send("PUT", "/golden", json={"cases": cases[1:14]})
        better = await house.send("POST", "/evaluate", json={"text": incident.HOUSE_PROMPT})
        before = len(house.provider.log)
        changed = await house.send("POST", "/evaluate", json={"text": now, "golden": pinned})
        unasked = len(house.provider.log) - before
        later = await house.ask(house.bookings[0], incident.TOPICS["changes"][0])
        seen = house.prompt_since(before + unasked)
        await asyncio.sleep(2.0)
        runs = (await house.send("GET", "/runs")).rows("runs")
        house.tools.broken = set(house.bookings)
        blind = await house.send("POST", "/evaluate", json={"text": now})
        return worse, asked, better, changed, unasked, later, seen, len(house.tools.mails) - mails, found, runs, blind

    worse, asked, better, changed, unasked, later, seen, mails, found, runs, blind = house.run(play)
    expect("not_answered", int(later.status != 200), at_most=0, code="not-answered",
           sees=f"a question is answered {later.told}", about="POST /ask")  # fmt: skip
    about = "/evaluate"
    ends = {True: "passes", False: "is stopped"}.get(worse.body.get("passed"), f"is answered {worse.told}")
    sees = f"a prompt wins {sizes['bags']} questions and loses all {sizes['pets']} about pets; it {ends}"
    expect("let_through", int(worse.body.get("passed") is not False), at_most=0, code="slice-lost", sees=sees, about=about)
    sees = f"{asked} questions of the golden set are asked, and {mails - 1} mails are sent to travellers who asked nothing"
    expect("mails", mails - 1, at_most=0, unit="mails", code="has-effects", sees=sees, about=about)
    sees = f"a prompt that is better is evaluated, and stopped: {better.body.get('reason', better.told)}"
    expect("stopped", int(better.body.get("passed") is not True), at_most=0, unit="prompts", code="false-alarm", sees=sees, about=about)
    told = worse.table("slices").get("pets")
    sees = f"all questions about pets were right, and none with the candidate; what is told of that is {told}"
    expect("wrong_shares", int(told != [1.0, 0.0]), at_most=0, code="wrong-share", sees=sees, about=about)
    sees = f"the golden set is not the one that was agreed on: that is answered {changed.told}, after {unasked} questions"
    expect("changed", int(changed.status != 409) + unasked, at_most=0, code="golden-changed", sees=sees, about=about)
    listed = len(found.rows("cases"))
    sees = f"the golden set has {len(cases)} cases, and GET /golden says {listed}; there are {len(runs)} runs, of one question"
    expect("not_told", abs(len(cases) - listed) + abs(len(runs) - 1), at_most=0, code="not-told", sees=sees, about="/golden")
    sees = f"prompts were tried, and travellers are answered with one of them: “{later.text}”"
    right = house.due(house.bookings[0], "changes") in later.text and "costs 1 euros" in seen
    expect("changed_live", int(not right), at_most=0, code="live-changed", sees=sees, about="POST /ask")
    sees = "the bookings are down, no case can be asked of either prompt, and the candidate passes"
    expect("passed_blind", int(blind.body.get("passed") is True), at_most=0, code="passed-blind", sees=sees, about=about)


@pytest.mark.pattern("feedback-loop")
def test_a_thumb_becomes_a_case(scene, incident, probes):
    """Votes are counted by user, looked at by people, and become cases that are in no prompt."""
    rng = scene.rng("votes")
    house = incident.House(scene)
    words = [incident.word(rng) for _ in range(8)]
    asks = {f"run-{at}": [f"KL{at % 2}", f"What of {words[at // 2]}?", f"answer {at}"] for at in range(8)}
    asks["run-8"] = ["KL0", f" what of {words[0].upper()}?\n", "answer 8"]
    users = [f"user-{incident.word(rng)}" for _ in range(5)]
    votes = []

    def vote(run, user, up):
        votes.append([f"run-{run}", users[user], up, *asks[f"run-{run}"]])

    for run, user, up in ((0, 0, False), (0, 1, False), (0, 2, False), (2, 0, False), (2, 1, True), (2, 1, False), (4, 3, True),
                          (4, 3, False), (4, 3, True), (6, 1, True), (6, 2, True), (7, 4, True), (8, 4, False), (5, 4, True),
                          (1, 2, True)):  # fmt: skip
        vote(run, user, up)
    last = {(run, user): up for run, user, up, *_ in votes}
    of = [[up for (_, who), up in last.items() if who == user] for user in users]
    score = sum(sum(ups) / len(ups) for ups in of) / len(users)
    reviews = [["run-0", words[6], "bags"], ["run-2", words[7], "pets"], ["run-8", words[5], "changes"],
               ["run-1", words[4], "bags"]]  # fmt: skip
    spam = 300
    seen = house.probe(probes.thumbs, votes, reviews, spam)
    golden = {case.get("id"): case for case in seen["golden"]}
    first, second, third, fourth = seen["cases"]
    asked = {" ".join(str(case.get("question")).casefold().split()) for case in seen["golden"]}
    examples = [" ".join(str(each.get("question")).casefold().split()) for each in seen["examples"]]
    before = [" ".join(str(each.get("question")).casefold().split()) for each in seen["examples before"]]
    wanted = [" ".join(asks[run][1].casefold().split()) for run in ("run-1", "run-4", "run-5", "run-6", "run-7")]
    due = {
        "without votes, the score is": (None, seen["nobody"]),
        "and to be looked at is": ([], seen["nothing"]),
        "five users are satisfied to": (round(score, 6), round(seen["score"] or 0.0, 6)),
        "the runs to look at are": (["run-0", "run-2", "run-8"], seen["queue"][:2] + sorted(seen["queue"][2:])),
        f"{spam} thumbs down of a sixth user make it": (round(score * 5 / 6, 6), round(seen["spammed"] or 0.0, 6)),
        "and up again": (round((score * 5 + 1) / 6, 6), round(seen["changed his mind"] or 0.0, 6)),
        "one question, asked twice, is one case": (True, first == third != second),
        "of it, the last review counts": ([words[5], "changes"], [golden.get(third, {}).get(k) for k in ("expected", "slice")]),
        "a case knows its booking": ("KL0", golden.get(second, {}).get("booking")),
        "one question about two bookings is two cases": (True, fourth != first),
        "there are cases": (3, len(golden)),
        "to be looked at, then, is": ([], seen["after"]),
        "liked, at first, is": (sorted(set(wanted)), sorted(before)),
        "examples that are golden cases": ([], sorted(set(examples) & asked)),
        "examples that were not liked": ([], sorted(each for each in set(examples) - set(wanted) if "spam" not in each)),
        "at most two examples are": (2, seen["few"]),
        "an example that is a case elsewhere is still one": (False, seen["examples"][0]["question"] in seen["beside"]),
    }  # fmt: skip
    wrong, story = rule_breaks(due)
    sees = f"{len(wrong)} of {len(due)} rules do not hold: {(wrong or [''])[0]}"
    expect("wrong_rules", len(wrong), at_most=0, unit="rules", code="no-loop", sees=sees, story=story)


@pytest.mark.pattern("feedback-loop")
def test_what_travellers_say_is_looked_at(scene, incident):
    """A thumb down leads to its run, to somebody who looks, and to the golden set; one traveller alone is not all of them."""
    rng = scene.rng("votes")
    house = incident.House(scene, fares=2)
    users = [house.user(rng) for _ in range(9)]
    angry = house.user(rng)
    topics = ["changes", "pets", "bags", "seats"]
    written = {"booking": house.bookings[0], "question": incident.TOPICS["pets"][0],
               "expected": house.due(house.bookings[0], "pets"), "slice": "pets"}  # fmt: skip

    async def vote(answer, up, user):
        return await house.send("POST", f"/runs/{answer.run}/vote", json={"up": up}, user=user)

    async def play():
        answers = [await house.ask(house.bookings[at % 2], incident.TOPICS[topics[at // 2 % 4]][0], user=user)
                   for at, user in enumerate(users)]  # fmt: skip
        statuses = [(await vote(answer, True, user)).status for answer, user in zip(answers, users, strict=True)]
        calm = await house.send("GET", "/satisfaction")
        bad = [await house.ask(house.bookings[1], f"{incident.TOPICS['bags'][0]} {at}", user=angry) for at in range(12)]
        for answer in bad:
            for _ in range(3):
                await vote(answer, False, angry)
        spammed = await house.send("GET", "/satisfaction")
        unknown = await house.send("POST", "/runs/no-such-run/vote", json={"up": False})
        queue = await house.send("GET", "/reviews")
        due = house.due(house.bookings[1], "bags")
        review = await house.send("POST", f"/reviews/{bad[0].run}", json={"expected": due, "slice": "bags"})
        nothing = await house.send("POST", "/reviews/no-such-run", json={"expected": due, "slice": "bags"})
        left = await house.send("GET", "/reviews")
        liked = await vote(bad[0], True, users[0]), await vote(bad[0], True, users[1])
        await vote(bad[0], True, angry)
        golden = await house.send("GET", "/golden")
        examples = await house.send("GET", "/examples")
        passed = await house.send("POST", "/evaluate", json={"text": incident.HARMLESS_PROMPT})
        await house.send("PUT", "/golden", json={"cases": [written]})
        fewer = await house.send("GET", "/examples")
        return answers, statuses, calm, bad, spammed, unknown, queue, review, nothing, left, liked, golden, examples, passed, fewer

    answers, statuses, calm, bad, spammed, unknown, queue, review, nothing, left, _, golden, examples, passed, fewer = house.run(play)
    unanswered = [answer.told for answer in (*answers, *bad) if answer.status != 200]
    sees = f"{len(answers) + len(bad)} questions are asked, and {len(unanswered)} not answered: {', '.join(sorted(set(unanswered)))}"
    expect("not_answered", len(unanswered), at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")
    silent = [reply.told for reply in (calm, spammed) if not isinstance(reply.body.get("score"), (int, float))]
    sees = f"nine thumbs are up, and GET /satisfaction says {' and '.join(silent)}, without a score"
    expect("no_score", len(silent), at_most=0, code="no-score", sees=sees, about="/satisfaction")
    about = "/vote"
    sees = f"nine travellers are content, a tenth votes 36 times, and {100 * spammed.number('score'):.0f} % are said to be content"
    expect("satisfied", spammed.number("score"), at_least=0.89, code="one-outvotes-all", sees=sees, about=about)
    sees = f"nine thumbs are up, and GET /satisfaction says {calm.body.get('score')}"
    expect("calm", calm.number("score"), at_least=1.0, code="one-outvotes-all", sees=sees, about=about)
    expect("not_taken", sum(status != 204 for status in statuses) + int(unknown.status != 404), at_most=0, code="wrong-status",
           sees=f"thumbs are answered {statuses[0]}, and for a run that there is not {unknown.told}", about=about)  # fmt: skip
    found = queue.texts("runs")
    off = set(found) ^ {answer.run for answer in bad}
    sees = f"{len(bad)} runs have a thumb down, and GET /reviews has {len(found)}"
    expect("not_queued", len(off), at_most=0, unit="runs", code="no-loop", sees=sees, about="/reviews")
    statuses = [review.status, nothing.status]
    rest = left.texts("runs")
    sees = f"a run is looked at, and another that there is not: {statuses}; then {len(rest)} are left to look at"
    expect("not_reviewed", int(statuses != [201, 404]) + int(bad[0].run in rest), at_most=0, code="no-loop", sees=sees,
           about="/reviews")  # fmt: skip
    questions = [str(case.get("question")) for case in golden.rows("cases")]
    asked = f"{incident.TOPICS['bags'][0]} 0"
    sees = f"a run is looked at, and its question is {questions.count(asked)} times in the golden set"
    expect("no_case", int(questions.count(asked) != 1), at_most=0, code="no-loop", sees=sees, about="/golden")
    told = [str(each.get("question")) for each in examples.rows("examples")]
    sees = f"the authors of prompts are given {len(told)} examples, and a golden case is among them"
    expect("leaked", int(asked in told), at_most=0, code="golden-leaked", sees=sees, about="/examples")
    sees = f"nine runs were liked, and the authors of prompts are given {len(told)} examples"
    expect("no_examples", int(not told), at_most=0, code="no-loop", sees=sees, about="/examples")
    sees = f"a case that came of a vote is evaluated, and {passed.body.get('slices', passed.told)} is told of it"
    right = passed.table("slices").get("bags") == [1.0, 1.0]
    expect("not_evaluated", int(not right), at_most=0, code="no-loop", sees=sees, about="/evaluate")
    told = [str(each.get("question")) for each in fewer.rows("examples")]
    sees = f"a question becomes a golden case by PUT /golden, and among {len(told)} examples it still is"
    expect("leaked_written", int(written["question"] in told), at_most=0, code="golden-leaked", sees=sees, about="/examples")


@pytest.mark.pattern("shadow")
def test_nobody_sees_the_candidate(scene, incident, probes):
    """A candidate that hangs, raises or spoils what it is given: it is counted, and that is all."""
    rng = scene.rng("shadow")
    house = incident.House(scene)
    most, seconds, live = rng.randrange(2, 5), float(rng.randrange(6, 12)), incident.word(rng)
    seen = house.probe(probes.shadows, most, seconds, live)
    first, then, last = seen["first"], seen["then"], seen["last"]
    story = [(0.0, f"first: {_short(first)}"), (1.0, f"then: {_short(then)}"), (2.0, f"last: {_short(last)}")]
    sees = f"requests are submitted to a candidate that hangs, and that takes {seen['submitting']:.1f} s"
    expect("submitting", seen["submitting"], at_most=0.05, unit="s", code="waits-for-shadow", sees=sees, story=story)
    sees = f"{most} requests may be under way at once, and {seen['high']} were"
    expect("at_once", seen["high"], at_most=most, unit="requests", code="no-budget", sees=sees, story=story)
    counts = ("compared", "differ", "failed", "skipped")
    due = {
        "of five, compared, differing, failed, skipped are": ([4, 2, 1, 0], [first.get(name) for name in counts]),
        "a difference says": (
            {"request": {"what": "differs", "number": 1}, "live": live, "candidate": f"not {live}"}, (first.get("diffs") or [None])[0],
        ),
        "under way are": (most, seen["under way"]),
        "of those that hang, after their time, are left": (0, seen["left"]),
        "after those that hang": ([4, 2, 1 + most, 4], [then.get(name) for name in counts]),
        "when others are asked after that": ([4 + most + 30, 32, 1 + most, 7], [last.get(name) for name in counts]),
        "of the differences, the last are kept": (
            [110 + at for at in range(20)], [each.get("request", {}).get("number") for each in last.get("diffs") or []],
        ),
        "what was submitted is still": (["differs", "hangs", "raises", "same"], seen["requests"]),
        "after the close are under way": (0, seen["open"]),
    }  # fmt: skip
    wrong, story = rule_breaks(due)
    sees = f"{len(wrong)} of {len(due)} rules do not hold: {(wrong or [''])[0]}"
    expect("wrong_rules", len(wrong), at_most=0, unit="rules", code="wrong-report", sees=sees, story=story)
    sees = f"closing takes {seen['closing']:.1f} s, while a candidate hangs"
    expect("closing", seen["closing"], at_most=1.0, unit="s", code="waits-for-shadow", sees=sees, story=story)


@pytest.mark.pattern("shadow")
def test_a_candidate_that_hangs_is_nobodys_affair(scene, incident):
    """A prompt is tried on real questions, and the model hangs over it: no traveller waits, and nobody gets a second mail."""
    rng = scene.rng("shadow")
    marker = incident.word(rng)
    hangs = faults.hanging(0, 900, when=lambda call: marker.encode() in call.body)
    house = incident.House(scene, fails=[hangs])
    pairs = [(house.bookings[at % 3], incident.TOPICS["pets"][0]) for at in range(14)]

    async def play():
        alone = await house.ask_all(pairs, gap=0.2)
        await house.send("PUT", "/shadow", json={"text": f"{incident.HARMLESS_PROMPT} {marker}"})
        mails = len(house.tools.mails)
        beside = await house.ask_all(pairs, gap=0.2)
        stopped = len([e for e in house.provider.log if marker in e.prompt])
        await asyncio.sleep(40.0)
        report = await house.send("GET", "/shadow")
        return alone, beside, len(house.tools.mails) - mails, stopped, report

    alone, beside, mails, tried, report = house.run(play)
    about = "POST /ask"
    latest = max(answer.seconds for answer in beside)
    sees = f"a candidate is tried beside, and the model hangs over it: travellers wait up to {latest:.1f} s"
    expect("slowed", latest, at_most=ANSWER_SECONDS, unit="s", code="waits-for-shadow", sees=sees, about=about,
           calls=["/chat/completions"])  # fmt: skip
    other = sum((a.status, a.text) != (b.status, b.text) for a, b in zip(alone, beside, strict=True))
    sees = f"a candidate is tried beside, and {other} of {len(pairs)} travellers get another answer"
    expect("changed", other, at_most=0, unit="answers", code="live-changed", sees=sees, about=about)
    sees = f"{len(pairs)} travellers have asked, and {mails} mails were sent"
    expect("mails", mails - len(pairs), at_most=0, unit="mails", code="has-effects", sees=sees, about=about)
    sees = f"in three seconds, the candidate is asked {tried} times, while all of that hangs"
    expect("tried", tried, at_most=3, unit="calls", code="no-budget", sees=sees, about=about)
    sees = f"the candidate has been asked {tried} times, and GET /shadow says {report.body or report.told}"
    told = [report.body.get(name) for name in ("compared", "failed", "skipped")]
    right = report.status == 200 and told[0] == 0 and isinstance(told[1], int) and told[1] >= 1 and isinstance(told[2], int)
    expect("not_told", int(not right or told[1] + told[2] < len(pairs) - 1), at_most=0, code="wrong-report", sees=sees, about="/shadow")


@pytest.mark.pattern("shadow")
def test_a_candidate_is_compared_and_does_nothing(scene, incident):
    """Where a candidate would answer otherwise, that is written down; it sends no mail, ends no run, and gets no vote."""
    house = incident.House(scene, fares=2)
    booking, question = house.bookings[0], incident.TOPICS["changes"][0]
    card = incident.card(scene.rng("cards"))

    async def play():
        await house.send("PUT", "/shadow", json={"text": incident.HARMLESS_PROMPT})
        for _ in range(3):
            await house.ask(booking, question)
            await asyncio.sleep(2.0)
        same = await house.send("GET", "/shadow")
        await house.send("PUT", "/shadow", json={"text": incident.BAD_PROMPT})
        await house.ask(booking, f"My card is {card}. {question}")
        await asyncio.sleep(2.0)
        differs = await house.send("GET", "/shadow")
        await house.send("PUT", "/shadow", json={"text": "{no} such thing"})
        answer = await house.ask(booking, question)
        await asyncio.sleep(2.0)
        fails = await house.send("GET", "/shadow")
        ended = await house.send("DELETE", "/shadow")
        before = len(house.provider.log)
        last = await house.ask(booking, question)
        await asyncio.sleep(2.0)
        calls = len(house.provider.log) - before
        await house.desk.stop()
        return same, differs, fails, answer, ended, last, calls

    same, differs, fails, answer, ended, last, calls = house.run(play)
    mails, events = len(house.tools.mails), len(house.auditors.events)
    sees = f"six travellers have asked, and {mails} mails were sent"
    expect("mails", mails - 6, at_most=0, unit="mails", code="has-effects", sees=sees, about="POST /ask")
    lost = sum(reply.status != 200 or house.due(booking, "changes") not in reply.text for reply in (answer, last))
    sees = f"a candidate cannot be filled in, and {lost} travellers get no answer"
    expect("lost", lost, at_most=0, unit="answers", code="live-changed", sees=sees, about="POST /ask")
    got = [[reply.body.get(name) for name in ("compared", "differ", "failed")] for reply in (same, differs, fails)]
    diffs = differs.rows("diffs") or [{}]
    right = got == [[3, 0, 0], [1, 1, 0], [0, 0, 1]] and "Key terms" in str(diffs[0].get("candidate"))
    sees = f"compared, differing and failed are told as {got} for a candidate that says the same, one that does not, one that fails"
    expect("not_compared", int(not right), at_most=0, code="wrong-report", sees=sees, about="/shadow")
    sees = "a traveller mentions his card, the candidate answers otherwise, and GET /shadow shows the card"
    expect("leaks", json.dumps(differs.body).count(card), at_most=0, code="secrets-shown", sees=sees, about="GET /shadow")
    off = abs(events - 6)
    sees = f"six travellers have asked, and the auditors have heard of {events} runs"
    expect("audited", off, at_most=0, unit="runs", code="has-effects", sees=sees, about="POST /ask")
    sees = f"the trial has ended ({ended.told}), and a question takes {calls} calls of the model"
    expect("goes_on", int(ended.status != 204) + calls - 1, at_most=0, code="goes-on", sees=sees, about="DELETE /shadow")
