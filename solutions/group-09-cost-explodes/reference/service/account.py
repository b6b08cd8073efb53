"""Our account at the provider: nothing leaves before it is admitted and reserved for, and all that comes back is
recorded."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from uuid import uuid4

import httpx

from service.llm import LONGEST, Answer, Llm, Refused, Unavailable
from service.patterns.accounting import Ledger, Part, Usage, cost
from service.patterns.attribution import Payer
from service.patterns.budget import Budget, Busy, Exhausted
from service.patterns.flyweight import Flyweights
from service.patterns.quota import Quota
from service.settings import ANSWER, CHEAPER, EMBEDDER, MODEL, Settings
from service.store import Tenant, find_tenant, transaction
from service.vocabulary import Vocabulary, download

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
FRESH = 600.0  # seconds for which a price list will do: changes are announced an hour before
TICK = 20.0  # seconds between two looks at the report
AGAIN = 5  # seconds after which a busy budget is worth another try


class OverQuota(Exception):
    """The tenant has had its calls for now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"come again in {seconds:.1f} s")
        self.seconds = seconds


class Account:
    def __init__(self, db: sqlite3.Connection, llm: Llm, settings: Settings) -> None:
        self.db, self.llm = db, llm
        self.ledger, self.quota = Ledger(db), Quota(db)
        self.budget = Budget(db, self.ledger)
        self.vocabularies: Flyweights[Vocabulary] = Flyweights(download, most=4)
        self.alerts = httpx.AsyncClient(base_url=settings.alerts_url, timeout=10.0)
        self._prices: list[dict] = []
        self._priced = 0.0
        db.execute("CREATE TABLE IF NOT EXISTS read_up_to (line INTEGER)")

    async def vocabulary(self, model: str) -> Vocabulary:
        return await asyncio.to_thread(self.vocabularies.get, model)

    async def prices(self) -> list[dict]:
        if not self._prices or time.time() > self._priced + FRESH:
            self._prices = (await self.llm.read("/v1/prices"))["prices"]
            self._priced = time.time()
        return self._prices

    # --------------------------------------------------------------------------------------------- before a call

    def admit(self, tenant: str) -> None:
        """Raises OverQuota."""
        wait = self.quota.admit(tenant, find_tenant(self.db, tenant).quota)
        if wait:
            raise OverQuota(wait)

    async def reserve(self, payer: Payer, messages: list[dict]) -> tuple[str, dict]:
        """The key of a call that is let in and has room, and its body. Raises OverQuota, Exhausted and Busy.

        What takes time comes first, so that the call leaves when it was let in.
        """
        tenant, prices = find_tenant(self.db, payer.tenant), await self.prices()
        for model in (CHEAPER,) if self.budget.is_low(tenant) else (MODEL, CHEAPER):
            sent = (await self.vocabulary(model)).count_messages(messages)
            self.admit(payer.tenant)
            now = time.time()
            at_most = max(cost(Usage(model, at, sent, 0, ANSWER), prices) for at in (now, now + LONGEST))
            key = str(uuid4())
            (reason,) = self.budget.reserve(key, [(tenant, Part(payer, tenant.zone, 1, at_most))])
            if reason is None:
                return key, {"model": model, "messages": messages, "max_tokens": ANSWER}
            self.quota.give_back(payer.tenant)
        raise reason(payer.tenant)

    # --------------------------------------------------------------------------------------------- calls

    async def complete(self, payer: Payer, messages: list[dict]) -> str:
        """What the model says. Raises OverQuota, Exhausted, Busy, Refused and Unavailable."""
        key, body = await self.reserve(payer, messages)
        with self._free_if_not_billed(key):
            answer = await self.llm.call(CHAT, body, key, partial(self.budget.reserve_again, key))
        await self._record(key, answer)
        return answer.body["choices"][0]["message"]["content"]

    async def insist(self, payer: Payer, messages: list[dict]) -> str:
        """The same, for work behind a request: it waits for its turn. Raises Exhausted, Refused and Unavailable."""
        while True:
            try:
                return await self.complete(payer, messages)
            except OverQuota as error:
                await asyncio.sleep(error.seconds)
            except Busy:
                await asyncio.sleep(AGAIN)

    async def stream(self, key: str, body: dict) -> AsyncIterator[str]:
        """What the model says, as it comes. Who hangs up pays it all: what that is, the report says."""
        with self._free_if_not_billed(key):
            async for answer in self.llm.stream(body, key):
                if answer.body.get("usage"):
                    await self._record(key, answer)
                for choice in answer.body["choices"]:
                    yield choice["delta"].get("content", "")

    async def embed(self, documents: Sequence[tuple[Payer, str]]) -> list[type[Exception] | None]:
        """Have documents embedded in one call, which their owners share. What keeps each from it: Budget.reserve."""
        vocabulary, prices = await self.vocabulary(EMBEDDER), await self.prices()
        wanted = []
        for payer, text in documents:
            tenant, tokens = find_tenant(self.db, payer.tenant), vocabulary.count(text)
            at_most = cost(Usage(EMBEDDER, time.time(), tokens), prices) + 1
            wanted.append((tenant, Part(payer, tenant.zone, tokens, at_most)))
        key = str(uuid4())
        reasons = self.budget.reserve(key, wanted)
        texts = [text for (_, text), reason in zip(documents, reasons, strict=True) if reason is None]
        if texts:
            created = time.time()
            with self._free_if_not_billed(key):
                body = {"model": EMBEDDER, "input": texts}
                answer = await self.llm.call(EMBED, body, key, partial(self.budget.reserve_again, key))
            await self._record(key, answer, created)
        return reasons

    @contextmanager
    def _free_if_not_billed(self, key: str):
        try:
            yield
        except Refused:
            self.ledger.close(key)
            raise
        except Unavailable as error:
            if not error.billed:
                self.ledger.close(key)
            raise

    async def _record(self, key: str, answer: Answer, created: float = 0.0) -> None:
        if answer.replayed:
            self.ledger.close(key)  # the try that was answered is no line of its own
        told = answer.body["usage"]
        usage = Usage(
            answer.body["model"],
            answer.body.get("created", created),
            told["prompt_tokens"],
            told.get("prompt_tokens_details", {}).get("cached_tokens", 0),
            told.get("completion_tokens", 0),
        )
        self._book(key, answer.request, cost(usage, await self.prices()), usage.created)

    def _book(self, key: str, request: str, micro_dollars: int, created: float) -> None:
        for tenant, month in self.ledger.record(key, request, micro_dollars, created):
            self.budget.watch(find_tenant(self.db, tenant), month)

    # --------------------------------------------------------------------------------------------- behind the calls

    async def keep_books(self) -> None:
        """Read the report, and send alerts, for ever."""
        while True:
            for work in (self._read_report, self._send_alert):
                with suppress(httpx.HTTPError):
                    await work()
            await asyncio.sleep(TICK)

    async def _read_report(self) -> None:
        more = True
        while more:
            row = self.db.execute("SELECT line FROM read_up_to").fetchone()
            after = row["line"] if row else 0
            page = await self.llm.read("/v1/usage", after=after)
            for line in page["lines"]:
                self._book(line["key"], line["id"], line["micro_dollars"], line["created"])
            if page["next"] > after:
                with transaction(self.db):  # twice is once, so another replica may have read the same
                    self.db.execute("DELETE FROM read_up_to")
                    self.db.execute("INSERT INTO read_up_to VALUES (?)", (page["next"],))
            more = page["more"]
        self.ledger.close_all(before=page["complete_until"] - LONGEST)

    async def _send_alert(self) -> None:
        while alert := self.budget.next_alert(again=2 * TICK):
            tenant, month = alert
            told = await self.alerts.post("/alerts", json={"tenant": tenant, "month": month, "percent": 80})
            if told.is_success:
                self.budget.alerted(tenant, month)
