"""The desk works while nobody writes anything unusual. Green before you begin, and it has to stay so."""

import pytest

pytestmark = pytest.mark.stage(0)


def test_health_is_well(scene, incident):
    """/health answers 200."""
    house = incident.House(scene)
    assert house.run(lambda: house.send("GET", "/health")).status == 200
