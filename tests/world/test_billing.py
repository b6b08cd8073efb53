"""The provider's tariff: prices that change, prompts that are kept, ids, the price list and the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call
from grader.world import faults
from grader.world.billing import PAGE, PRICES_PATH, RULES, USAGE_PATH, Tariff
from grader.world.model import Price

if TYPE_CHECKING:
    from grader.sim import Simulation
    from tests.world.conftest import Client

MakeClient = Callable[..., "Client"]

CHEAP, DEAR = Price(1_000, 2_000, 100), Price(3_000, 9_000, 300)
TARIFF = Tariff({"lark-small": CHEAP}, changes=((100.0, {"lark-small": DEAR}),), keeps=50.0, lag=30.0)


def test_a_call_has_the_prices_of_the_moment_at_which_it_arrives(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(tariff=TARIFF)

    async def scenario() -> None:
        await sim.until(99.5)
        await client.chat("Is it?")
        await client.chat("Is it?")

    sim.run(scenario())
    before, after = client.provider.invoice
    assert before.at > 100
    used = before.tokens_in, before.tokens_out
    assert before.micro_dollars == used[0] + 2 * used[1]
    assert after.micro_dollars == 3 * used[0] + 9 * used[1]


def test_leading_messages_that_came_before_are_charged_as_cached(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(tariff=TARIFF)
    long = {"role": "system", "content": "You are an assistant of an airline."}

    async def ask(text: str, **more: Any) -> tuple[int, int]:
        said = {"role": "user", "content": text}
        got = await client.post("/v1/chat/completions", {"model": "lark-small", "messages": [long, said], **more})
        usage = got.json()["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]

    async def scenario() -> list[tuple[int, int]]:
        told = [await ask("a?"), await ask("b?"), await ask("b?")]
        await asyncio.sleep(60.0)
        return [*told, await ask("a?")]

    first, second, third, late = sim.run(scenario())
    assert first[0] == late[0] == 0
    assert 0 < second[0] == third[0] < second[1]
    line = client.provider.invoice[1]
    assert line.cached == second[0]
    assert line.micro_dollars == -(
        -((second[1] - second[0]) * 1_000 + second[0] * 100 + line.tokens_out * 2_000) // 1_000
    )


def test_a_change_is_listed_an_hour_before_it_holds(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(tariff=Tariff({"lark-small": CHEAP}, changes=((4_000.0, {"lark-small": DEAR}),)))

    async def scenario() -> list[Any]:
        told = [(await read(client, PRICES_PATH))["prices"]]
        await sim.skip(seconds=500)
        return [*told, (await read(client, PRICES_PATH))["prices"]]

    early, late = sim.run(scenario())
    known = {"model": "lark-small", "from": 0, "input": 1_000, "cached": 100, "output": 2_000}
    assert early == [known]
    coming = {"from": sim.epoch // 10**9 + 4_000, "input": 3_000, "cached": 300, "output": 9_000}
    assert late == [known, {"model": "lark-small", **coming}]
    assert client.provider.log == []


def test_the_report_has_lost_replies_late_and_in_pages(sim: Simulation, make_client: MakeClient) -> None:
    lost = faults.reply_lost(0.0, 500.0, "reset", when=lambda call: b"lost" in call.body)
    client = make_client(tariff=TARIFF, slots=1_000, faults=[lost])

    async def scenario() -> tuple[Any, Any, Any, Any]:
        await client.chat("Is it lost?", headers={"idempotency-key": "k"})
        early = await read(client, USAGE_PATH)
        await asyncio.gather(*(client.chat(f"{number}?") for number in range(PAGE)))
        await asyncio.sleep(31.0)
        first = await read(client, USAGE_PATH)
        return early, first, await read(client, f"{USAGE_PATH}?after={first['next']}"), sim.now

    early, first, rest, now = sim.run(scenario())
    assert early["lines"] == []
    assert early["complete_until"] == pytest.approx(sim.epoch / 1e9 - 29.0)
    assert (len(first["lines"]), first["next"], first["more"], first["complete_until"]) == (PAGE, PAGE, True, None)
    assert (len(rest["lines"]), rest["next"], rest["more"]) == (1, PAGE + 1, False)
    assert rest["complete_until"] == pytest.approx(sim.epoch / 1e9 + now - 30.0)
    assert first["lines"][0]["key"] == "k"
    assert sum(line["micro_dollars"] for line in first["lines"] + rest["lines"]) == client.provider.billed


def test_the_report_is_not_complete_while_a_call_is_in_work(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client(tariff=TARIFF, median=80.0)

    async def scenario() -> tuple[Any, Any]:
        await asyncio.sleep(5.0)
        call = asyncio.ensure_future(client.chat("Is it?"))
        await asyncio.sleep(60.0)
        early = await read(client, USAGE_PATH)
        await call
        await asyncio.sleep(40.0)
        return early, await read(client, USAGE_PATH)

    early, late = sim.run(scenario())
    assert early["complete_until"] == pytest.approx(sim.epoch / 1e9 + 5.0)
    assert [line["created"] for line in late["lines"]] == [sim.epoch // 10**9 + 5]


def test_a_repetition_has_the_id_of_the_call_that_it_repeats(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()
    key = {"idempotency-key": "k"}

    async def scenario() -> list[str]:
        return [(await client.chat("Is it?", headers=key)).headers["x-request-id"] for _ in range(2)]

    assert sim.run(scenario()) == ["req_1", "req_1"]


def test_without_a_tariff_there_is_no_report(sim: Simulation, make_client: MakeClient) -> None:
    client = make_client()

    async def scenario() -> tuple[Any, int]:
        got = await client.chat("Is it?")
        return got.json()["usage"], (await client.post(PRICES_PATH, {}, method="GET")).status

    usage, status = sim.run(scenario())
    assert "prompt_tokens_details" not in usage
    assert status == 404


def test_the_rules_can_be_quoted() -> None:
    assert all(len(line) <= 120 for line in RULES.splitlines())
    for said in (PRICES_PATH, USAGE_PATH, "complete_until", "X-Request-Id"):
        assert said in RULES


async def read(client: Client, path: str) -> Any:
    path, _, query = path.partition("?")
    given = dict(pair.split("=") for pair in query.split("&") if pair)
    call = Call(0, client.sim.now, "api", "GET", f"https://llm.skylark.test{path}", path, given, {}, b"")
    reply = await client.provider(call)
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)
