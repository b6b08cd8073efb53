"""The service works while nothing goes wrong. Green before you begin, and it has to stay so."""

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
    reply = house.run(lambda: house.replica.request("GET", "/ask?q=What+do+pets+in+the+cabin+cost%3F"))
    assert reply.status == 200, f"/ask answers {reply.status}"
    assert "60 euros" in reply.json()["answer"], f"/ask answers {reply.json()}"


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
    places = [found["summary"].find(page.rstrip(".")) for page in document.pages]
    assert -1 not in places, "the summary lacks a section"
    assert places == sorted(places), "the summary has the sections out of order"


def test_an_unknown_document_is_not_found(scene, incident):
    """An unknown document is a 404."""
    house = incident.House(scene)
    reply = house.run(lambda: house.replica.request("POST", "/documents/nothing/summary"))
    assert reply.status == 404, f"an unknown document answers {reply.status}"
