"""Each kind of fault as a client meets it, the selectors, and what the tape says."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import itertools
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim.engine import EPOCH
from grader.world import faults

if TYPE_CHECKING:
    from grader.sim import Simulation
    from grader.world.faults import Fault
    from tests.world.conftest import Client, Got

MakeClient = Callable[..., "Client"]
QUESTION = "[a] The fee is 45 euro.\n[b] Lunch is free.\nWhat is the fee?"


def meet(sim: Simulation, client: Client, **more: Any) -> Got:
    """Call at 2 s; the faults here last from 1 s to 9 s."""

    async def scenario() -> Got:
        await sim.until(2)
        return await client.chat(QUESTION, **more)

    return sim.run(scenario())


def test_a_brown_out_stretches_the_work_that_starts_in_it(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.brown_out(1, 9, 4), faults.brown_out(1, 9, 2)])

    async def scenario() -> list[float]:
        got = []
        for begin in (0.0, 1.0, 9.0):
            await sim.until(begin)
            got.append((await client.chat("a?")).at - begin)
        return got

    assert sim.run(scenario()) == pytest.approx([1, 8, 1])
    assert [entry.faults for entry in client.provider.log] == [(), ("brown-out",), ()]


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_is_quick_free_and_in_the_log(sim: Simulation, make_client: MakeClient, status: int) -> None:
    client = make_client(faults=[faults.failing(1, 9, status)])
    got = meet(sim, client)
    assert (got.status, "retry-after" in got.headers) == (status, False)
    assert got.at == pytest.approx(2.005)
    (entry,) = client.provider.log
    assert (entry.status, entry.faults, entry.billed, entry.started) == (status, ("error",), 0, None)


def test_429_names_the_end_of_the_fault_in_seconds(sim: Simulation, make_client: MakeClient) -> None:
    got = meet(sim, make_client(faults=[faults.rate_limited(1, 8.5)]))
    assert (got.status, got.headers["retry-after"]) == (429, "7")


def test_429_names_the_end_of_the_fault_as_a_date(sim: Simulation, make_client: MakeClient) -> None:
    got = meet(sim, make_client(faults=[faults.rate_limited(1, 8.5, as_date=True)]))
    when = email.utils.parsedate_to_datetime(got.headers["retry-after"])
    assert got.headers["retry-after"].endswith(" GMT")
    assert when - dt.datetime.fromtimestamp(EPOCH / 1e9, dt.UTC) == dt.timedelta(seconds=9)


def test_retry_after_never_points_beyond_the_fault(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.rate_limited(1, 9, retry_after=3)])

    async def scenario() -> list[str]:
        got = []
        for moment in (2, 8):
            await sim.until(moment)
            got.append((await client.chat("a?")).headers["retry-after"])
        return got

    assert sim.run(scenario()) == ["3", "1"]


def test_a_hang_lasts_until_the_client_goes_and_is_free(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(slots=1, faults=[faults.hanging(1, 3)])

    async def scenario() -> tuple[Got, Got]:
        await sim.until(2)
        hung = await client.chat("a?", patience=30)
        return hung, await client.chat("b?")

    hung, after = sim.run(scenario())
    assert (hung.failed, hung.at) == ("timeout", 32)
    assert after.at == pytest.approx(33)  # a hanging call holds no slot
    assert [(e.status, e.billed > 0, e.client_gone) for e in client.provider.log] == [
        (0, False, True),
        (200, True, False),
    ]


@pytest.mark.parametrize("how", ["refused", "connect-hang", "write-hang", "reset"])
def test_an_unreachable_provider_fails_below_http(sim: Simulation, make_client: MakeClient, how: Any) -> None:
    client = make_client(faults=[faults.unreachable(1, 9, how)])
    assert meet(sim, client).failed == how
    assert client.provider.invoice == []


@pytest.mark.parametrize(("how", "failed"), [("hang", "timeout"), ("reset", "reset")])
def test_a_lost_reply_is_billed_all_the_same(sim: Simulation, make_client: MakeClient, how: Any, failed: str) -> None:
    client = make_client(faults=[faults.reply_lost(1, 9, how)])
    got = meet(sim, client, patience=10)
    assert (got.failed, got.status) == (failed, 0)
    assert len(client.provider.invoice) == 1
    assert client.provider.log[0].client_gone == (how == "hang")


def test_a_lost_reply_is_found_again_by_its_key(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.reply_lost(0, 3)])
    key = {"idempotency-key": "i1"}

    async def scenario() -> Got:
        await client.chat("a?", headers=key, patience=5)
        return await client.chat("a?", headers=key)

    assert sim.run(scenario()).status == 200
    assert len(client.provider.invoice) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_drip_stays_inside_any_read_timeout_and_takes_ages(
    sim: Simulation, make_client: MakeClient, stream: bool
) -> None:
    client = make_client(slots=1, faults=[faults.dripping(1, 9, 300)])
    got = meet(sim, client, patience=1.5, stream=stream)
    assert got.failed == ""
    assert got.at == pytest.approx(303)
    times = [3.0, *(at for at, _ in got.pieces)]
    assert max(b - a for a, b in itertools.pairwise(times)) < 1.01
    if stream:
        assert got.body.endswith(b"data: [DONE]\n\n")
    else:
        assert "45 euro" in got.json()["choices"][0]["message"]["content"]
    assert client.provider.invoice[0].at == pytest.approx(3)  # the work was done, and its slot free, long before


def test_malformed_json_breaks_off_in_the_middle_and_is_billed(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.malformed(1, 9)])
    got = meet(sim, client)
    assert got.status == 200
    assert got.body.startswith(b'{"id"')
    with pytest.raises(json.JSONDecodeError):
        got.json()
    assert len(client.provider.invoice) == 1


def test_a_malformed_stream_ends_without_done(sim: Simulation, make_client: MakeClient) -> None:
    got = meet(sim, make_client(faults=[faults.malformed(1, 9)]), stream=True)
    assert got.body.startswith(b"data: {")
    assert b"[DONE]" not in got.body
    assert not got.body.endswith(b"\n\n")


def test_a_wrong_citation_names_a_source_that_was_not_used(sim: Simulation, make_client: MakeClient) -> None:
    got = meet(sim, make_client(faults=[faults.wrong_citation(1, 9)]))
    assert got.json()["choices"][0]["message"]["content"] == "The fee is 45 euro. [b]"


# ------------------------------------------------------------------------------------------- which calls, and when


def test_a_share_of_the_calls_is_struck_the_same_ones_for_a_seed(
    make_sim: Callable[..., Simulation], make_client: MakeClient
) -> None:
    def struck(seed: int, order: int) -> set[str]:
        sim = make_sim(seed)
        client = make_client(sim, slots=500, faults=[faults.failing(0, 9, 503, share=0.3)])
        sim.run(_all([client.chat(f"{n}?") for n in range(400)][::order]))
        return {entry.prompt for entry in client.provider.log if entry.status == 503}

    assert 90 < len(struck(1, 1)) < 150
    assert struck(1, 1) == struck(1, -1) != struck(2, 1)


def test_a_predicate_picks_the_calls(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.failing(0, 9, 500, when=lambda call: b"section 3" in call.body)])
    got = sim.run(_all([client.chat(f"Summarise:\nsection {n}") for n in range(5)]))
    assert [one.status for one in got] == [200, 200, 200, 500, 200]


def test_the_first_listed_fault_wins(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.rate_limited(1, 9), faults.hanging(0, 99)])
    assert meet(sim, client).status == 429


def test_begin_and_end_are_on_the_tape_when_they_come(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.brown_out(1, 3, 10), faults.hanging(2, float("inf"))])

    async def scenario() -> None:
        await client.chat("a?")
        await sim.until(5)

    sim.run(scenario())
    said = [(entry.at, entry.data["fault"], entry.data["phase"]) for entry in sim.tape.of("fault")]
    assert said == [(1, "brown-out", "begin"), (2, "hang", "begin"), (3, "brown-out", "end")]
    assert sim.tape.of("fault")[1].data["end"] == 600  # the horizon
    assert sim.tape.of("fault")[0].source == "provider"


@pytest.mark.parametrize(
    "make",
    [
        lambda: faults.hanging(3, 3),
        lambda: faults.hanging(-1, 3),
        lambda: faults.hanging(1, 3, share=1.5),
        lambda: faults.failing(1, 3, 200),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(make: Callable[[], Fault]) -> None:
    with pytest.raises(ValueError, match=r"needs|lies|error"):
        make()


async def _all(calls: list[Coroutine[Any, Any, Got]]) -> list[Got]:
    return list(await asyncio.gather(*calls))
