"""The provider's wire shapes: OpenAI's chat and embeddings, Anthropic's messages, Cohere's rerank.

Each request class reads one shape and writes its replies. What is answered lives in `model.py`; when, and whether at
all, in `provider.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from grader.world import agent, model, reader, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS_PER_EVENT = 4
_Count = Annotated[int, msgspec.Meta(ge=1)]


class BadRequest(Exception):
    """The request is not one that this path takes."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a request comes to, and the tokens that it costs."""

    text: str
    tokens_in: int
    tokens_out: int
    whole: bool = True
    calls: tuple[agent.ToolCall, ...] = ()  # of tools
    cached: int | None = None  # of tokens_in; None where prompts are not kept


class Request(msgspec.Struct, kw_only=True):
    model: str
    stream: bool = False

    def texts(self) -> list[str]:
        """All text that the model reads, in order."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises BadRequest if the model does not take it."""

    def run(self, *, wrong_citation: bool, salt: int = 0) -> Output:  # noqa: ARG002
        return Output("", sum(map(tokenizer.count, self.texts())), 0)

    def render(self, name: str, created: int, output: Output) -> list[bytes]:
        """The reply's body, in the pieces in which it is sent."""
        return [msgspec.json.encode(self.body(name, created, output))]

    def body(self, name: str, created: int, output: Output) -> dict[str, Any]:
        raise NotImplementedError


class Part(msgspec.Struct):
    type: Literal["text"]
    text: str


class Function(msgspec.Struct):
    name: str
    arguments: str


class Called(msgspec.Struct):
    """A call that the assistant has made, as it is told to it again."""

    id: str
    function: Function
    type: Literal["function"] = "function"


class Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str = ""

    def turn(self) -> tuple[str, str]:
        called = [f"{each.function.name} {each.function.arguments}" for each in self.tool_calls or ()]
        text = "\n".join([_flat(self.content or ""), *called]) if called else _flat(self.content or "")
        return ("system" if self.role == "developer" else self.role), text

    def agents(self) -> agent.Turn:
        calls = (agent.ToolCall(each.id, each.function.name, each.function.arguments) for each in self.tool_calls or ())
        role = "system" if self.role == "developer" else self.role
        return agent.Turn(role, _flat(self.content or ""), tuple(calls), self.tool_call_id)


class Described(msgspec.Struct):
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class ToolOffered(msgspec.Struct):
    function: Described
    type: Literal["function"] = "function"


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Conversation(Request, kw_only=True):
    """What chat and messages have in common."""

    messages: list[Message]

    def turns(self) -> list[tuple[str, str]]:
        return [message.turn() for message in self.messages]

    def check(self) -> None:
        if any(message.content is None and not message.tool_calls for message in self.messages):
            raise BadRequest("a message has content, or calls of tools")
        if self.model == reader.READER:
            used, kept = tokenizer.count_messages(self.texts()), self.limit() or reader.RESERVE
            if used + kept > reader.WINDOW:
                raise BadRequest(
                    f"the context is {reader.WINDOW} tokens at most: {used} in the messages, {kept} for the answer"
                )

    def texts(self) -> list[str]:
        return [text for _, text in self.turns()]

    def run(self, *, wrong_citation: bool, salt: int = 0) -> Output:
        if self.model == reader.READER:
            said = reader.answer(self.turns(), salt, wrong_citation=wrong_citation)
        else:
            said = model.answer(self.turns(), wrong_citation=wrong_citation)
        limit = self.limit()
        text = said if limit is None else tokenizer.cut(said, limit)
        return Output(text, tokenizer.count_messages(self.texts()), tokenizer.count(text), whole=text == said)

    def render(self, name: str, created: int, output: Output) -> list[bytes]:
        return self.events(name, created, output) if self.stream else super().render(name, created, output)

    def limit(self) -> int | None:
        """Tokens in the answer, at most."""
        raise NotImplementedError

    def events(self, name: str, created: int, output: Output) -> list[bytes]:
        """The server-sent events of a streamed reply."""
        raise NotImplementedError


class Chat(Conversation, kw_only=True):
    """POST /v1/chat/completions, as OpenAI has it."""

    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stream_options: StreamOptions | None = None
    tools: list[ToolOffered] = []
    tool_choice: Any = None

    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def texts(self) -> list[str]:
        offered = [f"{each.name} {each.description}\n{_json(each.parameters)}" for each in self._functions()]
        return super().texts() + offered

    def run(self, *, wrong_citation: bool, salt: int = 0) -> Output:
        turns = [message.agents() for message in self.messages]
        if self.model != agent.NAME or not (self.tools or agent.sorts(turns)):
            return super().run(wrong_citation=wrong_citation, salt=salt)
        told = [agent.Tool(each.name, each.description, each.parameters) for each in self._functions()]
        said = agent.answer(turns, told)
        out = tokenizer.count(said.text) + sum(tokenizer.count(f"{each.name} {each.arguments}") for each in said.calls)
        return Output(said.text, tokenizer.count_messages(self.texts()), out, calls=said.calls)

    def check(self) -> None:
        super().check()
        if self.tools and (self.model != agent.NAME or self.stream):
            raise BadRequest(f"tools are for {agent.NAME}, and not streamed")
        open_calls: set[str] = set()
        for message in self.messages:
            if message.role == "tool":
                if message.tool_call_id not in open_calls:
                    raise BadRequest("a message of role tool answers a call of the message before")
                open_calls.remove(message.tool_call_id)
            elif open_calls:
                break
            open_calls |= {each.id for each in message.tool_calls or ()}
        if open_calls:
            raise BadRequest(f"each tool call needs an answer: {', '.join(sorted(open_calls))[:200]}")

    def _functions(self) -> list[Described]:
        return [tool.function for tool in self.tools]

    def body(self, name: str, created: int, output: Output) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": output.text}
        if output.calls:
            calls = [{"id": each.id, "type": "function", "function": {"name": each.name, "arguments": each.arguments}}
                     for each in output.calls]  # fmt: skip
            message |= {"content": None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": self._end(output)}
        return {**self._head(name, created, "chat.completion"), "choices": [choice], "usage": self._usage(output)}

    def events(self, name: str, created: int, output: Output) -> list[bytes]:
        head = self._head(name, created, "chat.completion.chunk")
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(output.text)]
        chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": self._end(output)}]})
        if self.stream_options and self.stream_options.include_usage:
            chunks.append({**head, "choices": [], "usage": self._usage(output)})
        return [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    def _head(self, name: str, created: int, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{name}", "object": kind, "created": created, "model": self.model}

    def _usage(self, output: Output) -> dict[str, Any]:
        total = output.tokens_in + output.tokens_out
        kept = {} if output.cached is None else {"prompt_tokens_details": {"cached_tokens": output.cached}}
        told = {"prompt_tokens": output.tokens_in, "completion_tokens": output.tokens_out, "total_tokens": total}
        return {**told, **kept}

    def _end(self, output: Output) -> str:
        if output.calls:
            return "tool_calls"
        return "stop" if output.whole else "length"


class Messages(Conversation, kw_only=True):
    """POST /v1/messages, as Anthropic has it: `max_tokens` is required, and the system prompt stands apart."""

    max_tokens: _Count
    system: str | list[Part] = ""

    def check(self) -> None:
        super().check()
        if any(message.role == "tool" or message.tool_calls for message in self.messages):
            raise BadRequest("calls of tools are for /v1/chat/completions")

    def turns(self) -> list[tuple[str, str]]:
        system = _flat(self.system)
        return ([("system", system)] if system else []) + super().turns()

    def limit(self) -> int:
        return self.max_tokens

    def body(self, name: str, created: int, output: Output) -> dict[str, Any]:  # noqa: ARG002
        usage = {"input_tokens": output.tokens_in, "output_tokens": output.tokens_out}
        return {
            **self._head(name),
            "content": [{"type": "text", "text": output.text}],
            "stop_reason": self._end(output),
            "usage": usage,
        }

    def events(self, name: str, created: int, output: Output) -> list[bytes]:  # noqa: ARG002
        usage = {"input_tokens": output.tokens_in, "output_tokens": 0}
        start = {**self._head(name), "content": [], "stop_reason": None, "usage": usage}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ]
        for piece in _pieces(output.text):
            delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        end = {"stop_reason": self._end(output), "stop_sequence": None}
        events += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": output.tokens_out}},
            {"type": "message_stop"},
        ]
        return [f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n" for event in events]

    def _head(self, name: str) -> dict[str, Any]:
        head = {"id": f"msg_{name}", "type": "message", "role": "assistant", "model": self.model}
        return {**head, "stop_sequence": None}

    def _end(self, output: Output) -> str:
        return "end_turn" if output.whole else "max_tokens"


class Embeddings(Request, kw_only=True):
    """POST /v1/embeddings, as OpenAI has it."""

    input: str | list[str]

    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

    def body(self, name: str, created: int, output: Output) -> dict[str, Any]:  # noqa: ARG002
        embed = reader.embed if self.model == reader.ENCODER else model.embed
        data = [
            {"object": "embedding", "index": index, "embedding": embed(text)} for index, text in enumerate(self.texts())
        ]
        usage = {"prompt_tokens": output.tokens_in, "total_tokens": output.tokens_in}
        return {"object": "list", "data": data, "model": self.model, "usage": usage}


class Rerank(Request, kw_only=True):
    """POST /v1/rerank, as Cohere has it. Best first; documents of equal score in the order of their text."""

    query: str
    documents: list[str]
    top_n: _Count | None = None

    def texts(self) -> list[str]:
        return [self.query, *self.documents]

    def body(self, name: str, created: int, output: Output) -> dict[str, Any]:  # noqa: ARG002
        relevance = reader.relevance if self.model == reader.RERANKER else model.relevance
        scored = ((relevance(self.query, text), text, index) for index, text in enumerate(self.documents))
        ranked = sorted(scored, key=lambda item: (-item[0], *item[1:]))[: self.top_n]
        results = [{"index": index, "relevance_score": score} for score, _, index in ranked]
        return {"id": f"rerank-{name}", "results": results, "usage": {"total_tokens": output.tokens_in}}


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "/v1/chat/completions": msgspec.json.Decoder(Chat),
    "/v1/messages": msgspec.json.Decoder(Messages),
    "/v1/embeddings": msgspec.json.Decoder(Embeddings),
    "/v1/rerank": msgspec.json.Decoder(Rerank),
}
PATHS = frozenset(_DECODERS)


def parse(path: str, body: bytes) -> Request:
    """Raises BadRequest with a sentence for the caller. `path` is one of PATHS."""
    try:
        request: Request = _DECODERS[path].decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(str(error)) from None
    if request.model not in model.PRICES:
        raise BadRequest(f"no such model: {request.model[:80]}")
    if not request.texts():
        raise BadRequest("there is nothing to read")
    if request.stream and not isinstance(request, Conversation):
        raise BadRequest("this path does not stream")
    request.check()
    return request


def error(path: str, kind: str, message: str) -> dict[str, Any]:
    """The error body that the clients of this path know."""
    if path == "/v1/messages":
        return {"type": "error", "error": {"type": kind, "message": message}}
    return {"error": {"type": kind, "message": message, "code": None, "param": None}}


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _flat(content: str | Sequence[Part]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    groups = [" ".join(words[i : i + _WORDS_PER_EVENT]) for i in range(0, len(words), _WORDS_PER_EVENT)]
    return groups[:1] + [f" {group}" for group in groups[1:]]
