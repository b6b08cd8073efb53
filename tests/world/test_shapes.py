"""The wire shapes of OpenAI, Anthropic and Cohere."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from grader.world import shapes

SAID = "The fee for a second bag on all light fares is 45 euro at the desk."
TEXT = f"Answer from this:\n{SAID}\nWhat is the second bag fee?"
CHAT = {"model": "lark-small", "messages": [{"role": "user", "content": TEXT}]}
MESSAGES = {**CHAT, "max_tokens": 100}


def pieces(path: str, body: dict[str, Any]) -> list[bytes]:
    request = shapes.parse(path, json.dumps(body).encode())
    return request.render("7", 1_700_000_000, request.run(wrong_citation=False))


def whole(path: str, body: dict[str, Any]) -> Any:
    (only,) = pieces(path, body)
    return json.loads(only)


def events(path: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """(event name, data) of a stream, read as a client reads server-sent events."""
    found = []
    for block in b"".join(pieces(path, {**body, "stream": True})).decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        data = fields["data"]
        found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found


def test_chat_answers_as_openai_does() -> None:
    reply = whole("/v1/chat/completions", CHAT)
    assert reply["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
    ]
    assert reply["object"] == "chat.completion"
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 20


def test_a_chat_stream_says_the_same_in_pieces_and_ends_with_done() -> None:
    found = [data for _, data in events("/v1/chat/completions", CHAT)]
    assert found[-1] == "[DONE]"
    choices = [chunk["choices"][0] for chunk in found[:-1]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == SAID
    assert len(choices) > 4
    assert [choice["finish_reason"] for choice in choices][-2:] == [None, "stop"]
    assert not any("usage" in chunk for chunk in found[:-1])


def test_a_chat_stream_tells_usage_when_asked() -> None:
    *_, last, done = events("/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}})
    assert done[1] == "[DONE]"
    assert last[1]["choices"] == []
    assert last[1]["usage"] == whole("/v1/chat/completions", CHAT)["usage"]


def test_messages_answer_as_anthropic_does() -> None:
    reply = whole("/v1/messages", MESSAGES)
    assert reply["content"] == [{"type": "text", "text": SAID}]
    assert (reply["type"], reply["role"], reply["stop_reason"]) == ("message", "assistant", "end_turn")
    assert set(reply["usage"]) == {"input_tokens", "output_tokens"}


def test_a_messages_stream_has_anthropics_events() -> None:
    found = events("/v1/messages", MESSAGES)
    assert all(name == data["type"] for name, data in found)
    names = [name for name, _ in found]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(data["delta"]["text"] for name, data in found if name == "content_block_delta") == SAID
    usage = whole("/v1/messages", MESSAGES)["usage"]
    assert found[0][1]["message"]["usage"]["input_tokens"] == usage["input_tokens"]
    assert found[-2][1]["usage"] == {"output_tokens": usage["output_tokens"]}


def test_the_system_prompt_and_content_parts_are_read() -> None:
    parts = [{"type": "text", "text": "What is the second bag fee?"}]
    body = {"model": "lark-small", "max_tokens": 50, "system": "The second bag fee is 45 euro."}
    reply = whole("/v1/messages", {**body, "messages": [{"role": "user", "content": parts}]})
    assert reply["content"][0]["text"] == "The second bag fee is 45 euro."


def test_max_tokens_cuts_the_answer_and_says_so() -> None:
    chat = whole("/v1/chat/completions", {**CHAT, "max_tokens": 3})
    assert chat["choices"][0]["message"]["content"] == "The fee for"
    assert chat["choices"][0]["finish_reason"] == "length"
    assert chat["usage"]["completion_tokens"] == 3
    assert whole("/v1/messages", {**MESSAGES, "max_tokens": 3})["stop_reason"] == "max_tokens"


def test_embeddings_come_in_the_order_of_their_texts() -> None:
    one = whole("/v1/embeddings", {"model": "lark-embed", "input": "bag"})
    two = whole("/v1/embeddings", {"model": "lark-embed", "input": ["seat", "bag"]})
    assert [item["index"] for item in two["data"]] == [0, 1]
    assert two["data"][1]["embedding"] == one["data"][0]["embedding"]
    assert two["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


@pytest.mark.parametrize("order", list(itertools.permutations(["seat fee", "bag fee", "lunch", "fee list"])))
def test_rerank_puts_the_best_first_whatever_the_order(order: tuple[str, ...]) -> None:
    body = {"model": "lark-rerank", "query": "bag fee", "documents": order}
    results = whole("/v1/rerank", body)["results"]
    assert [order[result["index"]] for result in results] == ["bag fee", "fee list", "seat fee", "lunch"]
    assert [result["relevance_score"] for result in results] == [1, 0.5, 0.5, 0]
    assert whole("/v1/rerank", {**body, "top_n": 2})["results"] == results[:2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b"{"),
        ("/v1/chat/completions", b"[" * 100_000),
        ("/v1/chat/completions", b'{"model": "lark-small", "messages": []}'),
        ("/v1/chat/completions", json.dumps({**CHAT, "model": "gpt"}).encode()),
        ("/v1/chat/completions", json.dumps({**CHAT, "max_tokens": 0}).encode()),
        ("/v1/chat/completions", b'{"model": "lark-small", "messages": [{"role": "user", "content": NaN}]}'),
        ("/v1/messages", json.dumps(CHAT).encode()),
        ("/v1/embeddings", json.dumps({"model": "lark-embed", "input": "a", "stream": True}).encode()),
        ("/v1/embeddings", json.dumps({"model": "lark-embed", "input": []}).encode()),
        ("/v1/rerank", json.dumps({"model": "lark-rerank", "query": "a"}).encode()),
    ],
)
def test_a_body_that_the_path_does_not_take_is_a_bad_request(path: str, body: bytes) -> None:
    with pytest.raises(shapes.BadRequest):
        shapes.parse(path, body)


def test_errors_have_the_shape_of_their_path() -> None:
    assert shapes.error("/v1/messages", "k", "m") == {"type": "error", "error": {"type": "k", "message": "m"}}
    assert shapes.error("/v1/embeddings", "k", "m")["error"]["message"] == "m"
