"""Open-loop traffic: when visits come, how each one ends, and the figures that they give."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.sim import ClientTimeout, ConnectionLost, Response
from grader.world.traffic import Stream, Visit, Visits, drive

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from grader.sim import Simulation


class Service:
    """A stand-in for a host: `behave(path, json)` gives the status."""

    def __init__(self, behave: Callable[[str, Any], Awaitable[int]]) -> None:
        self._behave = behave
        self.seen: list[tuple[str, str, Any, dict[str, str] | None]] = []

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None, timeout: float
    ) -> Response:
        self.seen.append((method, path, json, headers))
        try:
            async with asyncio.timeout(timeout):
                return Response(await self._behave(path, json), {}, b"")
        except TimeoutError:
            raise ClientTimeout from None


def after(seconds: float, status: int = 200) -> Service:
    async def behave(path: str, json: Any) -> int:
        await asyncio.sleep(seconds)
        return status

    return Service(behave)


def visits(*ends: tuple[float, float | None, int | None], horizon: float = 100.0) -> Visits:
    """From (scheduled, finished, status)."""
    return Visits([Visit("ask", at, at, finished, status, "") for at, finished, status in ends], horizon)


# ------------------------------------------------------------------------------------------- arrivals


def test_poisson_arrivals_have_the_rate_and_irregular_gaps(sim: Simulation) -> None:
    stream = Stream(name="ask", path="/ask", rate=10, begin=5, end=105)
    found = sim.run(drive(sim, after(0.1), [stream], horizon=110))
    times = [visit.scheduled for visit in found]
    assert 900 < len(times) < 1_100
    assert min(times) >= 5
    assert max(times) < 105
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert max(gaps) > 0.4
    assert 0.3 < sum(gap < 0.05 for gap in gaps) / len(gaps) < 0.5  # 1 - exp(-0.5) = 0.39


def test_constant_arrivals_are_evenly_spaced(sim: Simulation) -> None:
    stream = Stream(name="ask", path="/ask", rate=10, begin=1, end=4, arrivals="constant")
    found = sim.run(drive(sim, after(0), [stream], horizon=10))
    assert [visit.scheduled for visit in found] == pytest.approx([1 + n / 10 for n in range(30)])


def test_arrivals_and_bodies_are_the_seeds_whatever_the_service_does(make_sim: Callable[..., Simulation]) -> None:
    def seen(seed: int, service: Service, *more: Stream) -> list[tuple[float, Any]]:
        sim = make_sim(seed)
        ask = Stream(
            name="ask", method="POST", rate=5, end=20,
            path=lambda rng: f"/documents/{rng.randrange(9)}", body=lambda rng: {"n": rng.random()},
        )  # fmt: skip
        found = sim.run(drive(sim, service, [*more, ask], horizon=60)).of("ask")
        bodies = [json for method, _, json, _ in service.seen if method == "POST"]
        return list(zip([visit.scheduled for visit in found], bodies, strict=True))

    once = seen(1, after(0.1))
    assert len(once) > 50
    assert once == seen(1, after(30))
    assert once == seen(1, after(0.1), Stream(name="health", path="/health", rate=3, end=20))
    assert once != seen(2, after(0.1))


def test_each_stream_sends_its_own_requests(sim: Simulation) -> None:
    service = after(0.1)
    streams = [
        Stream(name="ask", path="/ask", rate=5, end=5, method="POST", body=lambda _: {"q": 1}, headers={"x": "y"}),
        Stream(name="health", path="/health", rate=5, end=5),
    ]
    found = sim.run(drive(sim, service, streams, horizon=10))
    assert {(method, path, str(json)) for method, path, json, _ in service.seen} == {
        ("POST", "/ask", "{'q': 1}"),
        ("GET", "/health", "None"),
    }
    assert len(found) == len(found.of("ask")) + len(found.of("health")) == len(service.seen)
    assert [visit.scheduled for visit in found] == sorted(visit.scheduled for visit in found)


# ------------------------------------------------------------------------------------------- how a visit ends


def test_a_stall_is_felt_by_everybody_who_arrives_in_it(sim: Simulation) -> None:
    """A closed loop would see one slow visit in a thousand; the open loop sees ninety."""
    free = asyncio.Lock()

    async def behave(path: str, json: Any) -> int:
        async with free:
            if 50 <= sim.now < 50.1:
                await asyncio.sleep(10)  # everybody behind waits, too
        return 200

    stream = Stream(name="ask", path="/ask", rate=10, end=100, arrivals="constant", patience=60)
    found = sim.run(drive(sim, Service(behave), [stream], horizon=150))
    assert sum(seconds > 1 for seconds in found.latencies()) == pytest.approx(90, abs=2)
    assert found.percentile(99) == pytest.approx(9, abs=0.2)
    assert found.percentile(89) < 0.01


def test_visits_are_sent_on_schedule_however_slow_the_service(sim: Simulation) -> None:
    found = sim.run(drive(sim, after(20), [Stream(name="ask", path="/ask", rate=10, end=10)], horizon=60))
    assert all(visit.sent == pytest.approx(visit.scheduled) for visit in found)


def test_a_client_without_patience_hangs_up(sim: Simulation) -> None:
    stream = Stream(name="ask", path="/ask", rate=5, end=5, patience=2)
    found = sim.run(drive(sim, after(9), [stream], horizon=60))
    assert {visit.error for visit in found} == {"timeout"}
    assert found.latencies() == pytest.approx([2] * len(found))
    assert found.success_share() == 0
    assert found.unfinished == 0


def test_a_visit_that_the_horizon_cuts_off_counts_with_the_latency_it_had(sim: Simulation) -> None:
    stream = Stream(name="ask", path="/ask", rate=1, end=10, arrivals="constant", patience=60)
    found = sim.run(drive(sim, after(4), [stream], horizon=10))
    assert sim.now == 10
    late = [visit for visit in found if visit.error == "unfinished"]
    assert [visit.scheduled for visit in late] == [6, 7, 8, 9] or [visit.scheduled for visit in late] == [7, 8, 9]
    assert found.unfinished == len(late)
    assert found.between(7, 10).latencies() == pytest.approx([3, 2, 1])
    assert found.between(7, 10).success_share() == 0
    assert len(found) == 10


def test_what_is_scheduled_behind_the_horizon_is_not_sent(sim: Simulation) -> None:
    stream = Stream(name="ask", path="/ask", rate=1, end=100, arrivals="constant")
    assert len(sim.run(drive(sim, after(0), [stream], horizon=10.5))) == 11


def test_the_run_ends_with_the_last_visit(sim: Simulation) -> None:
    sim.run(drive(sim, after(1), [Stream(name="ask", path="/ask", rate=1, end=3, arrivals="constant")], horizon=99))
    assert sim.now == pytest.approx(3)


def test_a_lost_connection_is_an_end_like_others(sim: Simulation) -> None:
    async def behave(path: str, json: Any) -> int:
        await asyncio.sleep(0.5)
        raise ConnectionLost("down")

    found = sim.run(drive(sim, Service(behave), [Stream(name="ask", path="/ask", rate=5, end=2)], horizon=9))
    assert {visit.error for visit in found} == {"connection-lost"}
    assert all(visit.status is None and not visit.good for visit in found)


def test_any_other_exception_ends_the_run(sim: Simulation) -> None:
    async def behave(path: str, json: Any) -> int:
        if sim.now > 1:
            raise LookupError("ours")
        await asyncio.sleep(20)
        return 200

    with pytest.raises(LookupError, match="ours"):
        sim.run(drive(sim, Service(behave), [Stream(name="ask", path="/ask", rate=5, end=2)], horizon=60))
    assert sim.now < 3  # nobody waits for the others


def test_only_2xx_is_a_success(sim: Simulation) -> None:
    async def behave(path: str, json: Any) -> int:
        return int(path[1:])

    def choose(rng: random.Random) -> str:
        return f"/{rng.choice([200, 202, 301, 404, 503])}"

    found = sim.run(drive(sim, Service(behave), [Stream(name="ask", path=choose, rate=50, end=2)], horizon=9))
    assert {visit.status for visit in found if visit.good} == {200, 202}
    assert {visit.status for visit in found if not visit.good} == {301, 404, 503}


# ------------------------------------------------------------------------------------------- figures


def test_percentiles_are_by_nearest_rank() -> None:
    found = visits(*[(0, float(n), 200) for n in (15, 20, 35, 40, 50)])
    assert [found.percentile(p) for p in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0.1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(seconds: list[float], percent: float) -> None:
    found = visits(*[(0, finished, 200) for finished in seconds])
    value = found.percentile(percent)
    needed = len(seconds) * percent / 100
    assert sum(other <= value for other in seconds) >= needed - 1e-9
    assert sum(other < value for other in seconds) < needed + 1e-9


@pytest.mark.parametrize("percent", [0, 101])
def test_there_is_no_such_percentile(percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        visits((0, 1, 200)).percentile(percent)


def test_nothing_has_no_percentile_and_no_share() -> None:
    with pytest.raises(ValueError, match="percentile"):
        visits().percentile(50)
    with pytest.raises(ValueError, match="no visit"):
        visits().success_share()


def test_latency_counts_from_the_scheduled_arrival() -> None:
    assert Visits([Visit("ask", 1.0, 3.0, 4.0, 200, "")], 10).latencies() == [3.0]


def test_failures_and_unfinished_visits_count_in_percentiles() -> None:
    assert visits((0, 1, 200), (0, 30, None), (10, None, None)).percentile(100) == 90


def test_goodput_counts_good_answers_by_the_second_in_which_they_came() -> None:
    found = visits(
        (0, 0.5, 200), (0, 0.9, 503), (0, 1.0, 200), (0, 3.9, 202), (0, 4.0, 200), (0, None, None), horizon=4
    )
    assert found.goodput() == [1, 1, 0, 2]
    assert sum(found.goodput()) == found.good == 4


def test_success_share_of_a_window_goes_by_arrival() -> None:
    found = visits((1, 9, 200), (2, 9, 503), (3, 9, 200), (4, 9, 200))
    assert found.between(1, 3).success_share() == 0.5
    assert found.between(3, 99).success_share() == 1


def outage(bad: Callable[[int], bool]) -> Visits:
    """A visit each second for a minute."""
    return visits(*[(float(t), t + 0.1, 503 if bad(t) else 200) for t in range(60)])


def test_recovery_is_from_when_all_later_windows_are_good() -> None:
    assert outage(lambda t: 10 <= t < 25).recovery(20, window=5) == 5
    assert outage(lambda t: t < 5).recovery(20, window=5) == 0


def test_a_relapse_is_no_recovery() -> None:
    assert outage(lambda t: 10 <= t < 25 or t == 40).recovery(20, window=5) == 21


def test_a_share_forgives_single_failures() -> None:
    assert outage(lambda t: 10 <= t < 25 or t == 40).recovery(20, window=5, share=0.8) == 4


def test_what_never_heals_does_not_recover() -> None:
    assert outage(lambda t: t >= 10).recovery(20) is None
    assert outage(lambda t: t >= 10 and t % 3 == 0).recovery(20) is None


def test_recovery_needs_a_whole_window_of_traffic() -> None:
    with pytest.raises(ValueError, match="no window"):
        outage(lambda t: False).recovery(56, window=5)
