"""Stage 1, the wrong paper: an index that follows its documents, pieces instead of papers, and only what is in force.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from grader.plugin import expect
from grader.world import corpus, tokenizer

pytestmark = pytest.mark.stage(1)

FAR = 200  # euros: no misreading is so wrong


@pytest.mark.pattern("naive-rag")
def test_an_edit_is_seen(scene, incident):
    """A fee that is edited is answered with the new one at once; a document that is deleted, not at all."""
    rng = scene.rng("edits")
    made = incident.corpus_of(scene)
    rules = made.of("plain")
    documents = {document.id: document for document in made.documents if document.id.startswith("rule-")}
    edited, deleted = rng.sample(rules, len(rules))[:7], []
    edited, deleted = edited[:5], edited[5:]
    now = [_other(rule, FAR) for rule in edited]
    house = incident.House(scene)

    async def meanwhile(rule):
        """Asked while an edit is under way: old or new, both are right. Who asks after it is told the new one."""
        await asyncio.sleep(0.03)
        await house.ask(rule)

    async def play():
        await house.save(documents.values())
        before = await house.ask_all([*edited, *deleted])
        for rule, later in zip(edited, now, strict=True):
            document = documents[rule.document]
            text = document.text.replace(rule.sentence, later.sentence)
            new = replace(document, text=text)
            saving = house.save([new]) if rule in edited[:2] else house.edit(new)
            answer, _ = await asyncio.gather(saving, meanwhile(rule))
            assert answer.status == 200, f"a document is edited, and that is answered {answer.told}"
        after = await house.ask_all(now)
        for rule in deleted:
            await house.send("DELETE", f"/documents/{rule.document}")
        without = await house.ask_all(deleted)
        await house.host.restart()
        later, still = await house.ask_all(now), await house.ask_all(deleted)
        await house.save(documents[rule.document] for rule in deleted)
        return before, after, without, later, still, await house.ask_all(deleted)

    before, after, without, later, still, again = house.run(play)
    stale = [new for new, old in zip(after, before, strict=False) if old.question.sentence in new.prompt]
    sees = f"{len(edited)} fees are edited, and for {len(stale)} of them the model is still given the old one"
    expect("stale", len(stale), at_most=0, unit="answers", code="stale", sees=sees, **incident.told(stale))
    gone = [each for each in without if each.is_given]
    sees = f"{len(deleted)} documents are deleted, and {len(gone)} of them are still read"
    expect("deleted", len(gone), at_most=0, unit="answers", code="stale", sees=sees, **incident.told(gone))
    right = [each for each in after if each.end == "right"]
    sees = f"{len(edited)} fees are edited, and {len(right)} of them are answered as they are now"
    expect("edited", len(right), at_least=2, unit="answers", code="stale", sees=sees, **incident.told(after))
    right = [each for each in later if each.end == "right"]
    sees = f"the assistant is started anew, and of {len(later)} questions {len(right)} are answered right"
    expect("restarted", len(right), at_least=2, unit="answers", code="forgotten", sees=sees, **incident.told(later))
    gone = [each for each in still if each.is_given]
    sees = f"the assistant is started anew, and {len(gone)} documents are read that were deleted before"
    expect("undeleted", len(gone), at_most=0, unit="answers", code="stale", sees=sees, **incident.told(gone))
    missing = [each for each in again if not each.is_given]
    sees = f"{len(again)} documents were deleted and are saved again, and the model is not given {len(missing)} of them"
    expect("again", len(missing), at_most=0, unit="answers", code="forgotten", sees=sees, **incident.told(missing))


def _other(rule, more):
    amount = rule.amount + more
    return replace(rule, amount=amount, sentence=rule.sentence.replace(str(rule.amount), str(amount)))


@pytest.mark.pattern("naive-rag")
def test_find_paste_ask(scene, incident, probes):
    """answer: one search, one prompt with all of it, and nothing that is kept."""
    rng = scene.rng("naive")
    passages = [[corpus.filler(rng, 2) for _ in range(3)] for _ in range(3)]
    question = f"What does fare {corpus.code_names(rng, 1)[0]} cost?"
    answers = [f"It costs {corpus.fee(rng)} euros." for _ in passages]
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.naive, question, passages, answers))
    prompts = seen["prompts"]
    wrong = []
    if seen["said"] != [*answers, None]:
        said = " ".join(each or "None," for each in seen["said"])
        wrong.append(f"the model says: {' '.join(answers)} Then nothing is found. The answers are: {said}")
    if seen["searched"] != [question] * 4:
        wrong.append(f"four questions are asked, and {len(seen['searched'])} searches made")
    if len(prompts) != 3:
        wrong.append(f"three of four questions find something, and the model is asked {len(prompts)} times")
    for given, prompt in zip(passages, prompts, strict=False):
        places = [prompt.find(passage) for passage in given]
        if -1 in places:
            wrong.append(f"three passages are found, and {3 - places.count(-1)} of them stand in the prompt")
        elif places != sorted(places):
            wrong.append("three passages are found, and stand in the prompt in another order")
        *_, last = ["", *prompt.strip().splitlines()]
        if last != question:
            wrong.append(f"the last line of the prompt is “{last}”")
    sees = f"the plain way of answering does what it should not: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("naive", len(wrong), at_most=0, code="not-naive", sees=sees, story=story)


def _policy(rng):
    """A document of headings, paragraphs and tables; its facts, and the header of each."""
    code = corpus.code_names(rng, 1)[0]
    lines, facts = [f"# Fare {code}", ""], []
    for number, name in enumerate(rng.sample(sorted(corpus.CHARGES), 5)):
        lines += [f"## {name}", *[""] * (number % 2)]  # text begins below a heading, with an empty line or without
        what = corpus.CHARGES[name][0]
        header = f"Fare {code} · {name}"
        if rng.random() < 0.4:
            rows = [f"| {what.partition(' costs')[0]} on {day} | {rng.randrange(10, 999)} euros |" for day in DAYS]
            lines += [corpus.filler(rng, 1), "", *rows, ""]
            facts += [(row, header) for row in rows]
        else:
            shares = ", ".join(f"{rng.randrange(1, 99)}.{rng.randrange(1, 10)}" for _ in range(rng.randrange(1, 9)))
            sentence = what.format(f"{rng.randrange(10, 999)}") + f", or {shares} per cent of it."
            # short enough that it need not be cut, in a paragraph that may have to be
            parts = [corpus.filler(rng, rng.randrange(1, 5)), sentence, rng.choice(corpus.EXCEPTIONS)]
            lines += [" ".join([*parts, corpus.filler(rng, rng.randrange(1, 5))]), ""]
            facts.append((sentence, header))
    return "\n".join(lines), facts


def _rates(rng):
    """A document in which sentences with many numbers stand where a piece has to end, and its facts."""
    code = corpus.code_names(rng, 1)[0]
    lines, facts = [f"# Rates of {code}", ""], []
    for number in range(12):
        shares = ", ".join(f"{rng.randrange(1, 99)}.{rng.randrange(1, 10)}" for _ in range(8))
        sentence = f"Rates of item {number} are {shares} per cent."
        lines += [" ".join([corpus.filler(rng, number % 4 + 1), sentence, corpus.filler(rng, 2)]), ""]
        facts.append((sentence, f"Rates of {code}"))
    return "\n".join(lines), facts


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.mark.pattern("chunked-retrieval")
def test_a_piece_can_be_understood_alone(scene, incident, probes):
    """chunk: spans that fit, nothing lost or cut, and the headings above each."""
    rng = scene.rng("policies")
    policies = [_policy(rng) for _ in range(4)]
    policies += [_rates(rng), (corpus.filler(rng, 12), [])]
    flat = " ".join([corpus.filler(rng, 150), f"Carrying a bicycle costs {corpus.fee(rng)} euros.", corpus.filler(rng, 150)])
    while len(flat) < 50_000:
        flat += " " + corpus.filler(rng, 10)
    endless = " ".join(rng.choice(DAYS).lower() for _ in range(400))
    texts = [text for text, _ in policies] + [flat, endless, "", "# Only a title\n"]
    most = rng.choice([60, 80, 100])
    house = incident.House(scene)
    found = house.run(lambda: house.host.probe(probes.chunks, texts, most))
    wrong = []
    for number, (text, chunks) in enumerate(zip(texts, found, strict=True)):
        at = 0
        for chunk in chunks:
            if text[chunk["start"] : chunk["end"]] != chunk["text"]:
                wrong.append(("span", f"chunk “{chunk['text'][:40]}” is not what stands at {chunk['start']} to {chunk['end']}"))
            between = text[at : chunk["start"]] if chunk["start"] >= at else "overlap"
            if any(line.strip() and not line.strip().startswith("#") for line in between.splitlines()):
                wrong.append(("lost", f"before “{chunk['text'][:40]}”, this is in no chunk, or in two: “{between.strip()[:60]}”"))
            at = max(at, chunk["end"])
            if any(line.strip().startswith("#") for line in chunk["text"].splitlines()):
                wrong.append(("heading", f"a heading stands in chunk “{chunk['text'][:60]}”"))
            if chunk["tokens"] > most:
                wrong.append(("size", f"a chunk has {chunk['tokens']} tokens, and {most} are the most: “{chunk['text'][:40]}”"))
        if any(line.strip() and not line.strip().startswith("#") for line in text[at:].splitlines()):
            wrong.append(("lost", f"the end of a document is in no chunk: “{text[at:].strip()[:60]}”"))
        for fact, header in policies[number][1] if number < len(policies) else ():
            whole = [chunk for chunk in chunks if fact in chunk["text"]]
            if not whole:
                wrong.append(("cut", f"no chunk has “{fact}” whole"))
            elif whole[0]["header"] != header:
                wrong.append(("header", f"“{fact}” stands below “{header}”, and its chunk's header is “{whole[0]['header']}”"))
        paragraphs = [part.strip() for part in re.split(r"(?m)^#.*$|\n\n", text) if part.strip()]
        sizes = [tokenizer.count(part) for part in paragraphs]
        for part, size in zip(paragraphs, sizes, strict=True):
            if size <= most and not any(part in chunk["text"] for chunk in chunks):
                wrong.append(("divided", f"a paragraph of {size} tokens is divided: “{part[:60]}”"))
    kinds = sorted({kind for kind, _ in wrong})
    sees = f"of {len(texts)} documents, pieces are cut in {len(wrong)} wrong ways ({', '.join(kinds)}): {wrong[0][1] if wrong else ''}"
    story = [(0.0, text) for _, text in wrong[:4]]
    expect("wrong_chunks", len(wrong), at_most=0, unit="ways", code="wrong-chunks", sees=sees, story=story)


@pytest.mark.pattern("chunked-retrieval")
def test_deep_in_a_manual(scene, incident):
    """A fee that stands on page seven of a manual is found, and so is one in a paragraph of 50,000 characters."""
    rng = scene.rng("manual")
    topics = rng.sample(sorted(corpus.TOPICS), 12)
    rules = [corpus.rule(rng, "manual", topic) for topic in topics]
    parts = [f"## {topic}\n\n{corpus.filler(rng, 5)}\n\n{document.text.partition('# ')[2].partition(chr(10))[2].strip()}"
             for topic, (document, _) in zip(topics[:10], rules, strict=False)]  # fmt: skip
    manual = corpus.Document("manual", "Manual", "\n\n".join(["# Manual", f"## Purpose\n\n{corpus.filler(rng, 12)}", *parts]))
    flat = [corpus.filler(rng, 160), rules[10][1].sentence, corpus.filler(rng, 160), rules[11][1].sentence, corpus.filler(rng, 130)]
    paragraph = corpus.Document("paragraph", "Conditions", " ".join(flat))
    questions = [replace(rule, document="manual" if at < 10 else "paragraph") for at, (_, rule) in enumerate(rules)]
    house = incident.House(scene)

    async def play():
        saved = await house.save([manual, paragraph])
        assert saved.status == 200, f"two long documents are saved, and that is answered {saved.told}"
        return await house.ask_all(questions)

    ends = incident.Ends(tuple(house.run(play)))
    missing = [each for each in ends.asked if not each.is_given]
    given = len(ends.asked) - len(missing)
    sees = f"12 fees stand deep in two long documents, and the model is given {given} of them"
    expect("given", given, at_least=10, unit="fees", code="not-found", sees=sees, **incident.told(missing))
    right = len(ends.of("right"))
    sees = f"12 fees stand deep in two long documents, and {right} questions are answered right"
    told = incident.told(ends.of("wrong"))
    expect("right", right, at_least=9, unit="answers", code="not-found", sees=sees, **told)


@pytest.mark.pattern("metadata-first-retrieval")
def test_what_is_in_force(scene, incident, probes):
    """admits: the region, the first day and the last, and nothing that does not say."""
    rng = scene.rng("days")
    day = date(2024, 1, 1) + timedelta(days=rng.randrange(700))
    before, after, later = (str(day + timedelta(days=days)) for days in (-1, 1, 90))
    day = str(day)
    region, other = rng.sample(["europe", "america", "asia", "africa"], 2)
    cases = []

    def case(holds, why, when=day, where=region, **metadata):
        cases.append((holds, why, where, when, metadata))

    case(True, "it holds from this day on", region=region, effective_from=day, effective_to=None)
    case(True, "it holds from this day on", region=region, effective_from=day)
    case(False, "it holds from tomorrow on", region=region, effective_from=after, effective_to=None)
    case(True, "this is its last day", region=region, effective_from="2023-01-01", effective_to=after)
    case(False, "it has ceased to hold today", region=region, effective_from="2023-01-01", effective_to=day)
    case(True, "it holds everywhere", region="all", effective_from=before, effective_to=later)
    case(False, "it is another region's", region=other, effective_from=before, effective_to=later)
    case(False, "it is of no region", effective_from=before, effective_to=later)
    case(False, "it is of no region", region=None, effective_from=before, effective_to=later)
    case(False, "it does not say since when", region=region, effective_to=later)
    case(False, "it does not say since when", region=region, effective_from=None, effective_to=None)
    for odd in ("soon", "2025-02-30", 2025, ""):
        case(False, f"{odd!r} is no day", region=region, effective_from=odd, effective_to=None)
        case(False, f"{odd!r} is no day", region=region, effective_from=before, effective_to=odd)
    case(True, "it held then", when="2023-06-01", region=region, effective_from="2023-01-01", effective_to="2025-03-01")
    case(False, "it did not hold yet", when="2023-06-01", region=region, effective_from="2025-03-01", effective_to=None)
    case(False, "a region is not a part of a name", region=region[:3], effective_from=before)
    rng.shuffle(cases)
    house = incident.House(scene)
    asked = [[where, when, metadata] for _, _, where, when, metadata in cases]
    seen = house.run(lambda: house.host.probe(probes.admitted, asked))
    wrong = [
        f"on {when}, in {where}, {_said(metadata)} is {'admitted' if got else 'not admitted'}, though {why}"
        for (holds, why, where, when, metadata), got in zip(cases, seen, strict=True)
        if got is not holds
    ]
    sees = f"of {len(cases)} documents, {len(wrong)} are taken for what they are not: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("not_in_force", len(wrong), at_most=0, unit="documents", code="not-in-force", sees=sees, story=story)


def _said(metadata):
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in metadata.items())


@pytest.mark.pattern("metadata-first-retrieval")
def test_one_among_five_hundred(scene, incident):
    """One document holds, and 500 read as well: it is found, and no word of them is read."""
    rng = scene.rng("look-alikes")
    topic = rng.choice(sorted(corpus.TOPICS))
    what, question, _ = corpus.TOPICS[topic]
    amounts = rng.sample(range(100, 1000), 501)
    names = sorted(rng.sample(range(1000, 10_000), 501))
    names.insert(0, names.pop(rng.randrange(200, 500)))  # neither its name nor its place gives the right one away

    def policy(number, **rest):
        return corpus.Document(f"terms-{names[number]}", topic, f"# {topic}\n\n{what.format(amounts[number])}.", **rest)

    spans = [("2023-01-01", "2025-03-01"), ("2026-03-01", None), ("2025-03-01", "2026-01-10")]
    alike = [policy(number, region="america") for number in range(1, 250)]
    for number in range(250, 490):
        begin, end = rng.choice(spans)
        alike.append(policy(number, region="europe", effective_from=begin, effective_to=end))
    alike += [policy(number, region=None) for number in range(490, 495)]
    alike += [policy(number, region="europe", effective_from=None) for number in range(495, 498)]
    odd = [policy(498, region="europe", effective_from="")]  # these may be refused
    odd += [policy(number, region="europe", effective_to=end) for number, end in ((499, "soon"), (500, "31.12.2025"))]
    right = policy(0, region="europe", effective_from="2026-01-10")
    rng.shuffle(alike)
    documents = [*alike[:400], right, *alike[400:]]
    sentence = f"{what.format(amounts[0])}."
    asked = corpus.Question(f"What does {question} cost?", "dated", amounts[0], sentence, right.id, "europe", "2026-01-10")
    house = incident.House(scene)
    today = incident.today(house)
    tomorrow = str(date.fromisoformat(today) + timedelta(days=1))
    fees, next_fees = (corpus.rule(rng, name, "Pets" if topic != "Pets" else "Golf") for name in ("fees", "fees-next"))
    turn = [replace(fees[0], effective_to=tomorrow), replace(next_fees[0], effective_from=tomorrow)]
    undated = replace(fees[1], as_of=""), replace(next_fees[1], as_of="")

    async def play():
        await house.save(odd)
        await house.save([*documents, *turn])
        first, now = await house.ask(asked), await house.ask(undated[0])
        house.host.set_wall_clock(86_400)
        then = await house.ask(undated[1])
        await house.edit(replace(right, effective_to=asked.as_of))
        return first, now, then, await house.ask(asked)

    found, now, then, ended = house.run(play)
    others = [amount for amount in amounts[1:] if f" {amount} euros" in found.prompt]
    sees = f"of 501 documents one holds here and today; the model reads {len(others)} others, and answers: {found.answer.text}"
    told = incident.told([found])
    expect("others", len(others), at_most=0, unit="documents", code="not-in-force", sees=sees, **told)
    said = f"what is said is “{found.answer.text}”" if found.answer.text else "nobody is told anything"
    sees = f"of 501 documents one holds here and today, and the model is not given it; {said}"
    expect("missed", int(not found.is_given), at_most=0, unit="documents", code="not-found", sees=sees, **told)
    sees = "its last day is set, nothing else of it is changed, and the model is given it as before"
    told = incident.told([ended])
    expect("ended", int(ended.is_given), at_most=0, unit="documents", code="stale", sees=sees, **told)
    wrong = [each for each in (now, then) if not each.is_given]
    sees = f"nobody says a day, a fee changes at midnight, and {len(wrong)} of 2 travellers are not given that of their day"
    expect("today", len(wrong), at_most=0, unit="answers", code="not-in-force", sees=sees, **incident.told(wrong))


@pytest.mark.pattern("metadata-first-retrieval", "chunked-retrieval")
def test_the_first_rung(scene, incident):
    """The morning's questions: 65 % are answered right, and nobody is told what is superseded, or another region's."""
    made = incident.corpus_of(scene)
    _, ends = incident.morning(scene, made, incident.some(scene, made, **incident.RUNG, unanswerable=8))
    documents = {document.id: document for document in made.documents}
    paper = []
    for each in ends.asked:
        cited = [documents.get(str(citation.get("document"))) for citation in each.answer.citations]
        if each.end in ("right", "wrong", "invented") and any(
            one and not incident.in_force(one, each.question) for one in cited
        ):
            paper.append(each)
    sees = f"of {len(ends.asked)} questions, {len(paper)} are answered from a document that does not hold, and cite it"
    told = incident.told(paper)
    expect("wrong_paper", len(paper), at_most=0, unit="answers", code="wrong-paper", sees=sees, **told)
    right = ends.percent("right")
    sees = f"of the questions that have an answer, {right:.0f} % are answered right"
    told = incident.told(ends.of("wrong"))
    expect("right", right, at_least=65, unit="%", code="wrong-answers", sees=sees, **told)
