"""Stage 2, found, but not first: codes and meanings, a cheap look and an expensive one, and who reads both together.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import itertools

import pytest
from grader.plugin import expect
from grader.world import corpus, faults

pytestmark = pytest.mark.stage(2)

TOP = 8
DEPTH = 50
READ = 4_500  # tokens that the reranker reads for one question, at most


@pytest.mark.pattern("hybrid-retrieval")
def test_scores_are_not_compared(scene, incident, probes):
    """fuse: what one scorer knows and the other does not is among the first eight, whatever the scores' scale."""
    rng = scene.rng("scores")
    cases, due = [], []
    for _ in range(6):
        idents = [f"piece-{number}" for number in rng.sample(range(1000), 100)]
        dense = {ident: round(rng.uniform(0.05, 0.6), 4) for ident in idents}
        by_meaning, by_code, both, alone, *hits = rng.sample(idents, 9)
        dense[by_meaning] = 0.9
        dense[by_code] = round(rng.uniform(0.0, 0.3), 4)
        lexical = dict.fromkeys(idents, 0.0) | {by_code: 14.0}
        lexical |= {ident: round(rng.uniform(1.0, 6.0), 4) for ident in hits[: rng.randrange(1, 4)]}
        dense[both], dense[alone], lexical[both] = 0.8, 0.8001, 12.0
        shuffled = {ident: lexical[ident] for ident in rng.sample(idents, 100)}
        few = {ident: score for ident, score in lexical.items() if score}
        scaled = {ident: score * 1000 for ident, score in dense.items()}
        small = {ident: score / 1000 for ident, score in lexical.items()}
        cases += [[dense, lexical], [dense, shuffled], [dense, few], [scaled, lexical], [dense, small], [{}, lexical]]
        due.append((by_meaning, by_code, both, alone, len(few), set(idents)))
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.fused, cases))
    wrong = []
    for number, (by_meaning, by_code, both, alone, few, idents) in enumerate(due):
        plain, shuffled, short, scaled, small, without = seen[number * 6 : number * 6 + 6]
        if by_code not in plain[:TOP]:
            wrong.append(f"only the code finds it, first of {few}, and it is number {_place(plain, by_code)} of 100")
        if by_meaning not in plain[:TOP]:
            wrong.append(f"only the meaning finds it, first of 100, and it is number {_place(plain, by_meaning)}")
        if _place(plain, both) > _place(plain, alone):
            wrong.append("third for one and second for the other, it comes behind what is second for one alone")
        if sorted(plain) != sorted(idents):
            wrong.append(f"of 100 pieces, {len(plain)} are left, {len(set(plain))} of them different")
        if shuffled != plain or short != plain:
            wrong.append("the same scores in another order, or without those of 0, give another order")
        if scaled != plain or small != plain:
            wrong.append("one scorer's scores are multiplied by 1,000, or divided by it, and the order is another")
        if len(without) != few or without[:1] != [by_code]:
            wrong.append(f"{few} of 100 pieces have a word of the question, nothing else is known, and {len(without)} are found")
    sees = f"two scorers are brought together, and that goes wrong {len(wrong)} times: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_order", len(wrong), at_most=0, unit="times", code="wrong-order", sees=sees, story=story)


def _place(order, ident):
    return order.index(ident) + 1 if ident in order else 1_000


@pytest.mark.pattern("hybrid-retrieval")
def test_codes_and_meanings_are_found(scene, incident):
    """What a code alone tells apart is read, and so is what is asked in quite other words; a new fare too, at once."""
    rng = scene.rng("codes")
    made = incident.corpus_of(scene)
    by_code = [corpus.of_fare(rng, made.fares[code], code, at % 2) for at, code in enumerate(rng.sample(made.codes, 10))]
    by_meaning = made.of("paraphrase")
    code = corpus.new_code(rng, made.codes)
    new, rule = corpus.new_fare(rng, code)
    documents = [document for document in made.documents if document.id.startswith(("fare", "news", "rule"))]
    house = incident.House(scene)

    async def play():
        await house.save(documents)
        found = await house.ask_all([*by_code, *by_meaning])
        await house.edit(new)
        return found, await house.ask(rule)

    found, late = house.run(play)
    for kind, what in (("code", "whose code alone tells them apart"), ("paraphrase", "who ask in other words")):
        some = [each for each in found if each.question.kind == kind]
        missing = [each for each in some if not each.is_given]
        share = 100 * (1 - len(missing) / len(some))
        sees = f"of {len(some)} questions {what}, the model is given what they ask for in {share:.0f} %"
        expect(f"given_{kind}", share, at_least=75, unit="%", code="not-found", sees=sees, **incident.told(missing))
    sees = f"fare {code} is new, and somebody asks for it: the model is not given what its document says"
    expect("new_fare", int(not late.is_given), at_most=0, unit="questions", code="stale", sees=sees, **incident.told([late]))


@pytest.mark.pattern("multi-stage-retrieval")
def test_the_expensive_look_is_at_little(scene, incident, probes):
    """search: fifty for the second stage, from however many, and its best eight."""
    rng = scene.rng("stages")
    sizes = [(5_000, DEPTH, TOP), (576, DEPTH, TOP), (51, DEPTH, TOP), (50, DEPTH, TOP), (3, DEPTH, TOP), (1, DEPTH, TOP)]
    sizes += [(0, DEPTH, TOP), (400, rng.randrange(20, 40), rng.randrange(3, 7))]
    cases = [([f"piece-{number}" for number in rng.sample(range(size), size)], n, k) for size, n, k in sizes]
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.stages, [list(case) for case in cases]))
    wrong = []
    for (ranked, n, k), got in zip(cases, seen, strict=True):
        looked = sum(map(len, got["given"]))
        if got["given"] != ([ranked[:n]] if ranked else []):
            wrong.append(f"of {len(ranked)} pieces, {looked} are looked at, in {len(got['given'])} calls; the best {n} are due")
        elif got["found"] != list(reversed(ranked[:n]))[:k]:
            wrong.append(f"of {len(ranked)} pieces, {len(got['found'])} are found, and not the {k} that the second stage liked")
    sees = f"of {len(cases)} searches, {len(wrong)} go wrong: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_searches", len(wrong), at_most=0, unit="searches", code="expensive", sees=sees, story=story)


@pytest.mark.pattern("multi-stage-retrieval")
def test_a_question_costs_the_same_in_a_larger_library(scene, incident):
    """With many times as many documents, the reranker reads no more, and the model is given as much."""
    rng = scene.rng("library")
    made = incident.corpus_of(scene)
    questions = [corpus.of_fare(rng, made.fares[code], code, 0) for code in made.codes]
    few = [document for document, _ in itertools.chain.from_iterable(made.fares.values())]
    codes = [*made.codes]
    more = []
    for _ in range(350):  # more than a reranker reads: codes have to be found before it
        codes.append(corpus.new_code(rng, codes))
        more.append(corpus.new_fare(rng, codes[-1])[0])
    house = incident.House(scene)

    async def play():
        await house.save(few)
        first = await house.ask_all(questions)
        calls = len(house.provider.log)
        await house.save(more)
        return first, calls, await house.ask_all(questions)

    first, calls, later = house.run(play)
    reads = house.calls(incident.RERANK)
    latest = [entry for entry in house.provider.log[calls:] if entry.path == incident.RERANK]
    many = sum(entry.tokens_in for entry in latest) / len(later)
    sees = f"the library has grown by {len(more)} documents, and the reranker reads {many:,.0f} tokens for a question"
    expect("read", many, at_most=READ, unit="tokens", code="expensive", sees=sees, **incident.called(latest))
    sees = "no passage is ever reranked: who has seen question and passage apart decides alone"
    asked = incident.called(house.provider.log[-4:])
    expect("reranked", len(reads), at_least=len(questions), unit="calls", code="not-reranked", sees=sees, **asked)
    for what, asked in (("small", first), ("large", later)):
        missing = [each for each in asked if not each.is_given]
        given, told = len(asked) - len(missing), incident.told(missing)
        sees = f"in the {what} library, the model is given what is asked for in {given} of {len(asked)} cases"
        expect(f"given_{what}", given, at_least=14, unit="questions", code="not-found", sees=sees, **told)


def _rows(scores):
    """What a reranker answers, best first, as Cohere has it."""
    return [{"index": at, "relevance_score": score} for at, score in sorted(enumerate(scores), key=lambda pair: -pair[1])]


@pytest.mark.pattern("re-ranking")
def test_a_better_order_and_nothing_lost(scene, incident, probes):
    """rerank: its order, every passage once, and the first stage's order if it does not answer well."""
    rng = scene.rng("passages")
    question = "What does changing the booking cost?"
    passages = [[f"piece-{number}", corpus.filler(rng, 1)] for number in rng.sample(range(100), 12)]
    scores = [round(number / 20, 2) for number in rng.sample(range(20), 12)]
    tied = [0.5 if number % 2 else 0.25 for number in range(12)]
    rows = _rows(scores)
    order = [[passages[row["index"]][0], row["relevance_score"]] for row in rows]
    first = [[ident, None] for ident, _ in passages]
    mixed = rng.sample(range(12), 12)
    again = [passages[at] for at in mixed]
    ties = sorted(zip(passages, tied, strict=True), key=lambda pair: -pair[1])
    cut = rows[:5]
    left = [passage for at, passage in enumerate(passages) if at not in {row["index"] for row in cut}]
    cases = [
        ("it answers", passages, rows, 0.1, order),
        ("its rows come in another order", passages, rng.sample(rows, 12), 0.1, order),
        ("the passages come in another order", again, _rows([scores[at] for at in mixed]), 0.1, order),
        ("it finds many equally good", passages, rng.sample(_rows(tied), 12), 0.1, [[p[0], s] for p, s in ties]),
        ("it leaves seven out", passages, cut, 0.1, order[:5] + [[ident, None] for ident, _ in left]),
        ("it raises", passages, "raises", 0.1, first),
        ("it takes a minute", passages, rows, 60.0, first),
        ("it answers null", passages, None, 0.0, first),
        ("it names a passage that is none", passages, [*rows[:3], {"index": 12, "relevance_score": 0.9}], 0.0, first),
        ("it names a passage from behind", passages, [*rows[:3], {"index": -1, "relevance_score": 0.9}], 0.0, first),
        ("it says of a passage that it is good", passages, [{"index": 3, "relevance_score": "good"}], 0.0, first),
        ("it answers rows of something else", passages, [{"error": "overloaded"}], 0.0, first),
        ("there is one passage", passages[:1], _rows([0.7]), 0.0, [[passages[0][0], 0.7]]),
    ]
    house = incident.House(scene)
    given = [[question, list(some), answer, wait] for _, some, answer, wait, _ in cases]
    seen = house.run(lambda: house.host.probe(probes.reranked, given))
    wrong = []
    for (what, some, _, wait, due), got in zip(cases, seen, strict=True):
        if got["found"] != due:
            wrong.append(f"{what}: back comes {_order(got['found'])}; due is {_order(due)}")
        if got["took"] > 3:
            wrong.append(f"{what}: the question waits for {got['took']:.0f} s")
        if got["asked"] != [[question, [text for _, text in some]]]:
            wrong.append(f"{what}: it is asked {len(got['asked'])} times, or with something else than question and passages")
    sees = f"of {len(cases)} answers of a reranker, {len(wrong)} come to something else than they should: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_reranked", len(wrong), at_most=0, unit="answers", code="wrong-order", sees=sees, story=story)


def _order(found):
    first = ", ".join(f"{ident} ({score})" for ident, score in found[:3])
    return f"{first}, …" if len(found) > 3 else first


@pytest.mark.pattern("re-ranking")
def test_no_reranker_no_outage(scene, incident):
    """The reranker hangs, then fails: questions are answered within five seconds all the same."""
    made = incident.corpus_of(scene)
    documents = [document for document in made.documents if document.id.startswith("rule-")]
    questions = made.of("plain")[:8]
    when = {"when": lambda call: call.path == incident.RERANK}
    fails = [faults.hanging(0.0, 20.0, **when), faults.failing(20.0, 2_000.0, 503, **when)]
    house = incident.House(scene, fails=fails)

    async def play():
        await house.save(documents)
        hung = await house.ask_all(questions[:4])
        await house.sim.until(max(20.0, house.sim.now))
        return [*hung, *await house.ask_all(questions[4:])]

    asked = house.run(play)
    tried = len(house.calls(incident.RERANK))
    sees = "no passage is ever reranked: who has seen question and passage apart decides alone"
    calls = incident.called(house.provider.log[-4:])
    expect("reranked", tried, at_least=1, unit="calls", code="not-reranked", sees=sees, **calls)  # or a breaker opens
    longest = max(each.answer.ended - each.answer.asked for each in asked)
    sees = f"the reranker is down, and a question takes {longest:.1f} s"
    expect("longest", longest, at_most=5.0, unit="s", code="slow-answers", sees=sees, about="POST /ask")
    right = [each for each in asked if each.end == "right"]
    sees = f"the reranker is down, and of {len(asked)} plain questions {len(right)} are answered right"
    expect("right", len(right), at_least=4, unit="answers", code="wrong-answers", sees=sees, **incident.told(asked))


@pytest.mark.pattern("hybrid-retrieval", "re-ranking")
def test_the_second_rung(scene, incident):
    """The morning's questions: the model is given what is asked for in 90 %, and 80 % are answered right."""
    made = incident.corpus_of(scene)
    _, ends = incident.morning(scene, made, incident.some(scene, made, **incident.RUNG))
    missing = [each for each in ends.answerable if not each.is_given]
    sees = f"of the questions that have an answer, the model is given it in {ends.given:.0f} %"
    expect("given", ends.given, at_least=90, unit="%", code="not-found", sees=sees, **incident.told(missing))
    right = ends.percent("right")
    sees = f"of the questions that have an answer, {right:.0f} % are answered right"
    told = incident.told(ends.of("wrong"))
    expect("right", right, at_least=80, unit="%", code="wrong-answers", sees=sees, **told)
