"""Stage 1, who called whom: the end-to-end trace and the observer.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
from collections import Counter

import pytest
from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(1)

ANSWER_SECONDS = 1.0  # what an answer may take on an ordinary day
STOP_SECONDS = 60.0  # what the desk has to end in order


def traceparent(rng, flags="01"):
    return f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-{flags}"


def ids(text):
    """Trace and span of a traceparent; two empty texts if it is none."""
    parts = text.split("-")
    return (parts[1], parts[2]) if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16 else ("", "")


@pytest.mark.pattern("end-to-end-trace")
def test_a_span_knows_where_it_belongs(scene, incident, probes):
    """What is begun inside a span is its child: after gather, in a thread, offloaded, and behind a queue."""
    rng = scene.rng("spans")
    house = incident.House(scene)
    sent = traceparent(rng, rng.choice(("00", "01")))
    malformed = ["", "none", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'a' * 31}-{'1' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", "00"]
    seen = house.probe(probes.spans, sent, malformed)
    trace, client = ids(sent)
    parts = [span for _, spans in seen["kept"] for span in spans]
    named = {span["name"]: span for span in parts}
    root = named.get("root", {}).get("span_id")
    inner = named.get("inner", {}).get("span_id")
    due = dict.fromkeys(("gathered 1", "gathered 2", "in a thread", "offloaded", "offloaded, and fails", "inner"), root)
    due |= {"root": client, "innermost": inner}
    story = [(0.0, f"{s['name']}: {s['span_id']}, child of {s['parent_id']}, {s['status']}") for s in parts]
    lacks = sorted(set(due) - set(named))
    strays = [name for name, parent in due.items() if name in named and named[name]["parent_id"] != parent]
    told = f"{', '.join(lacks)} are not kept" if lacks else f"{', '.join(strays)} stand elsewhere"
    sees = f"of {len(due)} spans of one trace, {len(lacks) + len(strays)} are not where they belong: {told}"
    expect("strays", len(lacks) + len(strays), at_most=0, unit="spans", code="orphans", sees=sees, story=story)
    wrong = [name for name, text in seen["carried"].items() if ids(text) != (trace, named[name]["span_id"])]
    wrong += [] if ids(seen["plain"]) == (trace, root) else ["what is offloaded"]
    sees = f"headers() names another span than the current one in {', '.join(wrong)}"
    expect("wrong_headers", len(wrong), at_most=0, unit="places", code="orphans", sees=sees, story=story)
    wrong = [t for t, _ in seen["kept"] if t != trace] + (["outside"] if seen["outside"] else [])
    sees = f"a client's request has a trace, and {len(wrong)} parts are kept as another; outside of all spans, headers() says {seen['outside']}"
    expect("other_trace", len(wrong), at_most=0, code="another-trace", sees=sees, story=story)
    sees = f"a trace is kept in {len(seen['kept'])} parts, {seen['before']} of them before its outermost span has ended"
    expect("too_early", abs(len(seen["kept"]) - 1) + seen["before"], at_most=0, code="kept-too-early", sees=sees, story=story)
    failed = sorted(name for name, span in named.items() if span["status"] != "ok")
    sees = f"one span has raised, and these say that they failed: {failed}"
    expect("wrong_status", int(failed != ["offloaded, and fails"]), at_most=0, code="wrong-status", sees=sees, story=story)
    sees = f"what was offloaded returns {seen['returned']!r}, and raises {seen['raised']!r}"
    expect("not_passed_on", int((seen["returned"], seen["raised"]) != ("offloaded", "offloaded, and fails")), at_most=0,
           code="not-passed-on", sees=sees, story=story)  # fmt: skip
    lasts = {name: span["end"] - span["start"] for name, span in named.items()}
    wrong = [name for name, seconds in (("gathered 1", 0.2), ("gathered 2", 0.1)) if not seconds - 0.01 <= lasts[name] <= seconds + 0.05]
    sees = f"work of 0.2 s and of 0.1 s has spans of {lasts['gathered 1']:.3f} s and {lasts['gathered 2']:.3f} s"
    expect("wrong_times", len(wrong), at_most=0, unit="spans", code="wrong-times", sees=sees, story=story)
    behind = [span for t, spans in seen["later"] if t == trace for span in spans]
    right = [span["name"] for span in behind if span["parent_id"] == root] == ["of a queue"]
    sees = "a span that is begun from what headers() had said is no child of that, or is not kept"
    expect("queue_lost", int(not right), at_most=0, code="lost-in-the-queue", sees=sees, story=story)
    sees = "a task is cancelled inside a span, and the span is never kept: nobody has ended it"
    expect("never_ended", int(seen["given up"] != 1), at_most=0, code="never-ended", sees=sees, story=story)
    fresh = [ids(text) for text in seen["malformed"]]
    wrong = sum(not t or "a" * 24 in t or t in ("0" * 32, trace) for t, _ in fresh) + len(fresh) - len({t for t, _ in fresh})
    sees = f"of {len(fresh)} requests with a traceparent that is none, {wrong} get no trace of their own"
    expect("trusted", wrong, at_most=0, unit="requests", code="malformed-trusted", sees=sees, story=story)


@pytest.mark.pattern("end-to-end-trace")
def test_few_traces_are_kept_and_all_that_failed(scene, incident, probes):
    """A share of the traces is kept, each whole; and of those in which something failed, all."""
    rng = scene.rng("traces")
    house = incident.House(scene)
    sent = [traceparent(rng, "00" if at % 2 else "01") for at in range(20)]
    shares, count = [0.0, 0.2, 1.0], 250
    seen = house.probe(probes.sampled, shares, count, sent)
    story = [(0.0, f"share {share}: {fine} of {count} kept, {whole} of them whole; {failed} of 20 that failed")
             for share, (fine, whole, _, failed, _) in zip(shares, seen, strict=True)]  # fmt: skip
    for share, (fine, whole, halves, failed, raised) in zip(shares, seen, strict=True):
        sees = f"of 20 traces in which something failed, {20 - failed} are not kept, with a share of {share}"
        expect("failures_lost", 20 - failed, at_most=0, unit="traces", code="failures-lost", sees=sees, story=story)
        sees = f"what is raised in a span passes on {raised} times of 20"
        expect("swallowed", 20 - raised, at_most=0, code="not-passed-on", sees=sees, story=story)
        off = abs(fine / count - share)
        sees = f"a share of {share} is to be kept, and {fine} of {count} are"
        if share in (0.0, 1.0):
            expect("not_none_or_all", off, at_most=0, code="wrong-share", sees=sees, story=story)
        else:
            expect("off_share", off, at_most=0.12, code="wrong-share", sees=sees, story=story)
        sees = f"{fine - whole} of {fine} traces that are kept are not whole"
        expect("not_whole", fine - whole, at_most=0, unit="traces", code="half-a-trace", sees=sees, story=story)
        sees = f"{count // 5} traces have a part behind a queue, and of {halves} of them one part is kept, and the other is not"
        expect("halves", halves, at_most=0, unit="traces", code="half-a-trace", sees=sees, story=story)


@pytest.mark.pattern("end-to-end-trace")
def test_one_trace_from_the_request_to_the_last_call(scene, incident):
    """Whatever is called because of a request says so, and every span has its place."""
    rng = scene.rng("requests")
    house = incident.House(scene)
    clients = [traceparent(rng) for _ in range(9)]
    known = {ids(text)[0]: ids(text)[1] for text in clients}

    async def play():
        asks = [
            house.ask(rng.choice(house.bookings), incident.TOPICS["pets"][0], headers={"traceparent": text}) for text in clients
        ]
        answers = await asyncio.gather(*asks)
        await asyncio.sleep(5.0)
        traces = [await house.trace(trace) for trace in known]
        own = await house.ask(house.bookings[0], incident.TOPICS["pets"][0])
        await asyncio.sleep(2.0)
        record = await house.record(own.run)
        return answers, traces, record, await house.trace(str(record.body.get("trace_id")))

    answers, traces, record, own = house.run(play)
    calls = {what: ids(text) for what, text in house.sent().items()}
    mine = {what: each for what, each in calls.items() if each[0] in known}
    about = "POST /ask"
    unanswered = [answer for answer in answers if answer.status != 200]
    sees = f"of {len(answers)} questions, {len(unanswered)} are not answered: {', '.join({a.told for a in unanswered})}"
    expect("unanswered", len(unanswered), at_most=0, unit="questions", code="not-answered", sees=sees, about=about)
    lost = [what.split()[0] for what, (trace, _) in calls.items() if not trace]
    told = ", ".join(f"{count} of the {what}" for what, count in Counter(lost).items())
    sees = f"{len(clients) + 1} requests have led to {len(calls)} calls, of which {len(lost)} belong to nobody: {told}"
    bare = [path for what, path in (("model", "/chat/completions"), ("bookings", "/bookings/"), ("mail", "/mail")) if what in lost]
    story = [(at, f"{what}: {'no traceparent' if not ids(text)[0] else text}") for at, what, text in house.carried()]
    expect("belong_to_nobody", len(lost), at_most=0, unit="calls", code="no-trace", sees=sees, story=story, calls=bare)
    off = sum(Counter(trace for trace, _ in mine.values())[trace] != 3 for trace in known)
    sees = f"each request leads to three calls, and of {len(known)} clients' traces, {off} have another number of them"
    expect("another_trace", off, at_most=0, unit="traces", code="another-trace", sees=sees, about=about)
    missing = [reply for reply in traces if reply.status != 200]
    told = f"; of the others it says {missing[0].told}" if missing else ""
    sees = f"of {len(traces)} traces, GET /traces/… has {len(traces) - len(missing)}{told}"
    expect("not_kept", len(missing), at_most=0, unit="traces", code="no-trace", sees=sees, about="/traces")
    orphans, unknown, times, story = 0, 0, 0, []
    for (trace, client), reply in zip(known.items(), traces, strict=True):
        spans = incident.Span.all_in(reply.body)
        at = {span.id: span for span in spans}
        orphans += sum(span.parent not in at and span.parent != client for span in spans)
        story = [(span.start % 1000, f"{span.name} {span.id}, child of {span.parent}") for span in spans]
        for what, (of, ident) in mine.items():
            if of == trace:
                unknown += ident not in at
                if what.startswith("model") and ident in at:
                    times += not incident.LLM_SECONDS - 0.01 <= at[ident].end - at[ident].start <= incident.LLM_SECONDS + 0.5
    sees = f"{orphans} spans have a parent that is not there"
    expect("orphans", orphans, at_most=0, unit="spans", code="orphans", sees=sees, about="traceparent", story=story)
    sees = f"of {len(mine)} calls, {unknown} name a span that is not there"
    expect("unknown_spans", unknown, at_most=0, unit="calls", code="orphans", sees=sees, about="traceparent", story=story)
    sees = f"the model takes {incident.LLM_SECONDS} s, and {times} of {len(traces)} spans around it say otherwise"
    expect("wrong_times", times, at_most=0, unit="spans", code="wrong-times", sees=sees, story=story, calls=["/chat/completions"])
    roots = [span for span in incident.Span.all_in(own.body) if not span.parent]
    sees = f"a request without a trace gets one: its run says {record.body.get('trace_id') or 'none'}, and there it has {len(roots)} roots"
    expect("no_root", int(len(roots) != 1), at_most=0, code="no-trace", sees=sees, about="/runs")
    slow = [answer for answer in answers if answer.status != 200 or answer.seconds > ANSWER_SECONDS]
    sees = f"of {len(answers)} questions, {len(slow)} are not answered in {ANSWER_SECONDS} s"
    expect("not_answered", len(slow), at_most=0, unit="questions", code="not-answered", sees=sees, about=about)


@pytest.mark.pattern("end-to-end-trace")
def test_tries_are_siblings(scene, incident):
    """Each try of a call is a span of its own, beside the others, and it says whether it failed."""
    rng = scene.rng("tries")
    tries = Counter()

    def at_first(call):
        key = call.headers.get("idempotency-key", "")
        tries[key] += 1
        return tries[key] <= 2

    house = incident.House(scene, fails=[faults.failing(0, 900, 503, when=at_first)])
    clients = [traceparent(rng) for _ in range(3)]

    async def play():
        pairs = zip(house.bookings, clients, strict=True)
        await asyncio.gather(*(house.ask(b, incident.TOPICS["bags"][0], headers={"traceparent": t}) for b, t in pairs))
        await asyncio.sleep(2.0)
        return [incident.Span.all_in((await house.trace(ids(text)[0])).body) for text in clients]

    traces = house.run(play)
    together, story = 0, []
    for text, spans in zip(clients, traces, strict=True):
        at = {span.id: span for span in spans}
        named = [ids(e.headers.get("traceparent", "")) for e in house.provider.log]
        mine = [at.get(ident) for trace, ident in named if trace == ids(text)[0]]
        apart = len(mine) == 3 and None not in mine and len({span.id for span in mine}) == 3
        right = apart and len({span.parent for span in mine}) == 1 and [s.status for s in mine] == ["error", "error", "ok"]
        together += not right
        story = [(span.start % 1000, f"{span.name} {span.id}, child of {span.parent}, {span.status}") for span in spans]
    sees = f"three questions take three tries each; in the traces of {together}, these are not three spans side by side"
    sees = f"{sees}, two of them failed"
    expect("not_siblings", together, at_most=0, unit="traces", code="tries-in-one", sees=sees, story=story,
           calls=["/chat/completions"])  # fmt: skip


@pytest.mark.pattern("end-to-end-trace")
def test_of_what_failed_there_is_a_trace(scene, incident):
    """Two traces of a hundred are kept, and those of all questions that failed."""
    rng = scene.rng("requests")
    house = incident.House(scene, share=0.02)
    house.tools.fares["KL0001"] = house.codes[0]
    house.tools.broken.add("KL0001")
    fails = set(rng.sample(range(24), 5))
    clients = [traceparent(rng, "00" if at % 3 == 0 else "01") for at in range(24)]

    async def play():
        asks = [
            house.ask("KL0001" if at in fails else house.bookings[0], incident.TOPICS["seats"][0], headers={"traceparent": text})
            for at, text in enumerate(clients)
        ]
        answers = await asyncio.gather(*asks)
        await asyncio.sleep(5.0)
        return answers, [(await house.trace(ids(text)[0])).status == 200 for text in clients]

    answers, kept = house.run(play)
    lost = [at for at in fails if not kept[at]]
    sees = f"{len(fails)} of 24 questions have failed, and of {len(lost)} of them, GET /traces/… has no trace"
    expect("failures_lost", len(lost), at_most=0, unit="traces", code="failures-lost", sees=sees, about="/traces")
    others = sum(is_kept for at, is_kept in enumerate(kept) if at not in fails)
    sees = f"two traces of a hundred are to be kept, and {others} of the 19 in which nothing failed are"
    expect("others_kept", others, at_most=5, unit="traces", code="wrong-share", sees=sees, about="/traces")
    wrong = sum((answer.status < 500) == (at in fails) for at, answer in enumerate(answers))
    sees = f"{wrong} of 24 questions are answered where they fail, or fail where they are answered"
    expect("wrong_ends", wrong, at_most=0, unit="questions", code="not-answered", sees=sees, about="POST /ask")


@pytest.mark.pattern("observer")
def test_nobody_waits_for_a_sink(scene, incident, probes):
    """Sinks come and go; a slow, a failing, a rude one is its own affair."""
    house = incident.House(scene, horizon=5_000)
    events = 6
    seen = house.probe(probes.sinks, events, 100)
    got, every = seen["got"], list(range(events))
    story = [(float(at), f"{name}: {each}") for at, (name, each) in enumerate(got.items())]
    sees = f"{events} events are emitted, and that takes {seen['emitting']:.2f} s, since one sink takes 10 s"
    expect("emitting", seen["emitting"], at_most=0.05, unit="s", code="waits-for-sinks", sees=sees, story=story)
    late = max([at - 0.01 * number for number, _, at in got["quick"]] or [99.0])
    sees = f"a quick sink hears of an event {late:.2f} s after it was emitted, beside a slow one"
    expect("late", late, at_most=0.1, unit="s", code="waits-for-sinks", sees=sees, story=story)
    due = {
        "the quick one": (every, [number for number, _, _ in got["quick"]]),
        "the one that raises": (every, got["raises"]),
        "the one that subscribed twice": (every, got["twice"]),
        "the rude one": (every, got["rude"]),
        "the one that leaves at the first": ([0], got["leaves"]),
        "the one that comes late": ([events - 1], got["late"]),
        "the one that goes": (every[:-2], got.get("gone", [])),
        "the slow one, in the end": (every, seen["slow"]),
        "anybody, after the close": ([], seen["after"]),
        "one that hangs, and of whom three may wait": ([0, 6, 7, 8], seen["bounded"]),
    }
    wrong = [f"{who} gets {given}, and not {right}" for who, (right, given) in due.items() if given != right]
    sees = f"of {len(due)} sinks, {len(wrong)} get something else: {wrong[0] if wrong else ''}"
    expect("wrong_events", len(wrong), at_most=0, unit="sinks", code="wrong-events", sees=sees, story=story)
    spoilt = sum(of != "all" for _, of, _ in got["quick"])
    sees = f"one sink changes what it is given, and another sees that in {spoilt} of {events} events"
    expect("spoilt", spoilt, at_most=0, unit="events", code="shared-event", sees=sees, story=story)
    sees = "a sink has unsubscribed, nobody has use for it, and it is kept alive all the same"
    expect("leaked", int(not seen["collected"]), at_most=0, code="sink-kept-alive", sees=sees, story=story)
    sees = f"closing takes {seen['giving_up']:.1f} s, though a sink that hangs has 4 s"
    expect("giving_up", seen["giving_up"], at_most=4.5, unit="s", code="waits-for-sinks", sees=sees, story=story)


@pytest.mark.pattern("observer")
def test_auditors_are_told_and_nobody_waits(scene, incident):
    """Slow auditors, or none: nobody's answer is later or other; and when the desk stops, they have heard of every run."""
    house = incident.House(scene, fares=2)
    house.tools.fares["KL0001"] = house.codes[0]
    house.tools.broken.add("KL0001")
    question = incident.TOPICS["changes"][0]

    async def play():
        house.auditors.seconds = 10.0
        slow = await house.ask_all([(house.bookings[0], question)] * 6, gap=0.1)
        house.auditors.fails, house.auditors.seconds = 500, 0.02
        failing = await house.ask_all([(house.bookings[0], question)] * 3, gap=0.1)
        house.auditors.fails = 1
        nobody = await house.ask_all([(house.bookings[0], question)] * 3, gap=0.1)
        await asyncio.sleep(120.0)
        house.auditors.fails, house.auditors.seconds = 0, 1.0
        house.auditors.events.clear()
        pairs = [(house.bookings[at % 2], question) for at in range(5)]
        last = [*await house.ask_all(pairs, gap=0.05), await house.ask("KL0001", question)]
        await house.desk.stop()
        told = list(house.auditors.events)
        await house.desk.start()
        house.auditors.seconds = 500.0
        await house.ask_all(pairs, gap=0.05)
        stopped = house.sim.now
        await house.desk.stop()
        return slow, failing, nobody, last, told, house.sim.now - stopped

    slow, failing, nobody, last, events, stopping = house.run(play)
    latest = max(answer.seconds for answer in slow)
    about = "POST /ask"
    sees = f"the auditors take 10 s, and travellers wait up to {latest:.1f} s for an answer that takes 0.5 s"
    expect("slowed", latest, at_most=ANSWER_SECONDS, unit="s", code="waits-for-auditors", sees=sees, about=about)
    lost = [answer for answer in (*failing, *nobody) if answer.status != 200]
    sees = f"the auditors are out of order, and {len(lost)} of 6 travellers get no answer"
    expect("lost", len(lost), at_most=0, unit="answers", code="fails-with-auditors", sees=sees, about=about)
    due = {answer.run: "done" if answer.status == 200 else "failed" for answer in last}
    told = Counter((str(e.get("run")), str(e.get("status"))) for _, e in events)
    off = [run for run, status in due.items() if told[run, status] != 1]
    story = [(answer.asked, f"asked; the run is {answer.run[:8] or 'unknown'}, {due[answer.run]}") for answer in last]
    story += [(at, f"the auditors, who take 1 s each, have noted {str(e.get('run'))[:8]}, {e.get('status')}") for at, e in events]
    sees = f"the desk stops, and the auditors have not heard, once, of {len(off)} of the last {len(due)} runs"
    expect("not_told", len(off), at_most=0, unit="runs", code="not-flushed", sees=sees, about="SIGTERM", story=sorted(story))
    sees = f"the desk is stopped while the auditors hang, and ends after {stopping:.0f} s"
    expect("stopping", stopping, at_most=STOP_SECONDS + 5, unit="s", code="never-ends", sees=sees, about="SIGTERM",
           story=[(0.0, "SIGTERM"), (stopping, "the process has ended")])  # fmt: skip
