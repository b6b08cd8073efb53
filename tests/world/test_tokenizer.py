"""Tokens are counted as the provider's rules say, and texts are cut between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grader.world import tokenizer


def test_tokens_are_counted_as_the_rules_say() -> None:
    assert tokenizer.count("Baggage costs 12345 €!") == 2 + 1 + 2 + 1 + 1
    assert tokenizer.count_messages(["fee", "fee"]) == 10


@given(st.text(), st.text())
def test_tokens_of_two_texts_add_up(one: str, other: str) -> None:
    assert tokenizer.count(f"{one} {other}") == tokenizer.count(one) + tokenizer.count(other)


@given(st.text(), st.integers(0, 20))
def test_a_cut_text_has_at_most_so_many_tokens_and_is_a_beginning(text: str, limit: int) -> None:
    cut = tokenizer.cut(text, limit)
    assert tokenizer.count(cut) == min(limit, tokenizer.count(text))
    assert text.startswith(cut)
