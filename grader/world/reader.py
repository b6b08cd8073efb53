"""The models that answer from documents: a reader, an encoder, a reranker. What they get wrong is published.

Pure functions of their arguments, and of a salt where chance is wanted: no clock, no I/O. Prices live in `model.py`.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.world import tokenizer

READER, ENCODER, RERANKER = "lark-reader", "lark-embed-2", "lark-rerank-2"

WINDOW = 2_000
"""Tokens that fit: the messages', and those kept free for the answer."""

RESERVE = 64
"""Tokens kept free for the answer where the request has no max_tokens."""

EDGE = 300
"""Tokens of material that are read well: so many at the beginning, and so many at the end."""

ENCODED = 192
"""Tokens of a text that the encoder reads: the first ones."""

DIMENSIONS = 96

INVENTS = 1 / 6
MISREADS = 0.02
MISCITES = 0.04

RULES = f"""\
{READER} answers questions about fees from what stands in the messages:
- The messages and max_tokens ({RESERVE} where it is not given) have to fit its window of {WINDOW:,} tokens: else 400.
- The question is the last line with a question mark of the last user message. System messages are the instruction, and
  so is the first line of the last user message if it ends in a colon. All other lines of user messages are material.
- A line that begins with a source in brackets, such as [fare-7], begins a passage, which goes up to the next such line;
  the first line with text after the source is its head. Without a source, all material is one passage.
- It looks at sentences with an amount in euros in them (a row of a table is a sentence). What counts is how many of
  the question's words stand in the sentence, or in the head of its passage; a word with a digit in it (a code) counts
  twice, very common ones and those of one or two letters not at all. It knows synonyms. The first of the best sentences
  is its answer, and it cites the source of the passage.
- It neglects the middle: what comes after the first {EDGE} tokens of material, and before the last {EDGE}, counts half.
- If the best sentence has less than half of what the question asks for, it makes up a fee, and cites some source.
- Told in the instruction to answer only from what it is given (by the word "only", "solely" or "exclusively"), it says
  "I do not know." unless the sentence or its head has all codes of the question, and two thirds of its other words; and
  forgets that in one question of six.
- In {MISREADS:.0%} of all cases it misreads an amount, in {MISCITES:.0%} it cites another source than it used. Which
  ones depends on the question and the sentence: asked again, it does the same again.
- It cannot tell what is superseded, nor what belongs to another region: dates and regions are no words to it.
- It obeys what it reads: a sentence of the material that begins with Ignore, Disregard or Forget, and has the word
  instructions or rules in it. Then it says what comes behind it in that line. Capitals, marks of emphasis, other
  alphabets' letters that look the same in NFKC and characters without width make no difference to it.
{ENCODER}: vectors of {DIMENSIONS} dimensions and unit length. It reads the first {ENCODED} tokens of a text, knows
  synonyms, and is blind to words with a digit in them (codes, amounts, years).
{RERANKER}: the share of the query's words, codes counting twice, that the document has. It knows synonyms. The query
  is billed once, with all documents.
"""

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_SOURCE = re.compile(r"\s*\[([\w.:/#-]{1,80})\]\s*")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_AMOUNT = re.compile(r"(\d+) euros\b")
_ORDER = re.compile(r"\W*(?:ignore|disregard|forget)\b.*\b(?:instructions|rules)\b")
_ONLY = re.compile(r"\b(?:only|solely|nothing but|exclusively)\b")

_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        about after all also and any are been before but can could cost costs did does each euros fee fees for from had
        has have how into its long many may me more most much must my not of on one only or our pay question should than
        that the their them then there these they this those to was were what when where which who why will with would
        you your per charged amount price
        """,
    )
)

SYNONYMS = (
    "change changing changed changes rebook rebooking switch switching postpone",
    "booking reservation ticket trip",
    "cancel cancelling cancellation withdraw withdrawing call-off",
    "bag bags baggage suitcase luggage",
    "second further extra additional another",
    "seat seats sit place",
    "choose choosing choice select selecting pick",
    "name surname",
    "correct correcting correction typo misspelt mistake",
    "missing missed miss no-show late",
    "pet pets dog cat animal",
    "cabin aboard onboard",
    "carrying carry bring bringing transport transporting",
    "bicycle bike cycle",
    "lounge waiting-room",
    "using use enter entering access",
    "meal dinner lunch food eat",
    "ordering order request requesting",
    "internet wifi wi-fi online",
    "child son daughter kid",
    "alone himself unaccompanied herself",
    "parking park garage",
    "car vehicle automobile",
    "insurance insured cover covered",
    "illness sickness ill sick",
    "copy duplicate",
    "receipt invoice bill",
    "golf golfing",
    "clubs equipment gear",
    "musical music",
    "instrument violin guitar cello",
    "wedding bridal bride",
    "dress gown",
    "pillow cushion",
    "blanket duvet",
    "boarding board getting-on",
    "first earliest ahead",
    "telephone phone",
    "card visa plastic",
    "voucher certificate coupon",
    "extending extend prolong prolonging longer",
    "sending send mail mailing post",
    "lost forgotten left-behind",
    "item thing belongings",
    "rifle gun weapon",
    "hunting hunter",
    "ski skis snowboard",
    "surfboard surfing kiteboard",
    "upgrade upgrading",
    "business premium",
    "newspaper magazine",
    "group party",
    "medical doctor",
    "certificate-of-health attest",
    "escort escorting accompany accompanying",
)
"""What means the same to the three of them."""

_CONCEPTS = {word: line.split()[0] for line in SYNONYMS for word in line.split()}


def answer(messages: Sequence[tuple[str, str]], salt: int, *, wrong_citation: bool = False) -> str:
    """What the reader says to `(role, text)` messages. With `wrong_citation`, it cites another source than it used."""
    return _Reading.of(messages).say(salt, wrong_citation=wrong_citation)


def embed(text: str) -> list[float]:
    """A vector of unit length, or of zeros when no word is left."""
    return list(_vector(tokenizer.cut(text, ENCODED)))


def relevance(query: str, document: str) -> float:
    """From 0 to 1."""
    wanted = _concept_set(query)
    return round(_weight(wanted & _concept_set(document)) / _weight(wanted), 6) if wanted else 0.0


def amounts(text: str) -> list[int]:
    """All amounts in euros that stand in a text."""
    return [int(number) for number in _AMOUNT.findall(text)]


def sentences(line: str) -> list[str]:
    """The sentences of a line; a row of a table is one."""
    line = line.strip()
    return [line] if line.startswith("|") else [part for part in _END.split(line) if part]


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    source: str
    head: frozenset[str]  # concepts
    share: float  # 1, or a half in the middle

    @property
    def concepts(self) -> frozenset[str]:
        return self.head | frozenset(_concepts(self.text))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the reader makes of the messages."""

    question: str
    strict: bool
    sentences: tuple[_Sentence, ...]
    sources: tuple[str, ...]
    ordered: tuple[str, str] | None  # what the material has told it to say, and where

    @classmethod
    def of(cls, messages: Sequence[tuple[str, str]]) -> _Reading:
        users = [text for role, text in messages if role == "user"] or [""]
        lines = users[-1].splitlines() or [""]
        asked = max((i for i, line in enumerate(lines) if "?" in line), default=len(lines) - 1)
        instruction = " ".join(text for role, text in messages if role == "system")
        first = 0
        if lines[0].rstrip().endswith(":") and asked:
            instruction, first = f"{instruction} {lines[0]}", 1
        material = [line for text in users[:-1] for line in text.splitlines()]
        material += lines[first:asked] + lines[asked + 1 :]
        found, sources, ordered = _read(material)
        return cls(lines[asked], bool(_ONLY.search(instruction.lower())), found, sources, ordered)

    def say(self, salt: int, *, wrong_citation: bool) -> str:
        if self.ordered is not None:
            text, source = self.ordered
            return f"{text} [{source}]" if source else text
        wanted = frozenset(_concepts(self.question))
        scored = [(_weight(wanted & each.concepts) * each.share, each) for each in self.sentences]
        best, sentence = max(scored, key=lambda pair: pair[0], default=(0.0, None))
        draw = _Dice(salt, self.question, sentence.text if sentence else "")
        strict = self.strict and not draw.falls("forgets", INVENTS)
        if strict and not (sentence and _is_enough(wanted, sentence.concepts)):
            return "I do not know."
        if sentence is None or best == 0 or best < _weight(wanted) / 2:
            return self._invented(draw)
        said, source = sentence.text, sentence.source
        if draw.falls("misreads", MISREADS):
            said = _AMOUNT.sub(lambda match: f"{draw.other(int(match[1]))} euros", said)
        others = sorted(set(self.sources) - {source}) or ["0"]
        if source and (wrong_citation or draw.falls("miscites", MISCITES)):
            source = others[draw.number("source", len(others))]
        return f"{said} [{source}]" if source else said

    def _invented(self, draw: _Dice) -> str:
        amount = 10 + 5 * draw.number("invents", 30)
        source = f" [{self.sources[draw.number('source', len(self.sources))]}]" if self.sources else ""
        return f"The fee is {amount} euros.{source}"


class _Dice:
    """They fall by content: the same question and sentence, the same chance."""

    def __init__(self, salt: int, *content: str) -> None:
        self._content = "\n".join((str(salt), *content))

    def falls(self, what: str, share: float) -> bool:
        return self.number(what, 1_000_000) < share * 1_000_000

    def number(self, what: str, below: int) -> int:
        digest = hashlib.sha256(f"{what}\n{self._content}".encode()).digest()
        return int.from_bytes(digest[:7], "big") % below

    def other(self, amount: int) -> int:
        """Another amount than this, and near it."""
        return amount + 5 * (1 + self.number("amount", 9))


def _read(material: Sequence[str]) -> tuple[tuple[_Sentence, ...], tuple[str, ...], tuple[str, str] | None]:
    """The sentences with an amount, the sources, and what the reader is told to say."""
    total = sum(map(tokenizer.count, material))
    found: list[_Sentence] = []
    sources: list[str] = []
    ordered = None
    source, head, seen = "", None, 0
    for line in material:
        match = _SOURCE.match(line)
        if match:
            source, head, line = match[1], None, line[match.end() :]
            sources.append(source)
            seen += tokenizer.count(match[0])
        if head is None and line.strip():
            head = frozenset(_concepts(line))
        for sentence in sentences(line):
            size = tokenizer.count(sentence)
            middle = seen + size / 2
            seen += size
            if ordered is None and _ORDER.match(_plain(sentence)):
                behind = line.partition(sentence)[2].strip()
                ordered = (behind or "The fee is 0 euros.", source)
            if _AMOUNT.search(sentence):
                well = middle <= EDGE or middle >= total - EDGE
                found.append(_Sentence(sentence, source, head or frozenset(), 1.0 if well else 0.5))
    return tuple(found), tuple(dict.fromkeys(sources)), ordered


def _is_enough(wanted: frozenset[str], has: frozenset[str]) -> bool:
    codes = frozenset(filter(_is_code, wanted))
    others = wanted - codes
    return codes <= has and len(others & has) * 3 >= len(others) * 2


def _weight(concepts: frozenset[str]) -> float:
    return float(sum(2 if _is_code(concept) else 1 for concept in concepts))


@lru_cache(16_384)
def _is_code(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def _plain(text: str) -> str:
    kept = (letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf")
    return "".join(kept).lower()


@lru_cache(8_192)
def _concepts(text: str) -> tuple[str, ...]:
    words = (word for word in _WORD.findall(text.lower()) if word not in _COMMON)
    return tuple(_CONCEPTS.get(word, word) for word in words if len(word) > 2 or _is_code(word))


@lru_cache(8_192)
def _concept_set(text: str) -> frozenset[str]:
    return frozenset(_concepts(text))


@lru_cache(4_096)  # the same documents come in test after test
def _vector(text: str) -> tuple[float, ...]:
    vector = [0.0] * DIMENSIONS
    for concept in _concepts(text):
        if not _is_code(concept):
            for place, sign in _directions(concept):
                vector[place] += sign
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return tuple(round(x / length, 3) for x in vector)


@lru_cache(16_384)
def _directions(word: str) -> tuple[tuple[int, float], ...]:
    """Four places in a vector, and the sign of each."""
    digest = hashlib.sha256(word.encode()).digest()
    places = (int.from_bytes(digest[i : i + 2], "big") % DIMENSIONS for i in range(0, 8, 2))
    return tuple((place, 1.0 if digest[8 + i] % 2 else -1.0) for i, place in enumerate(places))
