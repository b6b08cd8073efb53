"""What the small model answers and charges."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.world import model

POLICY = """\
Answer from these sources:
[fare-1] A traveller may change a flexible ticket free of charge. Light fares exclude changes.
[fare-2] The fee for a second bag is 45 euro.
[fare-3] Refunds take seven days.
"""


def ask(text: str, *, system: str = "", wrong_citation: bool = False) -> str:
    turns = [("system", system)] if system else []
    return model.answer([*turns, ("user", text)], wrong_citation=wrong_citation)


def test_a_question_gets_the_sentence_that_shares_most_words_with_its_source() -> None:
    assert ask(POLICY + "What fee do I pay for a second bag?") == "The fee for a second bag is 45 euro. [fare-2]"
    assert ask(POLICY + "Do light fares include changes?") == "Light fares exclude changes. [fare-1]"


def test_context_may_stand_in_the_system_message() -> None:
    assert ask("How long do refunds take?", system=POLICY) == "Refunds take seven days. [fare-3]"


def test_a_question_that_shares_no_word_with_the_context_gets_no_answer() -> None:
    assert ask(POLICY + "Is lunch served?") == "I do not know."
    assert ask("Is lunch served?") == "I do not know."


def test_the_answer_follows_the_context_and_not_the_order_of_the_sources() -> None:
    question = "What fee do I pay for a second bag?"
    lines = POLICY.splitlines()
    turned = "\n".join([lines[0], *reversed(lines[1:]), question])
    assert ask(turned) == ask(POLICY + question)
    assert "60 euro" in ask((POLICY + question).replace("45", "60"))


def test_a_wrong_citation_names_another_source_of_the_context() -> None:
    question = POLICY + "What fee do I pay for a second bag?"
    assert ask(question, wrong_citation=True) == "The fee for a second bag is 45 euro. [fare-3]"


def test_a_wrong_citation_of_the_only_source_names_one_that_is_not_there() -> None:
    assert ask("[a] The fee is 45 euro.\nWhat is the fee?", wrong_citation=True) == "The fee is 45 euro. [0]"


def test_a_summary_is_the_first_sentence_and_the_three_most_frequent_words() -> None:
    text = "Summarise this section:\nBaggage rules changed. Baggage tickets need tickets, baggage and stamps."
    assert ask(text) == "Baggage rules changed. Key terms: baggage, tickets, rules."


def test_the_instruction_may_stand_in_the_system_message() -> None:
    text = "Baggage rules changed. Baggage needs stamps."
    assert ask(text, system="You summarize texts.") == ask(f"Summarise:\n{text}")


def test_an_empty_section_is_said_to_be_empty() -> None:
    assert ask("Summarise:\n") == "There is nothing to summarise."


def test_a_merge_joins_lines_in_order_without_bullets_and_repetitions() -> None:
    assert (
        ask("Merge these summaries:\n- One thing.\n2. Another thing.\n\n- One thing.\n") == "One thing. Another thing."
    )


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=4))
def test_whatever_is_asked_gets_an_answer_and_always_the_same(turns: list[tuple[str, str]]) -> None:
    assert model.answer(turns) == model.answer(turns)


def test_a_charge_is_whole_micro_dollars_rounded_up() -> None:
    large, small = model.PRICES["lark-large"], model.PRICES["lark-small"]
    assert model.charge(large, 1_000, 1_000) == 18_000
    assert model.charge(small, 1, 0) == 1
    assert model.charge(small, 0, 0) == 0
    assert model.charge(model.Price(3_000, 15_000, cached=300), 1_000, 0, cached=900) == 570
    assert model.charge(small, 1_000, 0, cached=900) == 250, "what is kept costs no less where keeping saves nothing"


def test_an_embedding_has_unit_length_ignores_order_and_is_blind_to_codes() -> None:
    vector = model.embed("refund of the second bag")
    assert len(vector) == model.DIMENSIONS
    assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-4)
    assert model.embed("the second bag: refund!") == vector
    assert model.embed("refund of the second bag QX7") == vector
    assert not any(model.embed("QX7"))


def test_relevance_is_the_share_of_the_query_found() -> None:
    assert model.relevance("second bag fee", "The fee for a second seat") == pytest.approx(2 / 3, abs=1e-6)
    assert model.relevance("second bag fee", "nothing") == 0
    assert model.relevance("?", "nothing") == 0


def test_the_rules_name_every_model_and_its_prices() -> None:
    for name, price in model.PRICES.items():
        line = next(line for line in model.RULES.splitlines() if line.startswith(f"  {name} "))
        assert line.split() == [name, str(price.input), str(price.output)]
