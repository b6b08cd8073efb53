"""The service works on an ordinary day, with a few documents. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    assert house.run(lambda: house.send("GET", "/health")).status == 200


def test_plain_questions_are_answered(scene, incident):
    """Of ten plain questions about ten short documents, five get their fee."""
    made = incident.corpus_of(scene)
    documents = [document for document in made.documents if document.id.startswith("rule-")]
    house, ends = incident.morning(scene, made, made.of("plain"), documents)
    right = ends.of("right")
    assert len(right) >= 5, f"of {len(ends.asked)} plain questions, {len(right)} are answered right"
    cited = {each.question.document for each in right for citation in each.answer.citations
             if citation.get("document") == each.question.document}  # fmt: skip
    assert len(cited) >= 5, f"of {len(right)} right answers, {len(cited)} cite the document that says so"


def test_documents_come_and_go(scene, incident):
    """A document can be saved, alone or with others, and deleted."""
    made = incident.corpus_of(scene)
    first, second, third = made.documents[:3]
    house = incident.House(scene)

    async def play():
        many, one = await house.save([first, second]), await house.edit(third)
        gone = [await house.send("DELETE", f"/documents/{third.id}") for _ in range(2)]
        return many, one, gone

    many, one, gone = house.run(play)
    assert (many.status, one.status) == (200, 200), f"documents are saved: {many.told}, {one.told}"
    assert [answer.status for answer in gone] == [204, 404], (
        f"one is deleted, twice: that is answered {gone[0].told}, then {gone[1].told}, and not 204, then 404"
    )
