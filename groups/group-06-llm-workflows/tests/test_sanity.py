"""The desk works while nobody writes anything unusual. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    assert house.run(lambda: house.send("GET", "/health")).status == 200


def test_a_letter_is_taken(scene, incident):
    """A letter is accepted once, listed, and can be asked after by its office."""
    rng = scene.rng("letter")
    house = incident.House(scene)
    ticket = house.ticket(rng, "meal", plain=True)

    async def play():
        first, second = await house.submit(ticket), await house.submit(ticket)
        assert first.status == second.status == 202, f"POST /tickets is answered {first.told}, {second.told}"
        assert first.body.get("id") == second.body.get("id") == ticket.ref, "one ref, and two tickets"
        found, strange = await house.look(ticket), await house.send("GET", f"/tickets/{ticket.ref}", "somebody else")
        assert (found.status, strange.status) == (200, 404), f"asking after it is answered {found.told}, {strange.told}"
        listed = await house.send("GET", "/tickets")
        assert [row.get("id") for row in listed.body.get("tickets", [])] == [ticket.ref], f"the list is {listed.body}"

    house.run(play)


def test_letters_that_say_what_everybody_says_are_answered(scene, incident):
    """Of plain letters most are done, and what is done is in the ledger and in the mail."""
    rng = scene.rng("letters")
    house = incident.House(scene)
    tickets = [house.ticket(rng, kind, plain=True) for kind in incident.SAYS]
    ends = house.run(lambda: house.handle(tickets, gap=3.0, patience=5.0))
    done = [(t, end) for t, end in zip(tickets, ends, strict=True) if end.body.get("status") == "done"]
    assert len(done) >= 3, f"of {len(tickets)} plain letters, {len(done)} are done"
    wrong = [f"{t.text} {house.wrong(t, end)}" for t, end in done if house.wrong(t, end)]
    assert not wrong, f"{len(wrong)} plain letters are done otherwise: {wrong[0]}"


def test_policies_are_there(scene, incident):
    """Three policies can be chosen, and ten routes are known."""
    house = incident.House(scene)

    async def play():
        listed, routes = await house.send("GET", "/policies"), await house.send("GET", "/routes")
        assert listed.body.get("policies") == sorted(incident.POLICIES), f"the policies are {listed.body}"
        assert set(routes.body.get("routes", {})) == {*incident.SAYS, "special"}, f"the routes are {routes.body}"
        chosen = await house.send("PUT", "/policy", json={"policy": "full"})
        assert chosen.status == 200, f"PUT /policy is answered {chosen.told}"

    house.run(play)
