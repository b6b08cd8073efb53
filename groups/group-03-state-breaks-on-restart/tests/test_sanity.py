"""The service works while nothing restarts. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    assert house.run(lambda: house.send("GET", "/health")).status == 200


def test_a_document_is_kept_and_changed(scene, incident):
    """A document can be added, listed, edited and deleted."""
    rng = scene.rng("document")
    house = incident.House(scene)
    title, text = incident.title_of(rng), incident.text_of(rng, 2)

    async def play():
        added = await house.send("POST", "/documents", json={"title": title, "text": text})
        assert added.status == 201, f"POST /documents is answered {added.told}"
        path = f"/documents/{added.body['id']}"
        again = await house.send("POST", "/documents", json={"title": title, "text": text})
        edited = await house.send("PATCH", path, json={"label": "draft"})
        found, listed = await house.send("GET", path), await house.send("GET", "/documents")
        gone = await house.send("DELETE", path)
        return again, edited, found, listed, gone, await house.send("GET", path)

    again, edited, found, listed, gone, missing = house.run(play)
    assert again.status == 409, f"a second document of one title is answered {again.told}"
    assert edited.status == found.status == listed.status == 200
    told = {name: found.body.get(name) for name in ("title", "label", "text", "version")}
    assert told == {"title": title, "label": "draft", "text": text, "version": 1}, f"the document is {told}"
    assert listed.body.get("count") == 1, f"one document, and the list counts {listed.body.get('count')}"
    assert (gone.status, missing.status) == (204, 404), f"deleting is answered {gone.told}, and then {missing.told}"


def test_a_question_is_answered_from_the_document(scene, incident):
    """A question gets the sentence that it is about, and can be asked after."""
    rng = scene.rng("document")
    house = incident.House(scene)
    sentences = [incident.sentence(rng) for _ in range(3)]
    clause = sentences[1].split(" clause ")[1].split()[0]

    async def play():
        document = await house.add(incident.title_of(rng), "\n\n".join(sentences))
        asked = {"document": document, "question": f"What does clause {clause} say?"}
        answer = await house.send("POST", "/ask", json=asked)
        assert answer.status == 201, f"POST /ask is answered {answer.told}"
        return answer, await house.send("GET", f"/answers/{answer.body['id']}"), await house.send("GET", "/usage")

    answer, found, usage = house.run(play)
    assert answer.body["answer"] == sentences[1], f"it says {answer.body['answer']!r}"
    assert found.body.get("answer") == sentences[1], f"asked after, it is {found.body}"
    assert [row["questions"] for row in usage.body.values()] == [1], f"one question, and the usage is {usage.body}"


def test_a_document_is_summarised(scene, incident):
    """A job has every section, in order; the same key is the same job."""
    rng = scene.rng("document")
    house = incident.House(scene)
    sections = [incident.sentence(rng) for _ in range(rng.randrange(2, 5))]

    async def play():
        document = await house.add(incident.title_of(rng), "\n\n".join(sections))
        first, second = await house.order(document, "one"), await house.order(document, "one")
        assert first.status == second.status == 202, f"POST /jobs is answered {first.told}, {second.told}"
        assert first.body["id"] == second.body["id"], "one key, and two jobs"
        return await house.end_of(first.body["id"])

    end = house.run(play)
    assert end.body.get("status") == "done", f"the job is {end.body.get('status')!r}, {end.body.get('reason')!r}"
    places = [incident.text_in(end, "result", "summary").find(section.rstrip(".")) for section in sections]
    assert -1 not in places and places == sorted(places), "the summary lacks a section, or has them out of order"


def test_bookings_are_taken(scene, incident):
    """A booking from the web is taken, and counted."""
    house = incident.House(scene)

    async def play():
        raw = {"id": 7, "amount": "12.30", "time": "2026-03-01T10:30:00+01:00"}
        booked = await house.send("POST", "/bookings/web", json=raw)
        unknown = await house.send("POST", "/bookings/nobody", json=raw)
        return booked, unknown, await house.send("GET", "/bookings")

    booked, unknown, listed = house.run(play)
    assert booked.status == 201, f"a booking is answered {booked.told}"
    assert unknown.status in (404, 422), f"a source that nobody knows is answered {unknown.told}"
    assert listed.body.get("total_cents") == 1230, f"12.30 euros, and {listed.body.get('total_cents')} cents"
