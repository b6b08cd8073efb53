"""Our account at the provider: nothing leaves before it is admitted and held for, and all that comes back is billed.

Functions on one `Office`. Who a call is for stands in a context variable.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import httpx

from service.llm import LONGEST, Answer, Llm, Refused, Unavailable
from service.patterns import accounting, budget, quota
from service.patterns.accounting import Usage, bill, cost
from service.patterns.attribution import Payer, payer
from service.patterns.budget import Busy, Exhausted, month
from service.patterns.flyweight import Flyweights
from service.settings import ANSWER, CHEAPER, EMBEDDER, MODEL, Settings
from service.store import find_tenant, transaction
from service.vocabulary import Vocabulary, download

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
TICK = 20.0  # seconds between two looks at the report
PATIENCE = 6.0  # seconds that a chat waits for calls under way to give back what they hold


class OverQuota(Exception):
    """The tenant has had its calls for now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"come again in {seconds:.1f} s")
        self.seconds = seconds


@dataclass
class Office:
    db: sqlite3.Connection
    llm: Llm
    alerts: httpx.AsyncClient
    vocabularies: Flyweights[Vocabulary] = field(default_factory=lambda: Flyweights(download, 4))
    prices: list[dict] = field(default_factory=list)
    read: int = 0  # lines of the report
    tasks: set[asyncio.Task] = field(default_factory=set)

    def spawn(self, work) -> asyncio.Task:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


def found(db: sqlite3.Connection, settings: Settings) -> Office:
    for part in (accounting, budget, quota):
        db.executescript(part.SCHEMA)
    return Office(db, Llm(settings), httpx.AsyncClient(base_url=settings.alerts_url, timeout=10.0))


async def price_list(office: Office) -> list[dict]:
    if not office.prices:
        office.prices = (await office.llm.read("/v1/prices"))["prices"]
    return office.prices


async def vocabulary(office: Office, model: str) -> Vocabulary:
    return await asyncio.to_thread(office.vocabularies.get, model)


def admit(office: Office, tenant: str) -> None:
    """Raises OverQuota."""
    wait = quota.admit(office.db, tenant, find_tenant(office.db, tenant).quota)
    if wait > 0:
        raise OverQuota(wait)


def _hold(office: Office, key: str, wanted: list[tuple[Payer, int, int]]) -> list[type[Exception] | None]:
    """Hold for each (payer, weight, most)."""
    now, reasons = time.time(), []
    with transaction(office.db):
        for number, (who, weight, most) in enumerate(wanted):
            terms = find_tenant(office.db, who.tenant)
            at = month(now, terms.zone)
            reason = budget.hold(office.db, who.tenant, at, terms.budget, most)
            reasons.append(reason)
            if reason is None:
                row = (key, number, who.tenant, who.feature, who.run, terms.zone, weight, at, most, most, now)
                office.db.execute("INSERT INTO payers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return reasons


def _hold_again(office: Office, key: str) -> None:
    """Hold as much once more, for another try beside one that may be billed. Raises Busy, and then holds no more."""
    now = time.time()
    with transaction(office.db):
        for row in office.db.execute("SELECT * FROM payers WHERE key = ?", (key,)).fetchall():
            terms = find_tenant(office.db, row["tenant"])
            at = month(now, terms.zone)
            if at != row["month"]:  # what is held goes along into the new one
                budget.move(office.db, terms.name, row["month"], held=-row["held"])
                budget.move(office.db, terms.name, at, held=row["held"])
            if budget.hold(office.db, terms.name, at, terms.budget, row["most"]):
                raise Busy(terms.name)
            query = "UPDATE payers SET held = held + most, month = ?, begun = ? WHERE key = ? AND number = ?"
            office.db.execute(query, (at, now, key, row["number"]))


async def reserve(office: Office, messages: list[dict]) -> tuple[str, dict]:
    """The key of a call that is held for, and its body. Raises Exhausted and Busy."""
    who, prices = payer.get(), await price_list(office)
    terms = find_tenant(office.db, who.tenant)
    until = time.time() + PATIENCE
    while True:
        now = time.time()
        spent, _ = budget.look(office.db, who.tenant, month(now, terms.zone))
        for model in (CHEAPER,) if spent * 100 >= budget.WARN * terms.budget else (MODEL, CHEAPER):
            tokens = (await vocabulary(office, model)).count_messages(messages)
            most = max(cost(Usage(model, at, tokens, 0, ANSWER), prices) for at in (now, now + LONGEST))
            key = str(uuid4())
            (reason,) = _hold(office, key, [(who, 1, most)])
            if reason is None:
                return key, {"model": model, "messages": messages, "max_tokens": ANSWER}
        if reason is Exhausted or time.time() > until:
            quota.give_back(office.db, who.tenant)
            raise reason(who.tenant)
        await asyncio.sleep(0.5)


async def complete(office: Office, messages: list[dict], *, patient: bool = False) -> str:
    """What the model says. Who is patient waits. Raises OverQuota, Exhausted, Busy, Refused, Unavailable."""
    while True:
        try:
            await asyncio.gather(vocabulary(office, MODEL), price_list(office))  # so that nothing lies between
            admit(office, payer.get().tenant)
            key, body = await reserve(office, messages)
            break
        except (OverQuota, Busy) as error:
            if not patient:
                raise
            await asyncio.sleep(getattr(error, "seconds", 3.0))
    answer = await _call(office, CHAT, body, key)
    _billed(office, key, answer)
    return answer.body["choices"][0]["message"]["content"]


async def stream(office: Office, key: str, body: dict) -> AsyncIterator[str]:
    """What the model says, as it comes. It is read to its end, also when nobody listens any more: it is paid for."""
    pieces: asyncio.Queue[str | Exception | None] = asyncio.Queue()

    async def read() -> None:
        end: Exception | None = None
        try:
            async for answer in office.llm.stream(body, key):
                if answer.body.get("usage"):
                    _billed(office, key, answer)
                for choice in answer.body["choices"]:
                    pieces.put_nowait(choice["delta"].get("content", ""))
        except (Refused, Unavailable) as error:
            _give_back(office, key, error)
            end = error
        pieces.put_nowait(end)

    office.spawn(read())
    while isinstance(piece := await pieces.get(), str):
        yield piece
    if piece is not None:
        raise piece


async def embed(office: Office, documents: list[tuple[Payer, str]]) -> list[type[Exception] | None]:
    """Have documents embedded in one call, which their owners share. What keeps each from it: Exhausted, Busy, or
    nothing."""
    words, prices = await vocabulary(office, EMBEDDER), await price_list(office)
    now, key = time.time(), str(uuid4())
    wanted = []
    for who, text in documents:
        tokens = words.count(text)
        wanted.append((who, tokens, cost(Usage(EMBEDDER, now, tokens), prices) + 1))
    reasons = _hold(office, key, wanted)
    texts = [text for (_, text), reason in zip(documents, reasons, strict=True) if reason is None]
    if texts:
        answer = await _call(office, EMBED, {"model": EMBEDDER, "input": texts}, key)
        _billed(office, key, answer, now)
    return reasons


async def _call(office: Office, path: str, body: dict, key: str) -> Answer:
    try:
        return await office.llm.call(path, body, key, partial(_hold_again, office, key))
    except (Refused, Unavailable) as error:
        _give_back(office, key, error)
        raise


def _give_back(office: Office, key: str, error: Exception) -> None:
    """Unless the last try may have been billed: then the report knows."""
    if not getattr(error, "billed", False):
        with transaction(office.db):
            accounting.settle(office.db, key)


def _billed(office: Office, key: str, answer: Answer, created: float = 0.0) -> None:
    if answer.replayed:  # the try that was answered is no line of its own
        with transaction(office.db):
            accounting.settle(office.db, key)
    told = answer.body["usage"]
    cached = told.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    at = answer.body.get("created", created)
    usage = Usage(answer.body["model"], at, told["prompt_tokens"], cached, told.get("completion_tokens", 0))
    bill(office.db, key, answer.request, cost(usage, office.prices), at)
    _look_at(office, key, at)


def _look_at(office: Office, key: str, created: float) -> None:
    """Is it time to tell somebody?"""
    for row in office.db.execute("SELECT DISTINCT tenant FROM payers WHERE key = ?", (key,)).fetchall():
        terms = find_tenant(office.db, row["tenant"])
        at = month(created, terms.zone)
        if budget.warn(office.db, terms.name, at, terms.budget):
            office.spawn(_tell(office, {"tenant": terms.name, "month": at, "percent": 80}))


async def _tell(office: Office, alert: dict) -> None:
    for pause in (1.0, 5.0, 20.0, 60.0):
        with suppress(httpx.HTTPError):
            if (await office.alerts.post("/alerts", json=alert)).is_success:
                return
        await asyncio.sleep(pause)


async def keep_books(office: Office) -> None:
    """Read the prices and the report, for ever. Each replica reads all of it: twice is once."""
    while True:
        with suppress(httpx.HTTPError):
            office.prices = (await office.llm.read("/v1/prices"))["prices"]
            more = True
            while more:
                page = await office.llm.read("/v1/usage", after=office.read)
                for line in page["lines"]:
                    bill(office.db, line["key"], line["id"], line["micro_dollars"], line["created"])
                    _look_at(office, line["key"], line["created"])
                office.read, more = page["next"], page["more"]
            accounting.settle_old(office.db, page["complete_until"] - LONGEST)
        await asyncio.sleep(TICK)
