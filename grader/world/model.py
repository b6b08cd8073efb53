"""The small deterministic model behind the provider: what it answers, and what tokens cost.

Pure functions of their arguments: no clock, no chance, no I/O. How tokens are counted lives in `tokenizer.py`, HTTP
shapes in `shapes.py`, the queue in `provider.py`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from grader.world import reader, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

DIMENSIONS = 64
_KEPT = 256  # texts whose words are known: the same prompt comes again and again


@dataclass(frozen=True, slots=True)
class Price:
    """Integer micro-dollars per 1,000 tokens. `cached`: of input that was kept; None where keeping saves nothing."""

    input: int
    output: int
    cached: int | None = None


PRICES = {
    "lark-large": Price(3_000, 15_000),
    "lark-small": Price(250, 1_250),
    "lark-embed": Price(20, 0),
    "lark-rerank": Price(100, 0),
    reader.READER: Price(1_000, 5_000),
    reader.ENCODER: Price(20, 0),
    reader.RERANKER: Price(50, 0),
    "lark-agent": Price(500, 2_500),
}

RULES = f"""\
What a model answers depends on the messages alone: the same messages, the same answer.
lark-large and lark-small answer, summarise and merge:
- They obey the last user message. A first line that ends in a colon is the instruction and the rest is the material;
  without one, the system message is the instruction and the whole message is the material.
- Instruction with "merge" or "combine": the lines of the material, without bullets and repeated lines, joined in order.
- Instruction with "summar…": the first sentence of the material, and its three most frequent words of five letters or
  more as key terms.
- Anything else is a question: the last line with a question mark, or else the last line. The answer is the one sentence
  of all other text (system and earlier messages too) that shares most words with it; the earliest wins a tie. If that
  line begins with a source such as [fare-7], the source is cited at the end. No shared word: "I do not know."
- Words shorter than three letters and very common ones do not count. max_tokens cuts the answer.
lark-embed: vectors of {DIMENSIONS} dimensions and unit length. It is blind to words with a digit in them.
lark-rerank: the share of the query's words that the document contains. The query is billed once, with all documents.
Tokens: a run of letters is cut into pieces of at most six, a run of digits into pieces of three; every other visible
character is one token. A chat message adds {tokenizer.MESSAGE}.
Prices in micro-dollars per 1,000 tokens, input and output; a call's cost is rounded up to a whole micro-dollar:
""" + "\n".join(f"  {name:12}{price.input:>6} {price.output:>6}" for name, price in PRICES.items())

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SOURCE = re.compile(r"\s*(?:[-*•]\s*)?\[([\w.:/#-]{1,80})\]\s*")
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)])\s+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        about after also and any are been before but can could did does for from had has have how into its
        long many may more most much must not only our question should than that the their them then there
        these they this those was were what when where which who why will with would you your
        """,
    )
)


def charge(price: Price, tokens_in: int, tokens_out: int, cached: int = 0) -> int:
    """Micro-dollars, rounded up. `cached` of the `tokens_in` are charged as such."""
    kept = price.input if price.cached is None else price.cached
    return -(-((tokens_in - cached) * price.input + cached * kept + tokens_out * price.output) // 1_000)


def answer(messages: Sequence[tuple[str, str]], *, wrong_citation: bool = False) -> str:
    """What the model says to `(role, text)` messages. With `wrong_citation`, it cites another source than it used."""
    last = max((i for i, (role, _) in enumerate(messages) if role == "user"), default=len(messages) - 1)
    request = messages[last][1].strip()
    others = [text for i, (_, text) in enumerate(messages) if i != last]
    first, _, rest = request.partition("\n")
    if first.rstrip().endswith(":"):
        instruction, material = first.lower(), rest
    else:
        instruction = " ".join(text for role, text in messages if role == "system").lower()
        material = request
    if "merge" in instruction or "combine" in instruction:
        return _merged(material)
    if "summar" in instruction:
        return _summary(material)
    return _found(others, material, wrong_citation=wrong_citation)


def embed(text: str) -> list[float]:
    """A vector of unit length, or of zeros when no word is left."""
    vector = [0.0] * DIMENSIONS
    for word in _words(text):
        if not any(letter.isdigit() for letter in word):
            place, sign = _direction(word)
            vector[place] += sign
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [round(x / length, 6) for x in vector]


def relevance(query: str, document: str) -> float:
    """From 0 to 1: the share of the query's words that the document contains."""
    wanted = set(_words(query))
    return round(len(wanted & set(_words(document))) / len(wanted), 6) if wanted else 0.0


@lru_cache(_KEPT)
def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in _COMMON)


def _sentences(text: str) -> list[str]:
    return [part for line in text.splitlines() for part in _SENTENCE_END.split(line.strip()) if part]


def _merged(material: str) -> str:
    lines = (_BULLET.sub("", line, count=1).strip() for line in material.splitlines())
    return " ".join(dict.fromkeys(line for line in lines if line))


def _summary(material: str) -> str:
    sentences = _sentences(material)
    if not sentences:
        return "There is nothing to summarise."
    terms = Counter(word for word in _words(material) if len(word) >= 5 and word.isalpha())
    if not terms:
        return sentences[0]
    return f"{sentences[0]} Key terms: {', '.join(term for term, _ in terms.most_common(3))}."


def _found(others: list[str], material: str, *, wrong_citation: bool) -> str:
    lines = material.splitlines()
    asked = max((i for i, line in enumerate(lines) if "?" in line), default=len(lines) - 1)
    wanted = set(_words(lines[asked])) if lines else set()
    context = [line for text in others for line in text.splitlines()] + lines[:asked] + lines[asked + 1 :]
    best, best_shared, cited = "", 0, ""
    sources: list[str] = []
    for line in context:
        match = _SOURCE.match(line)
        if match:
            sources.append(match[1])
            line = line[match.end() :]
        for sentence in _sentences(line):
            shared = len(wanted & set(_words(sentence)))
            if shared > best_shared:
                best, best_shared, cited = sentence, shared, match[1] if match else ""
    if not best:
        return "I do not know."
    if cited and wrong_citation:
        cited = next((source for source in reversed(sources) if source != cited), "0")
    return f"{best} [{cited}]" if cited else best


@lru_cache(maxsize=16_384)
def _direction(word: str) -> tuple[int, float]:
    digest = hashlib.sha256(word.encode()).digest()
    return digest[0] % DIMENSIONS, 1.0 if digest[1] % 2 else -1.0
