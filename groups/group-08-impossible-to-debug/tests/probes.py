"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import gc
import json
import os
import sqlite3
import weakref
from pathlib import Path


def _db():
    """A file of our own, as store.py opens it, whoever has changed that."""
    db = sqlite3.connect(Path(os.environ["DATA_DIR"]) / "probe.db", timeout=10.0, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


def _raised(function, *args):
    """The name of what a call raises; "" if it returns."""
    try:
        function(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return ""


NUMBER = (int, float)
EXAMPLE = {"question": str, "answer": str}
REPORT = {"diffs": [{"request": dict}]} | dict.fromkeys(("compared", "differ", "failed", "skipped"), int)
SPAN = {"span_id": str, "parent_id": (str, type(None)), "name": str, "start": NUMBER, "end": NUMBER, "status": str}


def _like(shape, value, what):
    """`value`, if it has the shape that is promised: a type, several, [of each], or {name: of that}. Else a TypeError."""
    right = isinstance(value, list if isinstance(shape, list) else dict if isinstance(shape, dict) else shape)
    if not right or (isinstance(shape, dict) and not set(shape) <= set(value)):
        raise TypeError(f"{what} is {value!r:.100}, which is not what its docstring says")
    for name, each in shape.items() if isinstance(shape, dict) else ():
        _like(each, value[name], f"{name} of {what}")
    for each in value if isinstance(shape, list) else ():
        _like(shape[0], each, f"one of {what}")
    return value


# ------------------------------------------------------------------------------------------------ stage 1


async def spans(ports, sent, malformed):
    """Spans here and there. What each says its parent is, and what was kept."""
    kept = []
    tracing = ports.tracing(lambda trace, spans: kept.append([_like(str, trace, "a trace's id"), _like([SPAN], list(spans), "a trace")]))
    seen = {"outside": tracing.headers(), "carried": {}}

    async def child(name, seconds):
        with tracing.span(name):
            await asyncio.sleep(seconds)
            seen["carried"][name] = tracing.headers().get("traceparent", "")

    def blocking(name, fails=False):
        with tracing.span(name):
            seen["carried"][name] = tracing.headers().get("traceparent", "")
            if fails:
                raise LookupError(name)
            return name

    with tracing.span("root", {"traceparent": sent}):
        seen["carried"]["root"] = tracing.headers().get("traceparent", "")
        await asyncio.gather(child("gathered 1", 0.2), child("gathered 2", 0.1))
        await asyncio.to_thread(blocking, "in a thread")
        seen["returned"] = await tracing.offload(blocking, "offloaded")
        seen["plain"] = await tracing.offload(lambda: tracing.headers().get("traceparent", ""))
        try:
            await tracing.offload(blocking, "offloaded, and fails", True)
            seen["raised"] = ""
        except LookupError as error:
            seen["raised"] = str(error)
        with tracing.span("inner"):
            await child("innermost", 0.0)
        seen["before"] = len(kept)
        queued = tracing.headers()

    async def later():
        with tracing.span("of a queue", queued):
            await asyncio.sleep(0.1)

    first = list(kept)
    await later()
    seen["kept"], seen["later"] = first, kept[len(first) :]
    async def hangs():
        with tracing.span("given up", queued):
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hangs())
    await asyncio.sleep(0.1)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    seen["given up"] = [span["name"] for _, spans in kept[len(first) :] for span in spans].count("given up")
    seen["malformed"] = []
    for text in malformed:
        with tracing.span("fresh", {"traceparent": text} if text else {}):
            seen["malformed"].append(tracing.headers().get("traceparent", ""))
    return seen


async def sampled(ports, shares, count, sent):
    """For each share, so many traces of three spans: how many are kept; then failing ones, of which a client says `sent`."""
    seen = []
    for share in shares:
        kept, inner = {}, 0
        tracing = ports.tracing(lambda trace, spans, kept=kept: kept.update({trace: kept.get(trace, 0) + len(spans)}), share)
        for _ in range(count):
            with tracing.span("one"):
                with tracing.span("two"):
                    pass
                with tracing.span("three"):
                    pass
        fine, whole = len(kept), sum(size == 3 for size in kept.values())
        kept.clear()
        for _ in range(count // 5):
            with tracing.span("one"):
                queued = tracing.headers()
            with tracing.span("of a queue, and later", queued):
                pass
        halves = sum(size == 1 for size in kept.values())
        kept.clear()
        for at in range(20):
            try:
                with tracing.span("one", {"traceparent": sent[at]}):
                    with tracing.span("two"):
                        raise LookupError("two")
            except LookupError:
                inner += 1
        seen.append([fine, whole, halves, len(kept), inner])
    return seen


async def sinks(ports, events, most):
    """Sinks that are quick, slow, dead, rude or gone: what each got, and when."""
    loop = asyncio.get_running_loop()
    bus = ports.events(most)
    got = {name: [] for name in ("quick", "slow", "raises", "rude", "leaves", "late", "twice")}
    began = loop.time()

    async def quick(event):
        got["quick"].append([event["number"], event["deep"]["of"], loop.time() - began])

    async def twice(event):
        got["twice"].append(event["number"])

    async def slow(event):
        await asyncio.sleep(10.0)
        got["slow"].append(event["number"])

    async def raises(event):
        got["raises"].append(event["number"])
        raise LookupError("a sink")

    async def rude(event):
        event["deep"]["of"] = "mine"
        got["rude"].append(event["number"])

    async def leaves(event):
        got["leaves"].append(event["number"])
        bus.unsubscribe(leaves)

    async def late(event):
        got["late"].append(event["number"])

    class Gone:
        async def sink(self, event):
            got.setdefault("gone", []).append(event["number"])

    gone = Gone()
    watched = weakref.ref(gone)
    for sink in (rude, slow, raises, leaves, quick, twice, twice, gone.sink):
        bus.subscribe(sink)
    del sink
    bus.unsubscribe(late)
    for number in range(events):
        if number == events - 2:
            bus.unsubscribe(gone.sink)
        if number == events - 1:
            bus.subscribe(late)
        bus.emit({"number": number, "deep": {"of": "all"}})
        await asyncio.sleep(0.01)
    seen = {"emitting": loop.time() - began - 0.01 * events, "got": {name: list(each) for name, each in got.items()}}
    del gone
    for _ in range(3):
        await asyncio.sleep(0.01)
        gc.collect()
    seen["collected"] = watched() is None
    before = loop.time()
    await bus.close(10.0 * (events + 2))
    seen["closing"] = loop.time() - before
    seen["slow"] = list(got["slow"])
    bus.emit({"number": -1, "deep": {"of": "all"}})
    await asyncio.sleep(30.0)
    seen["after"] = [name for name, each in got.items() if -1 in (each[-1:] if name != "quick" else [e[0] for e in each])]

    small = ports.events(3)
    hung, began_with, free = [], asyncio.Event(), asyncio.Event()

    async def hangs(event):
        began_with.set()
        await free.wait()
        hung.append(event["number"])

    small.subscribe(hangs)
    small.emit({"number": 0})
    await began_with.wait()
    for number in range(1, 9):
        small.emit({"number": number})
    free.set()
    await small.close()
    seen["bounded"] = hung

    dead = ports.events(5)

    async def never(event):
        await asyncio.Event().wait()

    dead.subscribe(never)
    dead.emit({"number": 0})
    before = loop.time()
    await dead.close(4.0)
    seen["giving_up"] = loop.time() - before
    return seen


# ------------------------------------------------------------------------------------------------ stage 2


def cleaned(ports, secrets, values, users):
    """What is left of values; of the same, cleaned again; and what users are called."""
    made = ports.redactor(secrets)
    left = []
    for value in values:
        once = made.clean(value)
        left.append([json.dumps(once, sort_keys=True), made.clean(once) == once])
    again = ports.redactor(secrets)
    other = ports.redactor(["another key of ours"])
    names = [_like([str], [each.pseudonym(user) for each in (made, again, other)], "a pseudonym") for user in users]
    return {"left": left, "names": names}


def caps(ports, texts, most):
    return [ports.capped(text, most) for text in texts]


def versions(ports, texts, name):
    """Prompts that are published, one after the other; and the first once more."""
    db = _db()
    made = ports.prompts(db)
    seen = {"nothing": [_raised(made.current, name), _raised(made.text, name, "none"), _raised(made.rollback, name, "none")]}
    seen["versions"] = _like([str], [made.publish(name, text) for text in texts], "a version")
    seen["current"] = made.current(name) == seen["versions"][-1]
    seen["quietly"] = made.publish(name, "not in use", False) != made.current(name)
    seen["again"] = made.publish(name, texts[0])
    seen["back"] = made.current(name)
    made.rollback(name, seen["versions"][1])
    seen["rolled"] = made.current(name)
    seen["unknown"] = [_raised(made.rollback, name, "none"), made.current(name)]
    seen["texts"] = [made.text(name, version) for version in seen["versions"]]
    other = ports.prompts(_db())
    seen["other process"] = [other.current(name), other.text(name, seen["versions"][0])]
    seen["other name"] = [made.publish(f"{name}-2", texts[0]), made.current(name)]
    return seen


def rendered(ports, cases, name):
    """Each [text, variables], or what it raises."""
    made = ports.prompts(_db())
    seen = []
    for text, variables in cases:
        version = made.publish(name, text)
        try:
            seen.append(made.render(name, version, variables))
        except NotImplementedError:
            raise
        except Exception as error:
            seen.append(f"raises {type(error).__name__}")
    return seen


# ------------------------------------------------------------------------------------------------ stage 3


async def journals(ports, values, secret):
    """A run that asks some services, at once and one after the other, and draws some chance; then replays of it."""
    worked = []

    def clean(value):
        return json.loads(json.dumps(value).replace(secret, "[mask]"))

    async def run(journal, world, order, fails=True, given="same"):
        """What it comes to. `world` is what the services say, and `order` how long they take."""

        async def ask(name, at, wait):
            async def work():
                worked.append(name)
                await asyncio.sleep(wait)
                return {"of": [name, at, world], "list": (1, 2)}

            return await journal.step(name, {"at": at, "given": given if at == 1 else "x"}, work)

        async def breaks():
            worked.append("breaks")
            raise ConnectionError(f"no {secret} {world}")

        drawn = [journal.draw("chance", lambda: world), journal.draw("clock", lambda: f"{world} o'clock")]
        both = await asyncio.gather(*(ask("ask", at, wait) for at, wait in enumerate(order)))
        then = await ask("then", 7, 0.0)
        failed = ""
        if fails:
            try:
                await journal.step("breaks", secret, breaks)
            except Exception as error:
                failed = f"{'Failed' if isinstance(error, ports.failed) else type(error).__name__}: {error}"
        return [drawn, [json.loads(json.dumps(each)) for each in both], json.loads(json.dumps(then)), failed]

    async def attempt(*args):
        try:
            return await run(*args)
        except NotImplementedError:
            raise
        except Exception as error:
            return [f"raises {type(error).__name__}: {error}"] * 4

    journal = ports.journal(None, clean)
    seen = {"first": await run(journal, values[0], [0.3, 0.1, 0.2])}
    steps = _like([{"name": str}], json.loads(json.dumps(journal.steps)), "steps")
    seen["steps"] = steps
    worked.clear()
    again = ports.journal(json.loads(json.dumps(steps)), clean)
    seen["again"] = await attempt(again, values[1], [0.1, 0.3, 0.2])
    seen["worked"] = list(worked)
    seen["same steps"] = [step["name"] for step in _like([{"name": str}], list(again.steps), "steps")]
    seen["twice"] = await attempt(ports.journal(json.loads(json.dumps(steps)), clean), values[1], [0.0, 0.0, 0.0])

    async def diverges(make):
        worked.clear()
        try:
            await make(ports.journal(json.loads(json.dumps(steps)), clean))
            return "nothing is raised"
        except NotImplementedError:
            raise
        except Exception as error:
            named = error.step if isinstance(error, ports.diverged) else f"a {type(error).__name__}"
            return named if not worked else f"{named}, after a call"

    async def unheard_of(journal):
        async def work():
            worked.append("new")

        await journal.step("new", None, work)

    async def too_often(journal):
        async def work():
            worked.append("then")

        for _ in range(2):
            await journal.step("then", {"at": 7, "given": "x"}, work)

    async def more_chance(journal):
        for _ in range(2):
            journal.draw("chance", lambda: worked.append("chance"))

    seen["diverged"] = [
        await diverges(lambda journal: run(journal, values[1], [0, 0, 0], given="another")),
        await diverges(unheard_of),
        await diverges(too_often),
        await diverges(more_chance),
    ]
    return seen


async def blamed(ports, cases):
    """For each [good, bad, cause, never]: who is blamed, after how many questions, and whether they were sensible."""
    seen = []
    for good, bad, cause, never in cases:
        asked = []

        async def is_bad(inputs, asked=asked, good=good, bad=bad, cause=cause, never=never):
            await asyncio.sleep(0.1)
            asked.append(set(inputs) == set(bad) and all(inputs[name] in (good[name], bad[name]) for name in inputs))
            return not never and cause is not None and inputs.get(cause) == bad[cause]

        found = await ports.diagnose(dict(good), dict(bad), is_bad)
        seen.append([found, len(asked), all(asked)])
    return seen


# ------------------------------------------------------------------------------------------------ stage 4


def gates(ports, cases):
    """Each [golden, baseline, candidate]: does it pass, what is said of it, which shares."""
    seen = []
    for golden, baseline, candidate in cases:
        verdict = ports.gate(golden, ports.fingerprint(golden), baseline, candidate)
        shares = {name: _like([NUMBER], list(both), "a slice") for name, both in _like(dict, verdict.slices, "slices").items()}
        seen.append([bool(verdict.passed), str(verdict.reason), shares])
    return seen


def fingerprints(ports, golden, others):
    """Is the fingerprint of each of `others` the same as that of `golden`; and what does a gate with it raise?"""
    pinned = ports.fingerprint(golden)
    right = {case["id"]: True for case in golden}
    seen = []
    for other in others:
        try:
            ports.gate(other, pinned, right, right)
            raised = ""
        except NotImplementedError:
            raise
        except Exception as error:
            raised = "GoldenChanged" if isinstance(error, ports.golden_changed) else type(error).__name__
        seen.append([ports.fingerprint(other) == pinned, raised])
    return seen


def thumbs(ports, votes, reviews, spam):
    """Votes, [run, user, up, booking, question, answer]; what they come to, before and after one user's `spam`."""
    made = ports.feedback(_db())
    seen = {"nobody": made.score(), "nothing": made.queue()}
    for run, user, up, booking, question, answer in votes:
        made.vote(run, user, up, {"booking": booking, "question": question}, answer)
    seen["score"], seen["queue"] = _like(NUMBER, made.score(), "the score"), _like([str], made.queue(), "the queue")
    seen["examples before"] = _like([EXAMPLE], made.examples(50), "the examples")
    for number in range(spam):
        asked = {"booking": "SP0000", "question": f"spam {number}?"}
        made.vote(f"spam-{number}", "spammer", False, asked, "spam")
    seen["spammed"] = _like(NUMBER, made.score(), "the score")
    for number in range(spam):
        asked = {"booking": "SP0000", "question": f"spam {number}?"}
        made.vote(f"spam-{number}", "spammer", True, asked, "spam")
    seen["changed his mind"] = _like(NUMBER, made.score(), "the score")
    seen["cases"] = _like([str], [made.review(*review) for review in reviews], "a case's id")
    seen["golden"] = _like([{"id": str, "question": str}], made.golden(), "the golden set")
    seen["after"] = ports.feedback(_db()).queue()
    seen["examples"] = _like([EXAMPLE], made.examples(50), "the examples")
    seen["few"] = len(made.examples(2))
    beside = [{"question": f" {each['question'].upper()}"} for each in seen["examples"][:1]]
    seen["beside"] = [each["question"] for each in _like([EXAMPLE], made.examples(50, beside), "the examples")]
    return seen


async def shadows(ports, most, seconds, live):
    """A candidate that answers, differs, hangs, raises or spoils what it is given."""
    loop = asyncio.get_running_loop()
    now, high = 0, 0

    async def candidate(request):
        nonlocal now, high
        now += 1
        high = max(high, now)
        try:
            what = request["what"]
            request["what"] = "spoilt"
            if what == "hangs":
                await asyncio.Event().wait()
            if what == "raises":
                raise LookupError("a candidate")
            await asyncio.sleep(0.1)
            return live if what == "same" else f"not {live}"
        finally:
            now -= 1

    made = ports.shadow(candidate, most, seconds)
    began, requests = loop.time(), []

    def submit(what, number):
        requests.append({"what": what, "number": number})
        made.submit(requests[-1], live)

    for number, what in enumerate(("same", "differs", "raises", "same", "differs")):
        submit(what, number)
        await asyncio.sleep(0.2)
    seen = {"first": _like(REPORT, made.report(), "the report")}
    before = loop.time()
    for number in range(most + 4):
        submit("hangs", 10 + number)
    seen["submitting"] = loop.time() - before
    await asyncio.sleep(seconds / 2)
    seen["under way"] = now
    await asyncio.sleep(seconds)
    seen["then"], seen["left"] = _like(REPORT, made.report(), "the report"), now
    for number in range(most + 3):
        submit("same", 50 + number)
    await asyncio.sleep(0.5)
    for number in range(30):
        submit("differs", 100 + number)
        await asyncio.sleep(0.15)
    seen["high"], seen["last"] = high, _like(REPORT, made.report(), "the report")
    seen["requests"] = sorted({request["what"] for request in requests})
    submit("hangs", 99)
    await asyncio.sleep(0.1)
    before = loop.time()
    await made.close()
    seen["closing"], seen["open"] = loop.time() - before, now
    return seen
