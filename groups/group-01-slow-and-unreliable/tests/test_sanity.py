"""The service works while nothing goes wrong. Green before you begin, and it has to stay so."""

from urllib.parse import quote_plus

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    reply = house.run(lambda: house.replica.request("GET", "/health"))
    assert reply.status == 200, f"/health answers {reply.status}"


def test_a_question_is_answered(scene, incident):
    """/ask answers from the fare rules."""
    house = incident.House(scene)
    questions = {"What do pets in the cabin cost?": "60 euros", "What does checked baggage cost?": "30 euros"}

    async def play():
        return [await house.replica.request("GET", f"/ask?q={quote_plus(question)}") for question in questions]

    for reply, (question, fee) in zip(house.run(play), questions.items(), strict=True):
        assert reply.status == 200, f"/ask answers {reply.status}"
        answer = reply.json()["answer"]
        assert fee in answer, f"{question} {answer}"
        assert answer in [entry.answer for entry in house.provider.log], f"not what the model said: {answer}"


@pytest.mark.parametrize("scanned", [False, True], ids=["text", "scan"])
def test_a_document_is_summarised(scene, incident, scanned):
    """A summary has every section, in order."""
    house = incident.House(scene)
    count = scene.rng("sections").randrange(5, 12)
    document = house.document("tariff", sections=count, scanned=scanned)
    reply = house.run(lambda: house.replica.request("POST", "/documents/tariff/summary"))
    assert reply.status == 200, f"the summary answers {reply.status}"
    found = reply.json()
    assert found["sections"] == count, f"{found['sections']} sections of {count}"
    assert found["summary"] == house.provider.log[-1].answer, "the summary is not what the model made of the sections"
    places = [found["summary"].find(page.rstrip(".")) for page in document.pages]
    assert -1 not in places, "the summary lacks a section"
    assert places == sorted(places), "the summary has the sections out of order"


def test_an_unknown_document_is_not_found(scene, incident):
    """An unknown document is a 404."""
    house = incident.House(scene)
    reply = house.run(lambda: house.replica.request("POST", "/documents/nothing/summary"))
    assert reply.status == 404, f"an unknown document answers {reply.status}"
