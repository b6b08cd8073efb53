"""The provider's queue, latency, log, invoice, Idempotency-Key, cap and guard."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from grader.world import faults, provider
from grader.world.provider import GUARD, RULES, Provider, TooManyCalls

if TYPE_CHECKING:
    from grader.sim import Simulation
    from tests.world.conftest import Client, Got

MakeClient = Callable[..., "Client"]


def test_slots_are_given_out_first_come_first_served(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(slots=2)
    got = sim.run(_all([client.chat(f"Is {n} right?") for n in range(5)]))
    assert [round(one.at, 6) for one in got] == [1, 1, 2, 2, 3]
    assert [entry.started for entry in client.provider.log] == pytest.approx([0, 0, 1, 1, 2])
    assert client.provider.high_water == 5


def test_abandoned_work_is_executed_billed_and_keeps_its_slot(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(slots=1)

    async def scenario() -> list[Got]:
        gone = [await client.chat("Is it?", patience=0.25) for _ in range(3)]
        return [*gone, await client.chat("Is it?")]

    *gone, last = sim.run(scenario())
    assert [one.failed for one in gone] == ["timeout"] * 3
    assert last.at == pytest.approx(4.0)  # behind three calls that nobody waits for
    log = client.provider.log
    assert [entry.client_gone for entry in log] == [True, True, True, False]
    assert [entry.finished for entry in log] == pytest.approx([1, 2, 3, 4])
    assert len(client.provider.invoice) == 4
    assert client.provider.high_water == 1  # at no time had clients more than one call open


def test_latency_is_log_normal_around_the_median(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(median=0.82, sigma=0.6, slots=1_000)
    took = [one.at for one in sim.run(_all([client.chat(f"Is {n}?") for n in range(600)]))]
    assert 0.75 < statistics.median(took) < 0.9
    assert 0.3 < sum(seconds > 1 for seconds in took) / 600 < 0.44
    assert sum(seconds > 4 for seconds in took) < 15


def test_latency_depends_on_content_and_arrival_number_and_not_on_the_rest(
    make_sim: Callable[..., Simulation], make_client: MakeClient
) -> None:
    def latencies(seed: int, texts: list[str]) -> dict[str, list[float]]:
        sim = make_sim(seed)
        client = make_client(sim, sigma=0.6, slots=100)
        sim.run(_all([client.chat(text) for text in texts]))
        took: dict[str, list[float]] = {}
        for entry in client.provider.log:
            took.setdefault(entry.prompt, []).append((entry.finished or 0) - (entry.started or 0))
        return took

    once = latencies(1, ["a?", "b?", "a?"])
    assert once == latencies(1, ["a?", "b?", "a?"])
    turned = latencies(1, ["c?", "b?", "a?", "a?"])
    assert (turned["a?"], turned["b?"]) == (once["a?"], once["b?"])
    assert once["a?"][0] != once["a?"][1]
    assert once != latencies(2, ["a?", "b?", "a?"])


def test_the_log_tells_who_asked_what_and_what_it_cost(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    headers = {"authorization": "Bearer k1", "x-tenant": "aurora", "idempotency-key": "i1", "traceparent": "00-1"}
    got = sim.run(client.chat("The fee is 45 euro.\nWhat is the fee?", headers=headers))
    (entry,), (line,) = client.provider.log, client.provider.invoice
    assert (entry.api_key, entry.tenant, entry.idempotency_key) == ("k1", "aurora", "i1")
    assert entry.headers["traceparent"] == "00-1"
    assert (entry.status, entry.model, entry.path) == (200, "lark-small", "/v1/chat/completions")
    assert "45 euro" in entry.prompt
    usage = got.json()["usage"]
    assert (entry.tokens_in, entry.tokens_out) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert entry.billed == line.micro_dollars == client.provider.billed > 0
    assert (line.call, line.tenant, line.at) == (entry.id, "aurora", entry.finished)


def test_equal_prompts_have_equal_hashes(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    sim.run(_all([client.chat("a?"), client.chat("a?"), client.chat("b?")]))
    one, two, three = (entry.prompt_hash for entry in client.provider.log)
    assert one == two != three


def test_bad_requests_are_refused_logged_and_free(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()

    async def scenario() -> list[Got]:
        return [
            await client.post("/v1/nothing", {}),
            await client.post("/v1/messages", {}, method="GET"),
            await client.post("/v1/messages", {"model": "lark-small"}),
        ]

    got = sim.run(scenario())
    assert [one.status for one in got] == [entry.status for entry in client.provider.log] == [404, 405, 400]
    assert got[2].json()["type"] == "error"
    assert client.provider.invoice == []


def test_a_stream_comes_in_even_pieces_while_the_work_lasts(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(slots=1)
    text = "The fee for a second bag is 45 euro at the desk.\nWhat is the fee?"
    first, second = sim.run(_all([client.chat(text, stream=True) for _ in range(2)]))
    assert first.headers["content-type"] == "text/event-stream"
    assert first.body.endswith(b"data: [DONE]\n\n")
    times = [at for at, _ in first.pieces]
    assert times == pytest.approx([(n + 1) / len(times) for n in range(len(times))])
    assert second.pieces[0][0] > 1
    assert [entry.client_gone for entry in client.provider.log] == [False, False]


def test_a_stream_broken_off_by_its_client_is_billed_in_full(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()

    async def scenario() -> Got:
        gone = await client.chat("The fee is 45 euro.\nWhat is the fee?", stream=True, total=0.6)
        await asyncio.sleep(1)
        return gone

    assert len(sim.run(scenario()).pieces) > 0
    (entry,), (line,) = client.provider.log, client.provider.invoice
    assert entry.client_gone
    assert (entry.finished, line.at) == pytest.approx((1.0, 1.0))
    assert entry.tokens_out > 0


def test_a_stream_abandoned_in_the_queue_is_executed_and_billed_too(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(slots=1)

    async def scenario() -> None:
        await _all([client.chat("a?"), client.chat("b?", stream=True, patience=0.5)])
        await sim.until(3)

    sim.run(scenario())
    entry = client.provider.log[1]
    assert (entry.started, entry.finished) == pytest.approx((1.0, 2.0))
    assert entry.client_gone
    assert len(client.provider.invoice) == 2


# ------------------------------------------------------------------------------------------- Idempotency-Key


def test_the_same_key_gets_the_same_reply_billed_once(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(sigma=0.5)
    key = {"idempotency-key": "i1"}

    async def scenario() -> list[Got]:
        first = await client.chat("a?", headers=key)
        return [first, *await _all([client.chat("a?", headers=key) for _ in range(3)])]

    first, *rest = sim.run(scenario())
    assert {one.body for one in rest} == {first.body}
    assert {one.headers["idempotent-replayed"] for one in rest} == {"true"}
    assert "idempotent-replayed" not in first.headers
    assert len(client.provider.invoice) == 1
    assert [entry.replayed for entry in client.provider.log] == [False, True, True, True]
    assert rest[0].at - first.at == pytest.approx(provider.DESK_SECONDS)


def test_a_repetition_in_flight_waits_for_the_first(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    key = {"idempotency-key": "i1"}

    async def scenario() -> list[Got]:
        gone = await client.chat("a?", headers=key, patience=0.5)
        return [gone, *await _all([client.chat("a?", headers=key), client.chat("a?", headers=key)])]

    gone, one, two = sim.run(scenario())
    assert gone.failed == "timeout"
    assert (one.at, two.at) == pytest.approx((1.0, 1.0))
    assert one.body == two.body
    assert len(client.provider.invoice) == 1


def test_a_provider_that_joins_no_calls_makes_what_is_in_work_again(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(joins=False)
    key = {"idempotency-key": "i1"}

    async def scenario() -> list[Got]:
        gone = await client.chat("a?", headers=key, patience=0.5)
        in_work, other = await _all([client.chat("a?", headers=key), client.chat("b?", headers=key)])
        return [gone, in_work, other, await client.chat("a?", headers=key)]

    _, in_work, other, later = sim.run(scenario())
    assert in_work.at == pytest.approx(1.5)
    assert other.status == 400
    assert later.body == in_work.body
    assert later.headers["idempotent-replayed"] == "true"
    assert len(client.provider.invoice) == 2


def test_a_key_with_another_request_is_refused(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    key = {"idempotency-key": "i1"}
    one, two = sim.run(_all([client.chat("a?", headers=key), client.chat("b?", headers=key)]))
    assert (one.status, two.status) == (200, 400)
    assert two.json()["error"]["type"] == "idempotency_error"


def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    one, two = ({"idempotency-key": "i1", "x-api-key": key} for key in "ab")
    got = sim.run(
        _all([client.chat("a?", headers=one), client.chat("b?", headers=two), client.chat("b?", headers=two)])
    )
    assert [one.status for one in got] == [200, 200, 200]
    assert got[0].body != got[1].body == got[2].body
    assert [line.api_key for line in client.provider.invoice] == ["a", "b"]


def test_a_refusal_is_not_remembered(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(faults=[faults.failing(0, 1, 503)])
    key = {"idempotency-key": "i1"}

    async def scenario() -> list[Got]:
        first = await client.chat("a?", headers=key)
        await sim.until(1)
        return [first, await client.chat("a?", headers=key)]

    assert [one.status for one in sim.run(scenario())] == [503, 200]


def test_a_streamed_reply_is_repeated_at_once_and_whole(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    key = {"idempotency-key": "i1"}

    async def scenario() -> list[Got]:
        return [await client.chat("a?", headers=key, stream=True) for _ in range(2)]

    first, again = sim.run(scenario())
    assert again.body == first.body
    assert again.at - first.at == pytest.approx(provider.DESK_SECONDS)


# ------------------------------------------------------------------------------------------- limits


def test_a_call_above_the_cap_of_its_api_key_gets_429(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(cap=2)
    mine, other = {"x-api-key": "a"}, {"x-api-key": "b"}
    calls = [client.chat(f"{n}?", headers=mine) for n in range(3)]
    got = sim.run(_all([*calls, client.chat("other?", headers=other)]))
    assert [one.status for one in got] == [200, 200, 429, 200]
    assert got[2].headers["retry-after"] == "1"


def test_the_cap_can_be_switched_on_and_forgets_clients_that_hung_up(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()

    async def scenario() -> list[Got]:
        await _all([client.chat(f"{n}?", patience=0.1) for n in range(5)])
        client.provider.cap = 1
        return await _all([client.chat("a?"), client.chat("b?")])

    assert [one.status for one in sim.run(scenario())] == [200, 429]


def test_the_guard_ends_the_run_with_a_clear_exception(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()

    async def scenario() -> None:
        for _ in range(GUARD // 50):
            await _all([client.post("/v1/nothing", {}) for _ in range(50)])
        assert len(client.provider.log) == GUARD
        await client.post("/v1/nothing", {})

    with pytest.raises(TooManyCalls, match="call 5,001"):
        sim.run(scenario())


def test_the_rules_can_be_quoted() -> None:
    assert all(len(line) <= 120 for line in RULES.splitlines())
    for said in ("Idempotency-Key", "Retry-After", "billed in full", "first come, first served", "lark-large"):
        assert said in RULES


def test_a_provider_attaches_to_the_network(sim: Simulation) -> None:
    sim.network.attach("llm.skylark.test", Provider(sim))


async def _all(calls: list[Coroutine[Any, Any, Got]]) -> list[Got]:
    return list(await asyncio.gather(*calls))
