"""The service works while nothing goes wrong. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_a_caller_is_greeted(scene, incident):
    """/greeting greets by name."""
    house = incident.House(scene)
    reply = house.run(lambda: house.replica.request("GET", "/greeting?name=Ada"))
    assert reply.status == 200, f"/greeting answers {reply.status}"
    assert reply.json() == {"greeting": "Hello, Ada!"}, f"/greeting answers {reply.json()}"
