"""Stage 1, the first green. What the tests demand is in the briefing and in the stubs."""

import pytest

from grader.plugin import expect
from grader.world.traffic import Stream

pytestmark = pytest.mark.stage(1)


@pytest.mark.pattern("example")
def test_a_greeting_comes_at_once(scene, incident):
    """A greeting comes at once."""
    house = incident.House(scene)
    callers = Stream(name="callers", path="/greeting?name=Ada", rate=1.0, end=10.0, arrivals="constant")
    worst = house.visits(callers, horizon=50.0).percentile(100)
    sees = f"a caller waits {worst:.1f} s for a greeting"
    expect("greeting_worst", worst, at_most=incident.PROMISED, unit="s", code="slow-greeting", sees=sees)


@pytest.mark.pattern("example")
def test_greeting_greets(scene, incident, probes):
    """greeting() greets by name."""
    name = scene.rng("name").choice(["Ada", "Grace", "Edsger", "Barbara"])
    house = incident.House(scene)
    greeted = house.run(lambda: house.replica.probe(probes.greeted, name))
    sees = f"{name} is greeted with “{greeted}”"
    expect("wrong_greeting", int(greeted != f"Hello, {name}!"), at_most=0, code="wrong-greeting", sees=sees)
