"""Stage 5, is it better? What a system is worth, whose fault it is, and when to sound the alarm.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import random
from dataclasses import replace

import pytest
from grader.plugin import expect

pytestmark = pytest.mark.stage(5)


def _golden(rng, answerable, unanswerable):
    golden = []
    for number in range(answerable + unanswerable):
        answer = 5 * rng.randrange(4, 40) * min(number, 1) if number < answerable else None  # the first is free
        golden.append({"id": f"q{number}", "answer": answer, "document": None if answer is None else f"doc-{number}"})
    rng.shuffle(golden)
    return golden


def _system(rng, golden, *, right, wrong=0.0, invented=0.0, lost=0.0, extra=True):
    """What a system has done: these shares exactly, in a random order. `lost`: of what is not right, the share whose
    document was not retrieved."""
    answerable = [due for due in golden if due["answer"] is not None]
    rng.shuffle(answerable)
    goods, bads = round(right * len(answerable)), round(wrong * len(answerable))
    missing = round(lost * (len(answerable) - goods))
    runs = []
    for number, due in enumerate(answerable):
        documents = [f"doc-{rng.randrange(1000, 2000)}" for _ in range(3)]
        if number < goods or number >= goods + missing:
            documents.insert(rng.randrange(3), due["document"])
        text, status = None, "abstained"
        if number < goods:
            text, status = f"That costs {due['answer']} euros.", "answered"
        elif number < goods + bads:
            text = rng.choice([f"That costs 1{due['answer']} euros.", f"It is {due['answer'] + 5} euros, not less."])
            text, status = rng.choice([text, f"From {due['answer']} euros to {due['answer'] + 50} euros.", "It is free."]), "answered"
        runs.append({"id": due["id"], "status": status, "answer": text, "documents": documents})
    others = [due for due in golden if due["answer"] is None]
    for number, due in enumerate(others):
        made_up = number < round(invented * len(others))
        runs.append({
            "id": due["id"], "status": "answered" if made_up else "abstained",
            "answer": f"The fee is {rng.randrange(10, 99)} euros." if made_up else None, "documents": [],
        })  # fmt: skip
    if extra:
        runs.append({"id": "of another set", "status": "answered", "answer": "It is 10 euros.", "documents": []})
    rng.shuffle(runs)
    return runs


@pytest.mark.pattern("rag-evaluation")
def test_five_systems_are_told_apart(scene, incident, probes):
    """evaluate: shares, whose fault it is, and an order in which always abstaining does not win."""
    rng = scene.rng("systems")
    golden = _golden(rng, 80, 20)
    plans = {
        "good": {"right": 0.95, "lost": 0.25},
        "shy": {"right": 0.7, "lost": 0.8},
        "careless": {"right": 0.7, "wrong": 0.3, "lost": 0.1},
        "inventive": {"right": 0.7, "wrong": 0.3, "invented": 0.9, "lost": 0.1},
        "blind": {"right": 0.2, "wrong": 0.8, "invented": 1.0, "lost": 0.9},
        "mute": {"right": 0.0, "lost": 0.5},
        "fair": {"right": 0.6, "wrong": 0.1, "lost": 0.2},
    }
    systems = {name: _system(rng, golden, **plan) for name, plan in plans.items()}
    crashed = [run for run in systems["good"] if run["id"] != "of another set"]
    kept = {run["id"] for run in crashed if run["status"] == "answered"}
    lost = set(rng.sample(sorted(kept), 20))
    systems["crashed"] = [run for run in crashed if run["id"] not in lost]
    systems["nothing"] = []
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.evaluated, list(systems.values()), golden))
    *seen, empty = seen
    found = dict(zip(systems, seen, strict=True))
    wrong = []
    for name, plan in plans.items():
        right, bad = plan["right"], plan.get("wrong", 0.0)
        due = {"right": right, "wrong": bad, "abstained": 1 - right - bad, "invented": plan.get("invented", 0.0)}
        for what, share in due.items():
            if not _near(found[name].get(what), share):
                wrong.append(f"a system has {share:.1%} {what}, and is said to have {_share(found[name].get(what))}")
        blamed = {"good": "generator", "shy": "retriever", "blind": "retriever", "mute": None}.get(name, "generator")
        if found[name].get("blame") != blamed:
            wrong.append(f"of what goes wrong, the document was not found in {plan['lost']:.0%}; blamed is {found[name].get('blame') or 'nobody'}")
    if not (_near(found["crashed"].get("right"), 0.7) and _near(found["crashed"].get("wrong"), 0.25)):
        wrong.append(f"a quarter of the questions has no run, and right and wrong are said to be {_shares(found['crashed'])}")
    if not (_near(found["nothing"].get("wrong"), 1.0) and _near(found["nothing"].get("invented"), 0.0)):
        wrong.append(f"there is no run at all, and wrong and invented are said to be {_shares(found['nothing'])}")
    if any(not _near(empty.get(what), 0.0) for what in ("right", "wrong", "abstained", "invented")) or empty.get("blame"):
        wrong.append(f"of no question at all, the shares are {_shares(empty)}")
    scores = {name: found[name].get("score") for name in found}
    for better, worse in ORDER:
        if not (_is_number(scores[better]) and _is_number(scores[worse]) and scores[better] > scores[worse]):
            wrong.append(f"{better} ({_told(plans, better)}) has to beat {worse} ({_told(plans, worse)}): "
                         f"{scores[better]} against {scores[worse]}")  # fmt: skip
    if not (_is_number(scores["mute"]) and scores["mute"] <= scores["fair"]):
        wrong.append(f"who always abstains gets {scores['mute']}, and who has 60 % right and 10 % wrong {scores['fair']}")
    sees = f"{len(systems)} systems are judged, and that goes wrong {len(wrong)} times: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("misjudged", len(wrong), at_most=0, unit="times", code="misjudged", sees=sees, story=story)


ORDER = (("good", "shy"), ("good", "fair"), ("shy", "careless"), ("careless", "inventive"), ("inventive", "blind"),
         ("good", "careless"), ("fair", "blind"), ("good", "crashed"), ("mute", "nothing"))  # fmt: skip


def _near(value, due):
    return _is_number(value) and abs(value - due) < 0.001


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shares(found):
    ends = [(found.get(name), name) for name in ("right", "wrong", "abstained", "invented")]
    return ", ".join(f"{_share(share)} {name}" for share, name in ends)


def _share(value):
    return f"{value:.1%}" if _is_number(value) else "nothing" if value is None else f"“{value}”"


def _told(plans, name):
    return ", ".join(f"{what} {share:.0%}" for what, share in plans.get(name, {}).items() if what != "lost") or "runs missing"


@pytest.mark.pattern("rag-evaluation")
def test_an_alarm_means_something(scene, incident, probes):
    """regressed: ten points are an alarm, in either way; another sample of the same system is none."""
    rng = scene.rng("releases")
    pairs, due = [], []

    def release(alarm, why, before, after, sizes=(100, 20)):
        asked, other = _golden(rng, *sizes), _golden(rng, *sizes)
        pairs.append([_system(rng, asked, **before), asked, _system(rng, other, **after), other])
        due.append((alarm, why))

    for _ in range(2):
        right = rng.randrange(60, 90) / 100
        base = {"right": right, "wrong": 0.05, "invented": 0.1}
        release(True, "10 points fewer are right", base, base | {"right": right - 0.1})
        release(True, "30 points fewer are right", base, base | {"right": right - 0.3})
        release(True, "15 points more are wrong, as many are right", base | {"right": 0.6}, base | {"right": 0.6, "wrong": 0.2})
        release(True, "a quarter more is invented", base, base | {"invented": 0.35})
        release(False, "it is the same, asked other questions", base, base)
        release(False, "4 points fewer are right", base, base | {"right": right - 0.04})
        release(False, "3 points more are wrong, and 5 points more invented", base, base | {"wrong": 0.08, "invented": 0.15})
        release(False, "it is better by 10 points", base | {"right": right - 0.1}, base)
        release(False, "it invents nothing any more", base, base | {"invented": 0.0})
    order = random.Random(rng.random()).sample(range(len(pairs)), len(pairs))
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.compared, [pairs[at] for at in order]))
    wrong = [
        f"{due[at][1]}, and {'there is an alarm' if got else 'nobody is told'}"
        for at, got in zip(order, seen, strict=True) if got is not due[at][0]
    ]  # fmt: skip
    sees = f"of {len(pairs)} releases, {len(wrong)} are judged wrongly: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_alarms", len(wrong), at_most=0, unit="releases", code="wrong-alarm", sees=sees, story=story)


def _cases(questions):
    return [
        {"question": each.text, "region": each.region, "as_of": each.as_of, "answer": each.amount,
         "document": each.document or None}
        for each in questions
    ]  # fmt: skip


def _judged(*answers):
    """A story: what the assistant says of itself, each time that it is asked to."""
    said = [f"says {_shares(each.body)}; to blame: {each.body.get('blame') or 'nobody'}" for each in answers]
    return {"about": "/evaluations", "story": [(each.asked, text) for each, text in zip(answers, said, strict=True)]}


@pytest.mark.pattern("rag-evaluation")
def test_the_assistant_judges_itself(scene, incident):
    """POST /evaluations says of the assistant what the travellers' answers say of it, and asks the same way."""
    rng = scene.rng("golden")
    made = incident.corpus_of(scene)
    questions = incident.some(scene, made, plain=2, dated=3, code=5, unanswerable=3)
    documents = [document for document in made.documents if document.id.startswith(("fare", "rule", "terms"))]
    house = incident.House(scene)
    golden = _cases(questions)
    of_fares = [case for case in golden if (case["document"] or "").startswith("fare")]
    lies = [case | {"answer": case["answer"] + 200} for case in of_fares]
    rule = next(each for each in questions if each.document.startswith("fare"))
    paper = next(document for document in documents if document.id == rule.document)
    other = rule.sentence.replace(str(rule.amount), str(rule.amount + 200))
    contrary = replace(paper, id="contrary", text=paper.text.replace(rule.sentence, other))

    async def play():
        await house.save(documents)
        asked = await house.ask_all(questions)
        found = [await house.send("POST", "/evaluations", json={"golden": some}) for some in (golden, lies)]
        await house.save([contrary])
        found.append(await house.send("POST", "/evaluations", json={"golden": _cases([rule])}))
        await house.send("DELETE", "/documents/contrary")
        for gone in dict.fromkeys(case["document"] for case in of_fares):
            await house.send("DELETE", f"/documents/{gone}")
        return asked, *found, await house.send("POST", "/evaluations", json={"golden": of_fares})

    asked, found, lied, torn, late = house.run(play)
    sees = f"the assistant is to judge itself, and answers {found.told}"
    expect("refused", int(found.status != 200), at_most=0, code="no-evaluation", sees=sees, about="/evaluations")
    ends = incident.Ends(tuple(asked))
    off = max(
        abs(100 * share - ends.percent(end)) if _is_number(share := found.body.get(end)) else 100.0
        for end in ("right", "wrong", "abstained", "invented")
    )
    sees = f"travellers got {ends.percent('right'):.0f} % right answers; the assistant says of itself: {_shares(found.body)}"
    expect("off", off, at_most=5, unit="points", code="misjudged", sees=sees, **_judged(found))
    claimed = lied.body.get("right")
    sees = f"it is told wrong truths, and says of its answers: {_shares(lied.body)}"
    claimed = claimed if _is_number(claimed) else 1.0
    expect("believed", claimed, at_most=0, code="misjudged", sees=sees, **_judged(found, lied))
    fault = lied.body.get("blame")
    sees = f"the documents asked for were found, the answers are not as they should be, and to blame is {fault or 'nobody'}"
    expect("found", int(fault != "generator"), at_most=0, code="misjudged", sees=sees, **_judged(found, lied))
    fault = torn.body.get("blame")
    sees = f"two documents that were found contradict each other, and to blame is {fault or 'nobody'}"
    expect("torn", int(fault != "generator"), at_most=0, code="misjudged", sees=sees, **_judged(found, torn))
    fault = late.body.get("blame")
    sees = f"the documents that were asked for are gone, and the assistant blames {fault or 'nobody'} ({_shares(late.body)})"
    expect("blamed", int(fault != "retriever"), at_most=0, code="misjudged", sees=sees, **_judged(found, lied, late))
