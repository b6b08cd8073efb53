"""Stage 3, too much to read: what fits the window, what is read at all, and what is worth its tokens.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

from dataclasses import replace

import pytest
from grader.plugin import expect
from grader.world import corpus, reader, tokenizer

pytestmark = pytest.mark.stage(3)

TOKENS = 250  # that the model reads for one question, on average


def _passage(rng, number):
    """Codes and digits have more tokens than letters by four would say."""
    codes = " ".join(corpus.code_names(rng, rng.randrange(1, 5)))
    return f"[fare-{number}] {codes}\n{corpus.filler(rng, rng.randrange(1, 3))} It costs {rng.randrange(1000, 99_999)} euros."


@pytest.mark.pattern("context-budgeting")
def test_what_fits_is_packed(scene, incident, probes):
    """room and pack: to the token, whole passages only, the best at the edges."""
    rng = scene.rng("budgets")
    messages = [f"Answer from these: {corpus.filler(rng, 1)}", f"What does fare {corpus.code_names(rng, 1)[0]} cost?"]
    used = sum(tokenizer.count(text) + 4 for text in messages)
    rooms = [[2_000, 64, messages], [used + 64, 64, messages], [used + 65, 64, messages], [100, 64, messages * 9]]
    rooms += [[500, 0, []], [2_000, 300, [""]]]
    due = [2_000 - 64 - used, 0, 1, 0, 500, 2_000 - 300 - 4]
    passages = [_passage(rng, number) for number in range(12)]
    sizes = [tokenizer.count(passage) for passage in passages]
    cases = [[passages, 100_000], [passages, sum(sizes)], [passages, sum(sizes) - 1], [passages, 0], [[], 500]]
    for count in (1, 2, 3, 5):
        cases += [[passages, sum(sizes[:count])], [passages, sum(sizes[:count]) - 1], [passages[:count], sum(sizes[:count])]]
    giant = "\n".join(passages[2:])
    cases += [[[giant, *passages[:2]], sizes[0] + sizes[1]], [[passages[0], giant, passages[1]], sizes[0] + sizes[1]]]
    house = incident.House(scene)
    seen, packs = house.run(lambda: _both(house, probes, rooms, cases))
    wrong = [
        f"a window of {window}, {reserve} for the answer, {len(some)} messages of {sum(map(tokenizer.count, some))} tokens: "
        f"{got} are left, and not {right}"
        for (window, reserve, some), got, right in zip(rooms, seen, due, strict=True) if got != right
    ]  # fmt: skip
    for (some, budget), got in zip(cases, packs, strict=True):
        fitting, left = [], budget
        for passage in some:
            if tokenizer.count(passage) <= left:
                fitting.append(passage)
                left -= tokenizer.count(passage)
        size = sum(map(tokenizer.count, got))
        what = f"{len(some)} passages of {sum(map(tokenizer.count, some))} tokens into {budget}"
        if size > budget:
            wrong.append(f"{what}: {size} are packed")
        elif any(passage not in some for passage in got) or len(set(got)) < len(got):
            wrong.append(f"{what}: a passage is in pieces, or there twice")
        elif sorted(got) != sorted(fitting):
            wrong.append(f"{what}: {len(fitting)} fit, best first, and {len(got)} are packed, or others")
        elif len(got) > 1 and {got[0], got[-1]} != set(fitting[:2]):
            places = [got.index(passage) + 1 for passage in fitting[:2]]
            wrong.append(f"{what}: the two best are number {places[0]} and {places[1]} of {len(got)}, not at the edges")
    sees = f"of {len(rooms) + len(cases)} prompts, {len(wrong)} are packed wrongly: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_packs", len(wrong), at_most=0, unit="prompts", code="wrong-pack", sees=sees, story=story)


async def _both(house, probes, rooms, cases):
    return await house.host.probe(probes.rooms, rooms), await house.host.probe(probes.packed, cases)


CHATTER = "as it is so we do go to be he by if in no of on or us up at me my an am oh well".split()[:-1]


@pytest.mark.pattern("context-budgeting")
def test_a_long_question_is_not_cut(scene, incident):
    """Whoever tells his whole story first is answered like everybody else, up to the last token of the window."""
    rng = scene.rng("stories")
    made = incident.corpus_of(scene)
    documents = [document for document in made.documents if document.id.startswith(("rule-", "manual"))]
    rules = rng.sample(made.of("plain"), 6)
    house = incident.House(scene)
    long = []
    for rule, tokens in zip(rules, (300, 900, 1_300, 1_500, 1_750, 1_840), strict=True):
        story = []
        while sum(map(tokenizer.count, story)) < tokens:
            story.append(f"So {' '.join(rng.sample(CHATTER, 7))}, {' '.join(rng.sample(CHATTER, 5))}, I.")
        long.append(replace(rule, text=" ".join([*story, rule.text])))
    endless = replace(rules[0], text=f"{corpus.filler(rng, 120)} {rules[0].text}")

    async def play():
        await house.save(documents)
        return await house.ask_all(long), await house.ask(endless)

    asked, beyond = house.run(play)
    refused = [entry for entry in house.calls(incident.CHAT) if entry.status == 400]
    sees = f"of {len(asked) + 1} long questions, {len(refused)} make a prompt that does not fit the model's window: 400"
    expect("refused", len(refused), at_most=0, unit="prompts", code="too-long", sees=sees, **incident.called(refused))
    cut = [each for each in asked if each.prompt and each.question.text not in each.prompt]
    sees = f"of {len(asked)} long questions, {len(cut)} reach the model without their beginning, or end"
    expect("cut", len(cut), at_most=0, unit="questions", code="cut", sees=sees, **incident.told(cut))
    failed = [each for each in asked if each.answer.status != 200]
    sees = f"{len(asked)} long questions fit the window, and {len(failed)} of them are not answered"
    expect("failed", len(failed), at_most=0, unit="questions", code="too-long", sees=sees, **incident.told(failed))
    given = [each for each in asked if each.is_given]
    sees = f"of {len(asked)} long questions, {len(given)} reach the model together with what answers them"
    expect("given", len(given), at_least=4, unit="questions", code="not-found", sees=sees, **incident.told(asked))
    fine = beyond.answer.abstained or 400 <= beyond.answer.status < 500
    sees = f"a question that is longer than the window is answered {beyond.answer.told}, “{beyond.answer.text[:60]}”"
    expect("beyond", int(not fine), at_most=0, unit="questions", code="too-long", sees=sees, **incident.told([beyond]))


EXTRA = ("But it is waived for children.", "It does not apply in summer.", "Not for groups.", "Except on Sundays.",
         "Unless the carrier agrees.", "This goes for all of 2026.", "However, it is never refunded.")  # fmt: skip


ALIKE = ("Itineraries are printed at the gate.", "Notices hang at the counter.", "Butter is served with bread.",
         "Thistles are no flowers of ours.")  # fmt: skip
"""They begin with letters of such a word, and say nothing of the sentence before."""


@pytest.mark.pattern("compression")
def test_less_is_said_and_nothing_else(scene, incident, probes):
    """compress: to a third, literally, and no fee without its exception."""
    rng = scene.rng("sentences")
    cases, due = [], []
    for _ in range(8):
        sentences, facts = [], []
        for number in range(3):
            sentences += corpus.filler(rng, rng.randrange(2, 5)).replace(". ", ".\n").splitlines()
            code, amount = corpus.code_names(rng, 1)[0], rng.randrange(100, 999)
            fact = [f"With fare {code}, item {number} costs {amount}.50 euros, and not {amount + 5} euros."]
            fact += rng.sample(EXTRA, rng.randrange(0, 3))
            fact += rng.sample(ALIKE, rng.randrange(0, 2))
            facts.append((len(sentences), len(fact)))
            sentences += fact
        scores = [round(rng.uniform(0.0, 0.3), 3) for _ in sentences]
        for rank, (at, _) in enumerate(facts):
            scores[at] = 0.95 - rank / 10
        if facts[-1][1] > 1:  # what matters is what it says of the one before
            at, _ = facts[-1]
            scores[at], scores[at + 1] = 0.1, 0.75
        for most in (0, sum(map(tokenizer.count, sentences)) // 3, sum(map(tokenizer.count, sentences))):
            cases.append([sentences, scores, most])
            due.append(_compressed(sentences, scores, most))
    equal = [f"Charge {letter} is 10 euros." for letter in "ABCDEF"]
    cases.append([equal, [1.0] * 6, 3 * tokenizer.count(equal[0])])
    due.append(equal[:3])
    cases.append([[], [], 100])
    due.append([])
    house = incident.House(scene)
    seen = house.run(lambda: house.host.probe(probes.compressed, cases))
    wrong = []
    for (sentences, _, most), got, right in zip(cases, seen, due, strict=True):
        what = f"{len(sentences)} sentences in {most} tokens"
        changed = [each for each in got if each not in sentences]
        lost = [each for each in right if each not in got]
        if changed:
            wrong.append(f"{what}: nobody has said “{changed[0]}”")
        elif lost:
            wrong.append(f"{what}: “{lost[0]}” is gone")
        elif got != right:
            size = sum(map(tokenizer.count, got))
            wrong.append(f"{what}: {len(got)} sentences are kept, of {size} tokens, and {len(right)} are due, in their order")
    sees = f"of {len(cases)} passages, {len(wrong)} do not say what they said: {wrong[0] if wrong else ''}"
    story = [(0.0, text) for text in wrong[:4]]
    expect("wrong_words", len(wrong), at_most=0, unit="passages", code="wrong-words", sees=sees, story=story)


def _compressed(sentences, scores, most):
    together = []
    for at, sentence in enumerate(sentences):
        if together and sentence.split()[0].strip(",") in DEPENDENT:
            together[-1].append(at)
        else:
            together.append([at])
    kept = []
    for places in sorted(together, key=lambda places: -max(scores[at] for at in places)):
        size = sum(tokenizer.count(sentences[at]) for at in places)
        if size <= most or not kept:
            kept += places
            most -= size
    return [sentences[at] for at in sorted(kept)]


DEPENDENT = frozenset("It This That These They But Except Unless Not However".split())


@pytest.mark.pattern("context-budgeting", "compression")
def test_the_third_rung(scene, incident):
    """The morning's questions: 250 tokens are read for each, and 80 % are answered right."""
    made = incident.corpus_of(scene)
    house, ends = incident.morning(scene, made, incident.some(scene, made, **incident.RUNG))
    tokens = house.tokens(len(ends.asked))
    sees = f"for one question, the model reads {tokens:.0f} tokens"
    calls = sorted(house.calls(incident.CHAT), key=lambda entry: -entry.tokens_in)
    expect("tokens", tokens, at_most=TOKENS, unit="tokens", code="too-much", sees=sees, **incident.called(calls))
    most = calls[0].tokens_in if calls else 0
    sees = f"the largest prompt has {most} tokens, and the window is {reader.WINDOW}"
    calls = incident.called(calls)
    expect("largest", most, at_most=reader.WINDOW - 64, unit="tokens", code="too-long", sees=sees, **calls)
    lost = [(each, exception) for each in ends.asked if (exception := _lost_exception(each, made))]
    story = [(each.answer.asked, f"read is “{each.question.sentence}”, and not what stands behind it: “{exception}”")
             for each, exception in lost[:4]]  # fmt: skip
    sees = f"of {len(ends.asked)} fees, {len(lost)} reach the model without the exception that stands behind them"
    expect("exceptions", len(lost), at_most=1, unit="fees", code="wrong-words", sees=sees, about=incident.ASK, story=story)
    right = ends.percent("right")
    sees = f"of the questions that have an answer, {right:.0f} % are answered right"
    told = incident.told(ends.of("wrong"))
    expect("right", right, at_least=80, unit="%", code="wrong-answers", sees=sees, **told)


def _lost_exception(each, made):
    """What stands behind the fee in its document, depends on it, and does not stand behind it in the prompt."""
    if not each.is_given:
        return ""
    text = next(document.text for document in made.documents if document.id == each.question.document)
    behind = text.partition(each.question.sentence)[2].strip()
    exception = next((words for words in corpus.EXCEPTIONS if behind.startswith(words)), "")
    return "" if exception in each.prompt.partition(each.question.sentence)[2] else exception
