"""A generated corpus of fare policies, and questions of which the truth is known. Everything comes from a given Random.

Fares, which differ in a code alone; house rules, each about something else; rules with versions and regions, which read
alike; manuals, in which a rule stands deep; and news that name a code and say nothing. What reads them is `reader.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

REGIONS = ("europe", "america")
CHANGED = "2025-03-01"
"""The day on which the newer versions took effect."""

BEGAN = "2023-01-01"

TODAY = "2026-01-10"

CHARGES = {
    "Changes": (
        "Changing the booking costs {} euros",
        "What does changing the booking cost with fare {}?",
        "How much is it to switch my reservation if I have fare {}?",
    ),
    "Cancellation": (
        "Cancelling costs {} euros",
        "What does cancelling cost with fare {}?",
        "How much do I lose if I withdraw, with fare {}?",
    ),
    "Baggage": (
        "A second bag costs {} euros",
        "What does a second bag cost with fare {}?",
        "How much for additional luggage with fare {}?",
    ),
    "Seats": (
        "Choosing a seat costs {} euros",
        "What does choosing a seat cost with fare {}?",
        "How much is it to pick where I sit with fare {}?",
    ),
    "Names": (
        "Correcting a name costs {} euros",
        "What does correcting a name cost with fare {}?",
        "There is a typo in my surname: how much is that with fare {}?",
    ),
    "No-show": (
        "Missing the flight costs {} euros",
        "What does missing the flight cost with fare {}?",
        "How much if I am late for the flight with fare {}?",
    ),
}
"""What each fare charges for: the sentence, a question in its words, and one in others."""

TOPICS = {
    "Pets": ("Taking a pet into the cabin costs {} euros", "taking a pet into the cabin", "my dog comes aboard"),
    "Bicycles": ("Carrying a bicycle costs {} euros", "carrying a bicycle", "I bring my bike"),
    "Lounge": ("Using the lounge costs {} euros", "using the lounge", "I enter the waiting-room"),
    "Meals": ("Ordering a meal costs {} euros", "ordering a meal", "I request dinner"),
    "Internet": ("Using the internet costs {} euros", "using the internet", "I access wifi"),
    "Escort": ("Escorting a child costs {} euros", "escorting a child", "you accompany my daughter"),
    "Parking": ("Parking a car costs {} euros", "parking a car", "I use the garage for my vehicle"),
    "Insurance": ("Insurance against illness costs {} euros", "insurance against illness", "I am covered when sick"),
    "Receipts": ("A copy of the receipt costs {} euros", "a copy of the receipt", "I want a duplicate invoice"),
    "Golf": ("Taking golf clubs along costs {} euros", "taking golf clubs along", "I have golfing equipment"),
    "Music": ("A musical instrument costs {} euros", "a musical instrument", "I play music on my violin"),
    "Weddings": ("Hanging a wedding dress costs {} euros", "hanging a wedding dress", "the bride has a bridal gown"),
    "Bedding": ("A pillow and a blanket cost {} euros", "a pillow and a blanket", "I want a cushion and a duvet"),
    "Boarding": ("Boarding first costs {} euros", "boarding first", "getting-on ahead"),
    "Telephone": ("Ordering by telephone costs {} euros", "ordering by telephone", "requesting it by phone"),
    "Cards": ("Paying by card costs {} euros", "paying by card", "paying with plastic"),
    "Vouchers": ("Extending a voucher costs {} euros", "extending a voucher", "prolonging my coupon"),
    "Lost property": ("Sending a lost item costs {} euros", "sending a lost item", "you mail my forgotten belongings"),
    "Rifles": ("A hunting rifle costs {} euros", "a hunting rifle", "I am a hunter with a gun"),
    "Skis": ("Carrying skis costs {} euros", "carrying skis", "I bring a snowboard"),
    "Surfing": ("Carrying a surfboard costs {} euros", "carrying a surfboard", "I bring surfing gear"),
    "Upgrades": ("An upgrade to business costs {} euros", "an upgrade to business", "upgrading to premium"),
    "Newspapers": (
        "A newspaper in the cabin costs {} euros",
        "a newspaper in the cabin",
        "you hand me a magazine aboard",
    ),
    "Doctors": (
        "A medical attest costs {} euros",
        "a medical attest",
        "the doctor has to fill a certificate-of-health",
    ),
}
"""Subjects of rules that hold for all fares: the same."""

EXCEPTIONS = (
    "It is not charged when the carrier is at fault.",
    "It does not apply to passengers below twelve years.",
    "This is never waived at the counter.",
    "It is not refunded.",
)

_SUBJECTS = ("passenger", "carrier", "agent", "counter", "office", "itinerary", "document", "gate", "terminal", "crew")
_VERBS = ("confirms", "records", "presents", "accepts", "reviews", "forwards", "announces", "verifies", "keeps")
_OBJECTS = ("the form", "the notice", "the schedule", "the record", "the statement", "the register", "the conditions")
_ENDS = ("before departure", "without delay", "at the desk", "in writing", "on the day of travel", "where required")


@dataclass(frozen=True)
class Document:
    """What a tenant uploads. Dates as ISO has them; `effective_to` is the first day on which it no longer holds."""

    id: str
    title: str
    text: str
    region: str | None = "all"
    effective_from: str | None = BEGAN
    effective_to: str | None = None

    def upload(self) -> dict[str, Any]:
        """As the service takes it; what is None is left out."""
        fields = ("id", "title", "text", "region", "effective_from", "effective_to")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Question:
    """A question, and its truth: `amount` is None where no document in force says it. `sentence`, the one that does."""

    text: str
    kind: str  # plain, paraphrase, deep, dated, code, unanswerable
    amount: int | None
    sentence: str = ""
    document: str = ""
    region: str = "europe"
    as_of: str = TODAY


@dataclass(frozen=True)
class Corpus:
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    codes: tuple[str, ...]
    fares: Mapping[
        str, Sequence[tuple[Document, Mapping[str, str]]]
    ]  # of each code: what it charges, {charge: sentence}

    def of(self, *kinds: str) -> list[Question]:
        return [question for question in self.questions if question.kind in kinds]


def make(rng: Random, *, fares: int = 16) -> Corpus:
    """112 documents, and some 60 questions; eight of them have no answer."""
    topics = rng.sample(sorted(TOPICS), len(TOPICS))
    house, dated, deep, absent = topics[:10], topics[10:15], topics[15:21], topics[21:]
    codes = code_names(rng, fares + 3)
    known, unknown = codes[:fares], codes[fares:]
    documents: list[Document] = []
    questions: list[Question] = []
    for number, topic in enumerate(house):
        document, question = rule(rng, f"rule-{number}", topic)
        documents.append(document)
        questions += [question, _otherwise(question, topic)]
    for number, topic in enumerate(dated):
        versions = [rule(rng, f"terms-{number}-{part}", topic) for part in range(4)]
        asked = (rng.randrange(3), 3)
        for part, (document, question) in enumerate(versions):
            region, old = REGIONS[part % 2], part < 2
            begin, end = (BEGAN, CHANGED) if old else (CHANGED, None)
            documents.append(replace(document, region=region, effective_from=begin, effective_to=end))
            if part in asked:
                moment = rng.choice(("2023-01-01", "2024-06-30", "2025-02-28") if old else (CHANGED, TODAY))
                questions.append(replace(question, kind="dated", region=region, as_of=moment))
    documents += _manuals(rng, deep, questions)
    fared = {code: _fares(rng, code) for code in known}
    for code in known:
        documents += [document for document, _ in fared[code]]
        documents.append(_news(rng, code))
    for number, code in enumerate(rng.sample(known, min(12, fares))):
        questions.append(of_fare(rng, fared[code], code, number % 2))
    for number, code in enumerate(unknown):
        name = rng.choice(sorted(CHARGES))
        text = CHARGES[name][1 + number % 2].format(code)
        questions.append(Question(text, "unanswerable", None))
    lacking = {code: [name for name in CHARGES if name not in fared[code][0][1]] for code in known}
    for code in rng.sample([code for code in known if lacking[code] != ["Cancellation"]], 2):
        document, _ = rng.choice(fared[code])
        text = CHARGES[lacking[code][0]][1].format(code)
        questions.append(Question(text, "unanswerable", None, region=document.region or ""))
    questions += [Question(f"What does {TOPICS[topic][1]} cost?", "unanswerable", None) for topic in absent[:2]]
    before = rng.choice([question for question in questions if question.kind == "plain"])
    questions.append(replace(before, kind="unanswerable", amount=None, sentence="", as_of="2022-12-31"))
    rng.shuffle(documents)
    rng.shuffle(questions)
    return Corpus(tuple(documents), tuple(questions), tuple(known), fared)


def new_code(rng: Random, known: Sequence[str]) -> str:
    """One that is not known yet."""
    return next(code for code in code_names(rng, len(known) + 1) if code not in known)


def new_fare(rng: Random, code: str, region: str = "all") -> tuple[Document, Question]:
    """A document of a fare that is new, and a question to it."""
    document, rules = _fares(rng, code)[-1]
    document = replace(document, id=f"fare-{code.lower()}", region=region)
    return document, replace(of_fare(rng, [(document, rules)], code, 0), region="europe")


def code_names(rng: Random, count: int) -> list[str]:
    """Codes of fares, such as H7Q: no two of them alike."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[rng.choice("BDFGHKLMNPQRT") + str(rng.randrange(2, 10)) + rng.choice("BCDFGHKLMNQRTVXZ")] = None
    return list(found)


def filler(rng: Random, count: int) -> str:
    """Sentences that say nothing."""
    made = []
    for _ in range(count):
        one, other = rng.sample(_SUBJECTS, 2)
        made.append(
            f"The {one} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)} of the {other} {rng.choice(_ENDS)}, "
            f"and {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}."
        )
    return " ".join(made)


def fee(rng: Random) -> int:
    return 5 * rng.randrange(3, 80)


def rule(rng: Random, name: str, topic: str) -> tuple[Document, Question]:
    """A document with one rule in it."""
    amount = fee(rng)
    sentence = f"{TOPICS[topic][0].format(amount)}."
    text = f"# {topic}\n\n{filler(rng, 1)} {sentence} {rng.choice(EXCEPTIONS)} {filler(rng, 1)}\n\n{filler(rng, 1)}"
    question = Question(f"What does {TOPICS[topic][1]} cost?", "plain", amount, sentence, name)
    return Document(name, topic, text), question


def _otherwise(question: Question, topic: str) -> Question:
    return replace(question, kind="paraphrase", text=f"How much is it if {TOPICS[topic][2]}?")


def _manuals(rng: Random, topics: Sequence[str], questions: list[Question]) -> list[Document]:
    """Two long documents. Half of the questions to them are in other words."""
    made = []
    for number in range(2):
        name = f"manual-{number}"
        rules = {topic: rule(rng, name, topic) for topic in topics[number::2]}
        sections = [
            f"## {topic}\n\n{document.text.partition(chr(10))[2].strip()}" for topic, (document, _) in rules.items()
        ]
        sections += [f"## Chapter {letter}\n\n{filler(rng, 5)}\n\n{filler(rng, 4)}" for letter in "ABCD"]
        first = f"## Purpose\n\n{filler(rng, 6)}\n\n{filler(rng, 6)}"
        rng.shuffle(sections)
        made.append(Document(name, "Manual", "\n\n".join([f"# Manual {'AB'[number]}", first, *sections])))
        for topic, (_, question) in rules.items():
            questions.append(replace(question if number else _otherwise(question, topic), kind="deep"))
    return made


def _fares(rng: Random, code: str) -> list[tuple[Document, dict[str, str]]]:
    """A document for each region and version, and what each says: {charge: sentence}. One charge is in none of them."""
    names = rng.sample(sorted(CHARGES), len(CHARGES) - 1)
    table = rng.random() < 0.4
    made = []
    for number, (region, begin, end) in enumerate(
        (region, *span) for region in REGIONS for span in ((BEGAN, CHANGED), (CHANGED, None))
    ):
        amounts = {name: fee(rng) for name in names}
        rules = {name: f"{CHARGES[name][0].format(amount)}." for name, amount in amounts.items()}
        if table:
            rules = {name: _row(CHARGES[name][0], amount) for name, amount in amounts.items()}
            parts = [f"## Charges\n\n{filler(rng, 1)}\n\n" + "\n".join(rules.values()), f"## Terms\n\n{filler(rng, 3)}"]
        else:
            parts = [
                f"## {name}\n\n{filler(rng, 1)} {sentence} {rng.choice(EXCEPTIONS)} {filler(rng, 1)}"
                for name, sentence in rules.items()
            ]
        text = "\n\n".join([f"# Fare {code}", *parts])
        made.append((Document(f"fare-{code.lower()}-{number}", f"Fare {code}", text, region, begin, end), rules))
    return made


def _row(template: str, amount: int) -> str:
    """A row of a table."""
    what = template.partition(" costs ")[0]
    return f"| {what} | {amount} euros |"


def _news(rng: Random, code: str) -> Document:
    """It names the code again and again."""
    lines = (
        f"Fare {code} is here. With {code} you fly, and {code} flies with you. {filler(rng, 1)}",
        f"All about {code}: {code} is our fare {code}. {filler(rng, 1)}",
    )
    text = "\n\n".join((f"# News of fare {code}", *lines))
    return Document(f"news-{code.lower()}", f"News of fare {code}", text)


def of_fare(rng: Random, documents: Sequence[tuple[Document, Mapping[str, str]]], code: str, words: int) -> Question:
    """A question to one of a fare's documents: in its own words (0), or in others (1)."""
    document, rules = rng.choice(documents)
    name = rng.choice(sorted(rules))
    text, sentence = CHARGES[name][1 + words].format(code), rules[name]
    amount = int("".join(filter(str.isdigit, sentence)))
    old = document.effective_to is not None
    moment = rng.choice((BEGAN, "2024-02-29", "2025-02-28") if old else (CHANGED, TODAY))
    return Question(text, "code", amount, sentence, document.id, document.region or "", moment)
