"""The simulated LLM provider: a server on the simulated network, with a queue, faults, a log and an invoice.

What it answers lives in `model.py`, the HTTP shapes in `shapes.py`, what goes wrong in `faults.py`.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import itertools
import math
from collections import Counter, deque
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import msgspec

from grader.sim.network import Call, Hangup, Reply
from grader.world import agent, billing, model, reader, shapes, tokenizer
from grader.world.faults import Draw, Fault, Kind, Schedule
from grader.world.ledger import Entry, Line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from grader.sim import Simulation

GUARD = 5_000
"""Calls in one run, at most. A run without an end forgets the older half of them instead."""

DESK_SECONDS = 0.005
"""What the provider needs to refuse a call, or to repeat a reply that it kept: no slot, no bill."""

RULES = f"""\
First what holds for all calls; then the models: lark-large and lark-small, {reader.READER}, lark-agent; then tariffs.

POST /v1/chat/completions, /v1/messages, /v1/embeddings and /v1/rerank, in the shapes of OpenAI, Anthropic and Cohere.
- A fixed number of calls is executed at once; the others wait in one queue, first come, first served. How long one
  takes follows a log-normal law.
- What was accepted is executed, and billed in full, whether or not anybody still waits for the reply. What is refused
  (4xx, 5xx) is not billed.
- A streamed answer comes in even pieces while it is made; usage comes only with stream_options.include_usage.
- Retry-After is true, and in whole seconds or an HTTP-date.
- The same Idempotency-Key with the same request is executed and billed once. Each repetition gets the first reply, and
  is marked Idempotent-Replayed: true. While the first is still in work, it waits for that; or, where the provider joins
  no calls, it is executed and billed as one more. With another request: 400. Refusals are not kept.
- Where an API key's calls at once are capped, one more gets 429. A call counts until its reply has been sent, or its
  client has hung up.

{model.RULES}

{reader.RULES}
{agent.RULES}
{billing.RULES}"""


class TooManyCalls(Exception):
    """The guard: more than GUARD calls reached the provider in one run."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One execution, and the reply that it comes to."""

    request: bytes  # for comparison, in canonical form
    pieces: list[bytes]
    content_type: str
    begun: asyncio.Future[tuple[float, float]]  # when it started, how long it takes
    task: asyncio.Task[None]
    call: int  # whose id it has


class Provider:
    """Attach it: `sim.network.attach("llm.skylark.test", provider)`.

    `median` (seconds) and `sigma` are the latency law; `slots` the calls executed at once; `cap` the calls that an API
    key may have open at once (None: any number); `joins` whether a repetition waits for a first try that is in work;
    `tariff` how it charges (None: at the prices of the models, with no report).
    """

    def __init__(
        self,
        sim: Simulation,
        *,
        median: float = 0.82,
        sigma: float = 0.6,
        slots: int = 20,
        cap: int | None = None,
        joins: bool = True,
        tariff: billing.Tariff | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.log: list[Entry] = []
        self.invoice: list[Line] = []
        self.high_water = 0
        self.cap = cap
        self._joins = joins
        self._tariff = tariff
        self._prompts = billing.Prompts(tariff.keeps) if tariff else None
        self._in_work: dict[int, float] = {}  # call -> when it arrived
        self._forgotten = 0  # lines of the invoice
        self._sim = sim
        self._salt = sim.rng("provider").getrandbits(64)
        self._law = NormalDist(math.log(median), sigma) if sigma else None
        self._median = median
        self._free = slots
        self._queue: deque[asyncio.Future[None]] = deque()
        self._open: dict[int, tuple[str, Call]] = {}
        self._kept: dict[tuple[str, str], _Work] = {}
        self._seen: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._schedule = Schedule(faults)
        self._announcer: asyncio.Task[None] | None = None

    @property
    def billed(self) -> int:
        """The invoice's total in micro-dollars."""
        return sum(line.micro_dollars for line in self.invoice)

    def strike(self, fault: Fault) -> None:
        """From now on this fault, too, in a run that goes on. It takes the place of its kind, and wins over others."""
        self._schedule.add(fault, self._sim.now)

    def heal(self) -> None:
        """No fault strikes any more."""
        self._schedule.clear()

    async def __call__(self, call: Call) -> Reply:
        """Raises TooManyCalls, and Hangup where a fault says so."""
        if self._announcer is None:
            self._announcer = asyncio.create_task(self._schedule.announce(self._sim, "provider"))
        if self._tariff and call.method == "GET":
            return self._tell(call, self._tariff)
        entry = self._enter(call)
        streamed = False
        try:
            reply = await self._serve(call, entry)
            streamed = not isinstance(reply.body, bytes)
            return reply
        finally:
            if not streamed:
                self._leave(entry, gone=call.closed.is_set())

    def _tell(self, call: Call, tariff: billing.Tariff) -> Reply:
        """The price list or the report: not logged, and free."""
        epoch, now = self._sim.epoch / 1e9, self._sim.now
        after = call.query.get("after", "0")
        if call.path == billing.PRICES_PATH:
            return Reply.json(tariff.listed(epoch, now))
        if call.path == billing.USAGE_PATH and after.isascii() and after.isdigit():
            open_since, behind = min(self._in_work.values(), default=math.inf), max(0, int(after) - self._forgotten)
            told = billing.report(self.invoice, open_since, behind, epoch, now, tariff.lag)
            return Reply.json({**told, "next": told["next"] + self._forgotten})
        return Reply.json(shapes.error(call.path, "not_found_error", "no such page"), 404)

    # ------------------------------------------------------------------------------------------- the way of a call

    def _enter(self, call: Call) -> Entry:
        if len(self.log) >= GUARD:
            if not self._sim.endless:
                raise TooManyCalls(
                    f"the provider's guard stopped the run: call {GUARD + 1:,} came at {self._sim.now:.1f} s"
                )
            self._forget()
        headers = call.headers
        api_key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        tenant, idempotency_key = headers.get("x-tenant", ""), headers.get("idempotency-key", "")
        entry = Entry(next(self._numbers), self._sim.now, call.path, dict(headers), api_key, tenant, idempotency_key)
        self.log.append(entry)
        self._open[entry.id] = (api_key, call)
        if len(self._open) > self.high_water:  # count those alone whose client is still there
            self._open = {i: (key, other) for i, (key, other) in self._open.items() if not other.closed.is_set()}
            self.high_water = max(self.high_water, len(self._open))
        return entry

    def _forget(self) -> None:
        """The older half of the calls, and what was kept for repetitions of them."""
        del self.log[: GUARD // 2]
        first, lines = self.log[0].id, len(self.invoice)
        self.invoice = [line for line in self.invoice if line.call >= first]
        self._forgotten += lines - len(self.invoice)
        known = {(entry.api_key, entry.idempotency_key) for entry in self.log}
        self._kept = {key: work for key, work in self._kept.items() if key in known or not work.task.done()}
        self._seen.clear()

    def _leave(self, entry: Entry, *, gone: bool) -> None:
        self._open.pop(entry.id, None)
        entry.finished, entry.client_gone = self._sim.now, gone

    async def _serve(self, call: Call, entry: Entry) -> Reply:
        if call.path not in shapes.PATHS:
            return await self._refuse(entry, 404, "not_found_error", "no such path")
        if call.method != "POST":
            return await self._refuse(entry, 405, "invalid_request_error", "only POST is known here")
        try:
            request = shapes.parse(call.path, call.body)
        except shapes.BadRequest as error:
            return await self._refuse(entry, 400, "invalid_request_error", str(error))
        draw = self._note(entry, request)
        if self.cap is not None and self._open_for(entry.api_key) > self.cap:
            text = f"more than {self.cap} calls at once"
            return await self._refuse(entry, 429, "rate_limit_error", text, {"retry-after": "1"})
        fault = self._schedule.striking(call, self._sim.now, draw)
        if fault:
            entry.faults += (fault.kind.value,)
            if fault.kind is Kind.ERROR:
                return await self._error(entry, fault)
            if fault.kind is Kind.UNREACHABLE:
                raise Hangup(fault.how)
            if fault.kind is Kind.HANG:
                await call.closed.wait()
                return Reply()
        canonical = msgspec.json.encode(request, order="sorted")
        work = self._kept.get((entry.api_key, entry.idempotency_key)) if entry.idempotency_key else None
        if work is None or (not self._joins and not work.task.done() and work.request == canonical):
            work = self._begin(call, entry, request, canonical, fault, draw)
        elif work.request != canonical:
            text = "this Idempotency-Key came with another request before"
            return await self._refuse(entry, 400, "idempotency_error", text)
        else:
            entry.replayed = True
        return await self._deliver(call, entry, work, fault, stream=request.stream)

    def _note(self, entry: Entry, request: shapes.Request) -> Draw:
        """Log what is asked, and make the call's dice: they fall by content and by how often that came before."""
        entry.model, entry.prompt = request.model, "\n".join(request.texts())
        content = f"{entry.path}\n{entry.model}\n{entry.prompt}"
        entry.prompt_hash = hashlib.sha256(content.encode()).hexdigest()[:16]
        self._seen[entry.prompt_hash] += 1
        name = f"{self._salt} {entry.prompt_hash} {self._seen[entry.prompt_hash]}"

        def draw(label: str) -> float:
            digest = hashlib.sha256(f"{name} {label}".encode()).digest()
            return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48

        return draw

    def _open_for(self, api_key: str) -> int:
        return sum(key == api_key and not call.closed.is_set() for key, call in self._open.values())

    # ------------------------------------------------------------------------------------------- refusals

    async def _error(self, entry: Entry, fault: Fault) -> Reply:
        headers = {}
        if fault.retry_after is not None:
            wait = min(fault.retry_after, fault.end - self._sim.now)
            headers["retry-after"] = self._http_date(wait) if fault.as_date else str(math.ceil(wait))
        kind = {429: "rate_limit_error", 503: "overloaded_error"}.get(fault.status, "api_error")
        return await self._refuse(entry, fault.status, kind, "try again later", headers)

    async def _refuse(
        self, entry: Entry, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> Reply:
        await asyncio.sleep(DESK_SECONDS)
        entry.status = status
        body = msgspec.json.encode(shapes.error(entry.path, kind, message))
        return Reply(status, {"content-type": "application/json", **(headers or {})}, body)

    def _http_date(self, seconds: float) -> str:
        return email.utils.formatdate(math.ceil(self._sim.epoch / 1e9 + self._sim.now + seconds), usegmt=True)

    # ------------------------------------------------------------------------------------------- execution

    def _begin(
        self, call: Call, entry: Entry, request: shapes.Request, canonical: bytes, fault: Fault | None, draw: Draw
    ) -> _Work:
        output = request.run(wrong_citation=fault is not None and fault.kind is Kind.WRONG_CITATION, salt=self._salt)
        if self._prompts and isinstance(request, shapes.Conversation):
            turns = request.turns()
            known = self._prompts.known((entry.api_key, request.model), turns, self._sim.now)
            output = replace(output, cached=tokenizer.count_messages(text for _, text in turns[:known]))
        self._in_work[entry.id] = self._sim.now
        pieces = request.render(str(entry.id), int(self._sim.epoch / 1e9 + self._sim.now), output)
        begun: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._execute(call, entry, output, draw, self._turn(), begun))
        content_type = "text/event-stream" if request.stream else "application/json"
        work = _Work(canonical, pieces, content_type, begun, task, entry.id)
        if entry.idempotency_key:
            self._kept[entry.api_key, entry.idempotency_key] = work
        return work

    def _turn(self) -> asyncio.Future[None]:
        """A place in the queue, taken now; it is over when a slot is ours."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            turn.set_result(None)
        else:
            self._queue.append(turn)
        return turn

    async def _execute(
        self,
        call: Call,
        entry: Entry,
        output: shapes.Output,
        draw: Draw,
        turn: asyncio.Future[None],
        begun: asyncio.Future[tuple[float, float]],
    ) -> None:
        await turn
        entry.started = self._sim.now
        slowness = self._schedule.slowness(call, self._sim.now, draw)
        if slowness != 1:
            entry.faults += (Kind.BROWN_OUT.value,)
        seconds = slowness * (math.exp(self._law.inv_cdf(draw("latency"))) if self._law else self._median)
        begun.set_result((self._sim.now, seconds))
        await asyncio.sleep(seconds)
        if self._queue:
            self._queue.popleft().set_result(None)  # the slot changes hands
        else:
            self._free += 1
        if entry.finished is None:
            entry.client_gone = call.closed.is_set()
        entry.finished = self._sim.now
        entry.answer = output.text
        entry.tokens_in, entry.tokens_out, entry.cached = output.tokens_in, output.tokens_out, output.cached or 0
        price = self._tariff.price(entry.model, entry.arrived) if self._tariff else model.PRICES[entry.model]
        entry.billed = model.charge(price, entry.tokens_in, entry.tokens_out, entry.cached)
        del self._in_work[entry.id]
        self.invoice.append(Line.of(entry))
        self._sim.tape.record(
            "billed", "provider", call=entry.id, key=entry.idempotency_key, gone=entry.client_gone, cost=entry.billed
        )

    async def _deliver(self, call: Call, entry: Entry, work: _Work, fault: Fault | None, *, stream: bool) -> Reply:
        headers = {"content-type": work.content_type, "x-request-id": f"req_{work.call}"}
        if entry.replayed:
            headers["idempotent-replayed"] = "true"
            await asyncio.sleep(DESK_SECONDS)
        pieces = work.pieces
        kind = fault.kind if fault else None
        if kind is Kind.MALFORMED:
            whole = pieces[: (len(pieces) + 1) // 2]
            pieces = [*whole[:-1], whole[-1][: len(whole[-1]) // 2]]
        if stream and kind not in (Kind.REPLY_LOST, Kind.DRIP):
            begun, seconds = await asyncio.shield(work.begun)
            entry.status = 200
            moments = [begun + seconds * (i + 1) / len(pieces) for i in range(len(pieces))]
            return Reply(200, headers, self._send(entry, pieces, moments))
        await asyncio.shield(work.task)
        entry.status = 200
        if fault and kind is Kind.REPLY_LOST:
            if fault.how != "hang":
                raise Hangup(fault.how)
            await call.closed.wait()
            return Reply()
        if fault and kind is Kind.DRIP:
            pieces = _drops(b"".join(pieces), math.ceil(fault.seconds))
            moments = [self._sim.now + i * fault.seconds / len(pieces) for i in range(1, len(pieces) + 1)]
            return Reply(200, headers, self._send(entry, pieces, moments))
        return Reply(200, headers, b"".join(pieces))

    async def _send(self, entry: Entry, pieces: Sequence[bytes], moments: Sequence[float]) -> AsyncIterator[bytes]:
        left = len(pieces)
        try:
            for piece, moment in zip(pieces, moments, strict=True):
                await asyncio.sleep(moment - self._sim.now)
                left -= 1
                yield piece
        finally:
            self._leave(entry, gone=left > 0)


def _drops(body: bytes, count: int) -> list[bytes]:
    """The body in `count` pieces; newlines, which JSON and event streams ignore, make up for a short one."""
    body = b"\n" * max(0, count - len(body)) + body
    size = len(body) / count
    return [body[round(i * size) : round((i + 1) * size)] for i in range(count)]
