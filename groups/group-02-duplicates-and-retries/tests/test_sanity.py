"""The service works while nothing comes twice. Green before you begin, and it has to stay so."""

import asyncio

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    answer = house.run(lambda: house.send("GET", "/health"))
    assert answer.status == 200, f"/health answers {answer.told}"


def test_a_document_is_kept_and_questions_find_it(scene, incident):
    """A document is kept, and questions are answered from it."""
    house = incident.House(scene, replicas=2)
    rules = incident.rules(scene.rng("rules"), 12)

    async def play():
        put = await house.put("tariff", incident.paragraphs(rules))
        assert put.status == 200, f"PUT /documents/tariff is answered {put.told}"
        text = await house.text("tariff", to=1)
        assert text.split("\n\n") == incident.paragraphs(rules), "the document is not what was saved"
        for rule in scene.rng("asked").sample(rules, 2):
            answer = await house.ask(rule.question)
            assert answer.status == 200, f"/ask is answered {answer.told}"
            said = answer.text("answer")
            assert f" {rule.euros} euros" in said, f"{rule.question} {said}"
            assert said in [entry.answer for entry in house.provider.log], f"not what the model said: {said}"
        missing = await house.send("GET", "/documents/nothing")
        assert missing.status == 404, f"an unknown document is answered {missing.told}"

    house.run(play)


def test_a_summary_is_ordered(scene, incident):
    """A summary is made, and is on the list of its tenant."""
    house = incident.House(scene)
    rule = incident.Rule.make(scene.rng("rule"))

    async def play():
        await house.put("tariff", [rule.paragraph])
        answer = await house.order("tariff", "first")
        assert answer.status == 201, f"POST /summaries is answered {answer.told}"
        assert f"{rule.euros} euros" in answer.text("summary"), f"this is no summary: {answer.text('summary')}"
        assert answer.body in await house.made(), "the summary is not on the list"
        assert await house.made(tenant="somebody-else") == [], "the summary is on somebody else's list"

    house.run(play)


def test_an_edit_is_made(scene, incident):
    """An edit is accepted, and made a little later."""
    house = incident.House(scene)
    old, new, last = incident.paragraphs(incident.rules(scene.rng("rules"), 3))

    async def play():
        await house.put("tariff", [old])
        replace = {"document": "tariff", "kind": "replace", "arguments": {"paragraph": old, "by": new}}
        append = {"document": "tariff", "kind": "append", "arguments": {"paragraph": last}}
        for number, edit in enumerate((replace, append)):
            answer = await house.send("POST", "/edits", key=f"edit-{number}", json=edit)
            assert answer.status == 202, f"POST /edits is answered {answer.told}"
            assert answer.text("status") == "queued", f"a new edit is {answer.text('status')!r}"
        await asyncio.sleep(10.0)
        after = await house.send("GET", f"/edits/{answer.text('id')}")
        assert after.text("status") == "done", f"10 s later, the edit is {after.text('status')!r}"
        assert await house.text("tariff") == f"{new}\n\n{last}", "the edits are not in the document"

    house.run(play)
