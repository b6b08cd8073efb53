"""The desk works while nobody asks why. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    assert house.run(lambda: house.send("GET", "/health")).status == 200


def test_questions_are_answered(scene, incident):
    """Each traveller is told what holds for his fare, and gets a mail with the answer and a reference."""
    house = incident.House(scene)
    pairs = [(booking, topic) for booking in house.bookings for topic in incident.TOPICS]

    async def play():
        return await house.ask_all([(booking, incident.TOPICS[topic][0]) for booking, topic in pairs], gap=0.1)

    answers = house.run(play)
    for (booking, topic), answer in zip(pairs, answers, strict=True):
        assert answer.status == 200, f"a question is answered {answer.told}"
        assert answer.run, "an answer does not say which run it is"
        due = house.due(booking, topic)
        assert due in answer.text, f"{incident.TOPICS[topic][0]} of {booking} is {due}, and answered {answer.text!r}"
        reference = str(answer.body.get("reference"))
        mails = [text for _, to, text in house.tools.mails if to == booking and reference in text and due in text]
        assert len(mails) == 1, f"{len(mails)} mails have the answer to {booking}, and its reference {reference}"
    assert len({answer.run for answer in answers}) == len(answers), "two answers are one run"


def test_what_changes_is_in_force(scene, incident):
    """A new document, prompt or window is in force with the reply to it."""
    house = incident.House(scene)
    booking, (question, _) = house.bookings[0], incident.TOPICS["changes"]
    code = house.tools.fares[booking]

    async def play():
        await house.save(code, changes=777)
        edited = await house.ask(booking, question)
        prompt = await house.publish(incident.HARMLESS_PROMPT)
        before = len(house.provider.log)
        other = await house.ask(booking, question)
        seen = house.prompt_since(before)
        config = await house.send("PUT", "/config", json={"max_tokens": 3})
        return edited, prompt, other, seen, config, await house.ask(booking, question)

    edited, prompt, other, seen, config, cut = house.run(play)
    told = [answer.told for answer in (edited, other, cut)]
    assert told == ["200"] * 3, f"three questions are answered {', '.join(told)}"
    assert "777 euros" in edited.text, f"a document is edited, and the answer is {edited.text!r}"
    assert (prompt.status, config.status) == (200, 200), f"prompt and config are answered {prompt.told}, {config.told}"
    assert "You help those" in seen, "a new prompt is published, and the old one is used"
    assert len(cut.text) < 30, f"three tokens are agreed, and the answer is {cut.text!r}"


def test_some_users_get_the_new_prompt(scene, incident):
    """A prompt for a share of the users goes to about so many, and to the same ones every time."""
    house = incident.House(scene)
    rng = scene.rng("users")
    users = [house.user(rng) for _ in range(14)]
    booking, (question, _) = house.bookings[0], incident.TOPICS["changes"]

    async def play():
        published = await house.publish(incident.HARMLESS_PROMPT, share=50)
        assert published.status == 200, f"a prompt for a half of the users is answered {published.told}"
        seen = []
        for _ in range(2):
            for user in users:
                before = len(house.provider.log)
                answer = await house.ask(booking, question, user=user)
                assert answer.status == 200, f"a question is answered {answer.told}"
                seen.append("You help those" in house.prompt_since(before))
        return seen

    seen = house.run(play)
    assert seen[:14] == seen[14:], "who gets the new prompt changes from one question to the next"
    assert 1 <= sum(seen[:14]) <= 13, f"a prompt is for a half of the users, and {sum(seen[:14])} of 14 get it"
