"""The service works as long as nobody asks what it costs. Green before you begin, and it has to stay so."""

import asyncio

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    answer = house.run(lambda: house.send("GET", "/health"))
    assert answer.status == 200, f"/health answers {answer.told}"


def test_a_question_is_answered(scene, incident):
    """A question is answered, streamed or not, and a session has a memory."""
    rng = scene.rng("chat")
    house = incident.House(scene)
    tenant, tag = incident.word(rng), incident.word(rng)
    text = incident.question(rng, tag)

    async def play():
        await house.agree(tenant)
        first = await house.chat(tenant, text, "s")
        streamed = await house.stream(tenant, text)
        later = await house.chat(tenant, f"And for a {tag} at the desk, in euros?", "s")
        return first, streamed, later, await house.chat("nobody", text)

    first, streamed, later, unknown = house.run(play)
    said = str(first.body.get("answer"))
    assert first.status == 200 and f"a {tag} is" in said, f"POST /chat is answered {first.told}: {said[:80]}"
    assert first.run, "the answer does not name its run"
    assert streamed == said, f"streamed, the answer is {streamed[:80]!r}"
    assert f"a {tag} is" in str(later.body.get("answer")), "the session does not know what was said before"
    assert unknown.status == 404, f"a tenant whom nobody knows is answered {unknown.told}"


def test_work_is_done_behind_requests(scene, incident):
    """A digest, a research and a document are accepted, and done."""
    rng = scene.rng("work")
    house = incident.House(scene)
    tenant = incident.word(rng)
    tags = [incident.word(rng) for _ in range(6)]

    async def play():
        await house.agree(tenant)
        sections = [incident.question(rng, tag) for tag in tags[:3]]
        research = {"question": incident.question(rng, tags[3]), "steps": 2, "also": [incident.question(rng, tags[4])]}
        begun = [
            await house.begin(tenant, "/digests", {"sections": sections}),
            await house.begin(tenant, "/research", research),
            await house.begin(tenant, "/documents", {"text": incident.document(rng, tags[5], 30)}),
        ]
        ends = await house.ends(tenant, *(each.run for each in begun), patience=60.0)
        answers = (await house.send("GET", f"/runs/{begun[0].run}", tenant)).body.get("answers")
        foreign = await house.send("GET", f"/runs/{begun[0].run}", "somebody")
        return begun, ends, answers, foreign

    begun, ends, answers, foreign = house.run(play)
    assert [each.status for each in begun] == [202] * 3, f"they are answered {', '.join(each.told for each in begun)}"
    told = ", ".join(f"the {kind} is {end}" for kind, end in zip(("digest", "research", "document"), ends))
    assert ends == ["done"] * 3, f"a minute later, {told}; why, stands in what the service has logged"
    assert len(answers) == 3 and all(tag in said for tag, said in zip(tags, answers)), "the digest is not of its sections"
    assert foreign.status == 404, f"another tenant who asks after a run is answered {foreign.told}"
    for tag in tags:
        assert house.calls(tag), "some of the work never reached the provider"


def test_two_replicas_share_what_was_agreed(scene, incident):
    """What was agreed with a tenant holds at every replica."""
    rng = scene.rng("terms")
    house = incident.House(scene, replicas=2)
    tenant = incident.word(rng)

    async def play():
        await house.agree(tenant)
        answers = await asyncio.gather(*(house.chat(tenant, incident.question(rng), to=to) for to in range(2)))
        return answers, await house.costs(tenant, to=1)

    answers, costs = house.run(play)
    assert [each.status for each in answers] == [200, 200], "a replica does not know the tenant"
    assert costs.status == 200 and costs.body.get("month") == "2026-01", f"GET /costs is answered {costs.told}"
