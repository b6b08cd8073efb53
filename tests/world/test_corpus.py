"""The corpus: one seed, one corpus; questions whose truth is in it; and a ladder whose rungs keep their order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

import pytest

from grader.world import corpus, reader
from grader.world.corpus import Corpus, Document, Question

SEEDS = (1, 2, 3)


def in_force(document: Document, question: Question) -> bool:
    begin, end = document.effective_from or "9", document.effective_to or "9"
    return document.region in ("all", question.region) and begin <= question.as_of < end


def test_one_seed_makes_one_corpus() -> None:
    assert corpus.make(Random(7)) == corpus.make(Random(7))
    assert corpus.make(Random(7)) != corpus.make(Random(8))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_truth_stands_in_one_document_that_holds(seed: int) -> None:
    made = corpus.make(Random(seed))
    assert len({document.id for document in made.documents}) == len(made.documents)
    for question in made.questions:
        holding = [document for document in made.documents if in_force(document, question)]
        if question.amount is None:
            assert not question.sentence
        else:
            saying = [document.id for document in holding if document.id == question.document]
            assert saying == [question.document]
            text = next(document.text for document in holding if document.id == question.document)
            assert text.count(question.sentence) == 1
            assert reader.amounts(question.sentence) == [question.amount]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_has_no_answer_has_none(seed: int) -> None:
    made = corpus.make(Random(seed))
    unanswerable = made.of("unanswerable")
    assert len(unanswerable) == 8
    for question in unanswerable:
        for document in made.documents:
            for piece in _pieces(document) if in_force(document, question) else ():
                assert not reader.amounts(piece) or reader.relevance(question.text, piece) < 0.65, piece


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_question_is_asked(seed: int) -> None:
    made = corpus.make(Random(seed))
    kinds = {kind: len(made.of(kind)) for kind in ("plain", "paraphrase", "deep", "dated", "code")}
    assert min(kinds.values()) >= 6
    assert 45 <= sum(kinds.values()) <= 60


@dataclass(frozen=True)
class Rung:
    """A way to answer: in pieces, what holds only, reranked, told to use nothing else, looked up."""

    pieces: bool = False
    holds: bool = False
    reranked: bool = False
    strict: bool = False
    checked: bool = False


LADDER = (
    Rung(),
    Rung(pieces=True),
    Rung(pieces=True, holds=True),
    Rung(pieces=True, holds=True, reranked=True),
    Rung(pieces=True, holds=True, reranked=True, strict=True),
    Rung(pieces=True, holds=True, reranked=True, strict=True, checked=True),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rungs_have_one_order(seed: int) -> None:
    made = corpus.make(Random(seed))
    ends = [_climbed(made, rung, seed) for rung in LADDER]
    right, invented = [each[0] for each in ends], [each[1] for each in ends]
    assert 0.25 <= right[0] <= 0.5
    assert right[0] < right[1] < right[2] < right[3]
    assert right[3] >= 0.9
    assert right[5] >= 0.8
    assert invented[0] == 1.0
    assert invented[3] >= 0.8
    assert invented[4] <= 0.5
    assert invented[5] == 0.0
    without = _climbed(made, Rung(pieces=True, reranked=True, strict=True, checked=True), seed)
    assert without[2] >= 0.2  # wrong, though it is looked up: the paper is the wrong one


def _climbed(made: Corpus, rung: Rung, salt: int) -> tuple[float, float, float]:
    """Shares: right and wrong, of those with an answer; invented, of those without."""
    vectors: dict[str, list[float]] = {}
    ends = {"right": 0, "wrong": 0, "invented": 0}
    for question in made.questions:
        found = _ranked(made, rung, question, vectors)
        passages = {f"p{number}": text for number, text in enumerate(found)}
        if not passages or (rung.checked and reader.relevance(question.text, found[0]) < 0.65):
            continue
        context = [f"[{name}] {text}" for name, text in passages.items()]
        system = "Answer only from the passages." if rung.strict else "Answer."
        said = reader.answer([("system", system), ("user", "\n".join([*context, question.text]))], salt)
        if rung.checked:
            match = re.fullmatch(r"(.*) \[(p\d+)\]", said)
            codes = re.findall(r"\b[A-Z]\d[A-Z]\b", question.text)
            if not match or match[1] not in passages[match[2]] or not all(code in passages[match[2]] for code in codes):
                continue
        amounts = reader.amounts(said)
        if amounts:
            truth = question.amount
            ends["invented" if truth is None else "right" if amounts == [truth] else "wrong"] += 1
    answerable = sum(question.amount is not None for question in made.questions)
    return ends["right"] / answerable, ends["invented"] / 8, ends["wrong"] / answerable


def _ranked(made: Corpus, rung: Rung, question: Question, vectors: dict[str, list[float]]) -> list[str]:
    texts = [
        text
        for document in made.documents
        if not rung.holds or in_force(document, question)
        for text in (_pieces(document) if rung.pieces else [document.text[:1500]])
    ]
    asked = reader.embed(question.text)
    for text in texts:
        if text not in vectors:
            vectors[text] = reader.embed(text)
    if rung.reranked:
        return sorted(texts, key=lambda text: -reader.relevance(question.text, text))[:3]
    near = {text: sum(a * b for a, b in zip(asked, vectors[text], strict=True)) for text in texts}
    return sorted(texts, key=lambda text: -near[text])[: 8 if rung.pieces else 4]


def _pieces(document: Document) -> list[str]:
    pieces, title, section = [], "", ""
    for block in document.text.split("\n\n"):
        if block.startswith("## "):
            section = block[3:]
        elif block.startswith("# "):
            title = block[2:]
        else:
            pieces.append(f"{title} {section}\n{block}")
    return pieces
