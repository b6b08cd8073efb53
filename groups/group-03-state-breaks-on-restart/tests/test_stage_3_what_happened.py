"""Stage 3, what happened: the audit log, what can be derived from it again, and work that is taken up where it stood.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio

import pytest
from grader.plugin import expect
from grader.sim import enumerate_crashes
from grader.world import faults

pytestmark = pytest.mark.stage(3)


def kinds_of(answer):
    """The kinds of the events of a history, as far as it is one."""
    events = answer.body.get("events")
    events = events if isinstance(events, list) else []
    return [event.get("kind") if isinstance(event, dict) else None for event in events]


@pytest.mark.pattern("audit-log")
def test_the_past_cannot_be_changed(scene, incident, probes):
    """The database refuses to change an event, or to remove one."""
    rng = scene.rng("audit")
    events = [
        [rng.choice(("created", "edited", "asked")), f"document {rng.randrange(2)}", {"n": n, "who": incident.title_of(rng)}]
        for n in range(rng.randrange(4, 8))
    ]
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.refused, events))
    count = len(events) + 1
    read = [[at, *event] for at, event in enumerate(events, 1)] + [[count, "last", "document", {}]]
    due = {
        "who changes an event, or removes one, or all, is refused": (True, "done" not in seen["said"]),
        "after that, the table is as it was": (True, seen["same"]),
        "their numbers are": (list(range(1, count + 1)), seen["seqs"]),
        "what another process reads is another number of events, or others": (read, seen["read"]),
        "those of one document are": ([row[0] for row in read if row[2] == events[0][1]], seen["mine"]),
        "nothing was falsified, and verify says": (True, seen["sound"]),
        "the last was appended just now, and that is its time": (True, seen["dated"]),
    }
    story = [(float(at), f"{what}: {str(got)[:60]}") for at, (what, (_, got)) in enumerate(due.items())]
    wrong = [f"{what}: {str(got)[:60]}" for what, (right, got) in due.items() if got != right]
    sees = f"{count} events were appended; {wrong[0] if wrong else ''}"
    expect("wrong", len(wrong), at_most=0, unit="times", code="not-append-only", sees=sees, story=story)


@pytest.mark.pattern("audit-log")
def test_whoever_falsifies_is_found_out(scene, incident, probes):
    """An edit, a gap, a swap, a missing end: the chain shows it."""
    rng = scene.rng("audit")
    count = rng.randrange(5, 9)
    events = [[f"kind {n}", f"document {rng.randrange(2)}", {"n": rng.getrandbits(30)}] for n in range(count)]
    how = ["nothing", "edit", "move a letter", "drop", "drop and close the gap", "swap", "cut the last", "cut all", "another past", "one more"]
    at = rng.randrange(2, count - 1)
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.falsified, events, how, at))
    story = [(0.0, f"{what}: verify says {'that all is well' if sound else 'that it is not'}") for what, sound in seen]
    content = [what for what, sound in seen if sound is not False and what != "nothing"]
    sees = f"somebody falsifies {count} events ({', '.join(content[:2])}), and verify says that all is well"
    expect("not_found", len(content), at_most=0, unit="falsifications", code="falsified", sees=sees, story=story)
    alarms = sum(what == "nothing" and sound is not True for what, sound in seen)
    sees = f"{count} events are as they were appended, and verify says that they are not"
    expect("false_alarms", alarms, at_most=0, code="false-alarm", sees=sees, story=story)


@pytest.mark.pattern("audit-log")
def test_everything_is_in_the_history(scene, incident):
    """What happened is in the history, in order, whatever the clocks say."""
    rng = scene.rng("history")
    house = incident.House(scene, replicas=2)

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 1))
        path = f"/documents/{document}"
        await house.send("PATCH", path, to=1, json={"label": "first"})
        house.replicas[1].set_wall_clock(-3600.0)
        await house.send("PUT", f"{path}/text", to=1, json={"text": "Another."}, headers={"if-match": '"1"'})
        await house.replicas[0].restart()
        await house.send("POST", "/ask", json={"document": document, "question": "What now?"})
        job = await house.order(document, "one", to=1)
        await house.end_of(job.body.get("id"), patience=60.0)
        await house.send("PATCH", path, to=rng.randrange(2), json={"title": "Another title"})
        return await house.send("GET", f"{path}/history")

    history = house.run(play)
    due = ["created", "edited", "rewritten", "asked", "summarised", "edited"]
    sees = f"a document's history is {kinds_of(history) or history.told}, and what happened was {due}"
    wrong = int(kinds_of(history) != due)
    expect("wrong_history", wrong, at_most=0, code="no-history", sees=sees, about=history.path)
    events = history.body["events"]
    off = [event for event in events if not {"seq", "at", "kind", "document", "data"} <= set(event)]
    off += [event for event in events if not off and event["document"] != history.path.split("/")[2]]
    sees = f"{len(off)} events are not as Audit.events has them: {str(off[:1])[:90]}"
    expect("fields", len(off), at_most=0, unit="events", code="no-history", sees=sees, about=history.path)
    tokens = [event["data"].get("tokens") for event in events if event["kind"] == "asked"]
    due = [house.tokens("Answer from")]
    sees = f"the provider has reported {due[0]} tokens for an answer, and its event has {tokens}"
    expect("tokens", int(tokens != due), at_most=0, code="no-history", sees=sees, about=history.path)


@pytest.mark.pattern("audit-log")
def test_no_crash_comes_between_a_change_and_its_event(scene, incident):
    """Crash behind every effect: what is changed is in the history, and nothing else."""
    rng = scene.rng("edits")
    title, texts = incident.title_of(rng), [incident.text_of(rng, 1) for _ in range(2)]

    def play(crash_at):
        house = incident.House(scene)
        replica = house.replicas[0]

        async def scenario():
            house.sim.counts_effects = True
            replica.crash_at(crash_at, restart_after=1.0)
            path = f"/documents/{await house.add(title, texts[0])}"
            steps = [("PATCH", path, {"json": {"label": "new"}})]
            steps.append(("PUT", f"{path}/text", {"json": {"text": texts[1]}, "headers": {"if-match": '"1"'}}))
            question = {"document": path.rpartition("/")[2], "question": "What does the clause say?"}
            steps.append(("POST", "/ask", {"json": question}))
            answered = 0  # up to the crash
            explained = True
            for method, where, rest in steps:
                if path.endswith("nothing"):
                    break
                answer = await house.send(method, where, **rest)
                if not answer.status:
                    break
                answered += 1
                if where == "/ask":
                    await asyncio.sleep(2.0)
                    explained = (await house.send("GET", f"/answers/{answer.body.get('id')}")).status == 200
            await asyncio.sleep(2.0)
            effects = replica.effects
            if path.endswith("nothing"):  # nobody heard of it: is it there, or is its title free?
                listed = await house.send("GET", "/documents")
                ident = next((row["id"] for row in listed.body["documents"]), None)
                path = f"/documents/{ident or await house.add(title, texts[0])}"
            usage = await house.send("GET", "/usage")
            found, history = await house.send("GET", path), await house.send("GET", f"{path}/history")
            return answered, effects, explained, found, history, usage.body.get(path.rpartition("/")[2])

        answered, effects, explained, found, history, used = house.run(scenario)
        kinds = kinds_of(history)
        right = kinds == ["created", "edited", "rewritten", "asked"][: len(kinds)] and answered < len(kinds) <= answered + 2
        # what it says, and what is counted, is what its history says
        asked = used.get("questions") if isinstance(used, dict) else 0
        said = [found.body.get("label") == "new", found.body.get("text") == texts[1], asked == 1]
        right = right and found.status == 200 and said == [kind in kinds for kind in ("edited", "rewritten", "asked")]
        right = right and explained
        told = f"after {answered} steps that were answered, its history says {kinds or history.told}, and there is"
        told = f"{told} {'' if said[0] else 'no '}label, {'' if said[1] else 'no '}new text, {asked} questions in the usage"
        told += "" if explained else ", and an answer that was given is gone"
        return (right, told, house.story(told)), effects

    results = enumerate_crashes(play, most=14, rng=rng)
    apart = [result for result in results if not result[0]]
    sees = f"in {len(apart)} of {len(results)} runs, all but one with a crash, a change and its event are apart: {(apart or [['', '']])[0][1]}"
    story = apart[0][2] if apart else ()
    expect("apart", len(apart), at_most=0, unit="crash points", code="no-history", sees=sees, story=story)


@pytest.mark.pattern("replay")
def test_what_is_derived_can_be_derived_again(scene, incident, probes):
    """Old events, odd ones and new ones: counted for what they say, and the same by each rebuild."""
    rng = scene.rng("events")
    events, due, parked = [], {}, []

    def odd():
        nonsense = [None, [], {}, {"tokens": "many"}, {"tokens": -4}, {"tokens": None}, {"tokens_in": 5}, {"tokens": 1.5}, {"tokens_in": -5, "tokens_out": 9}]
        return rng.choice(nonsense)

    for seq in range(1, rng.randrange(30, 50)):
        document, how = f"document {rng.randrange(4)}", rng.choice(("new", "new", "old", "odd", "other", "summary", "bare"))
        tokens, more = rng.randrange(1, 900), rng.randrange(1, 900)
        kind, data = "asked", {"tokens": tokens, "answer": f"answer {seq}"}
        if how == "old":
            data, tokens = {"tokens_in": tokens, "tokens_out": more}, tokens + more
        elif how == "odd":
            data = odd()
            parked.append(seq)
        elif how == "other":
            kind, data = rng.choice(("viewed", "edited", "asked twice")), odd()
        elif how in ("summary", "bare"):
            kind, data, tokens = "summarised", {"job": "a job"} | ({"tokens": tokens} if how == "summary" else {}), tokens
            tokens = tokens if how == "summary" else 0
        events.append({"seq": seq, "at": 1.0e9 + seq, "kind": kind, "document": document, "data": data})
        if how not in ("odd", "other"):
            row = due.setdefault(document, {"questions": 0, "summaries": 0, "tokens": 0})
            row["questions" if kind == "asked" else "summaries"] += 1
            row["tokens"] += tokens
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.projection, events))
    raisers = [(f"event {seq}" if seq else "a rebuild", error) for seq, error in seen["raised"]]
    story = [(0.0, f"{what} raises {error}") for what, error in raisers[:3]]
    story += [(1.0, f"{what}: {totals}, parked {seqs}") for what, totals, seqs in seen["seen"]]
    raised = len(seen["raised"])
    sees = f"of {len(events)} events {len(parked)} make no sense, and {raised} of them end it all"
    expect("raised", raised, at_most=0, unit="events", code="poisoned", sees=sees, story=story)
    for what, totals, seqs in seen["seen"]:
        right = ({}, []) if what == "rebuilt from nothing" else (due, parked)
        off = int(totals != right[0])
        sees = f"{what}, {len(events)} events do not come to what they say"
        expect("totals_off", off, at_most=0, code="wrong-totals", sees=sees, story=story)
        off = int(seqs != right[1])
        sees = f"{what}, the parked events are {seqs}, and those that make no sense {right[1]}"
        expect("parked_off", off, at_most=0, code="poisoned", sees=sees, story=story)


@pytest.mark.pattern("replay")
def test_a_replay_calls_nobody(scene, incident, probes):
    """The usage is rebuilt, and nothing happens twice."""
    rng = scene.rng("usage")
    house = incident.House(scene, replicas=2)
    asks = rng.randrange(2, 5)

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 1))
        for number in range(asks):
            await house.send("POST", "/ask", to=number % 2, json={"document": document, "question": f"Question {number}?"})
        job = await house.order(document, "one")
        await house.end_of(job.body.get("id"), patience=60.0)
        await house.replicas[0].restart()
        before, calls = await house.send("GET", "/usage", to=1), len(house.provider.log)
        rebuilt = [await house.send("POST", "/usage/rebuild")]
        if rebuilt[0].good:
            await house.replicas[0].probe(probes.spoil)
        rebuilt += [await house.send("POST", "/usage/rebuild") for _ in range(2)]
        await asyncio.sleep(3.0)
        after = await house.send("GET", "/usage")
        history = await house.send("GET", f"/documents/{document}/history")
        return document, before, rebuilt, after, history, len(house.provider.log) - calls

    document, before, rebuilt, after, history, calls = house.run(play)
    failed = [answer.told for answer in rebuilt if not answer.good]
    sees = f"POST /usage/rebuild is answered {failed[:1]}"
    expect("refused", len(failed), at_most=0, code="not-rebuilt", sees=sees, about="/rebuild")
    sees = f"the usage is rebuilt, and {calls} calls are made and billed for it"
    expect("calls", calls, at_most=0, unit="calls", code="replay-acts", sees=sees, about="/rebuild")
    for what, usage in (("as it was counted", before), ("rebuilt", after)):
        row = usage.body.get(document)
        row = row if isinstance(row, dict) else {}
        told = [row.get("questions"), row.get("summaries")]
        sees = f"{asks} questions and a summary; the usage, {what}, has {told[0]} and {told[1]}"
        expect("usage_off", int(told != [asks, 1]), at_most=0, code="wrong-totals", sees=sees, about="/usage")
        tokens, least, most = row.get("tokens"), house.tokens("Answer from"), house.tokens()
        sees = f"the provider has reported {least} tokens for {asks} answers; the usage, {what}, has {tokens}"
        wrong = not isinstance(tokens, int) or not least <= tokens <= most
        expect("tokens_off", int(wrong), at_most=0, code="wrong-totals", sees=sees, about="/usage")
    sees = f"the usage was {before.body}; it is rebuilt, and is {after.body}"
    expect("rebuilt_off", int(before.body != after.body), at_most=0, code="wrong-totals", sees=sees, about="/rebuild")
    events = len(kinds_of(history))
    sees = f"{asks + 2} things happened to a document, and after three replays its history has {events}"
    expect("events", events, at_most=asks + 2, unit="events", code="replay-acts", sees=sees, about="/rebuild")


@pytest.mark.pattern("memento")
def test_a_checkpoint_comes_back_as_it_was_or_not_at_all(scene, incident, probes):
    """Whole, old, cut off, changed, of the future, and a bomb."""
    rng = scene.rng("mementos")
    letter = rng.choice("QXZ")
    numbers = sorted(rng.sample(range(20), rng.randrange(3, 8)))
    parts = [[number, f"{incident.sentence(rng)} “Größe” {letter}{letter}"] for number in numbers]
    old = [incident.sentence(rng) for _ in range(rng.randrange(1, 5))]
    cuts = [rng.uniform(0.05, 0.95) for _ in range(6)]
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.mementos, parts, old, cuts, letter))
    due = {
        "a whole one": (parts, seen["whole"]),
        "one of version 1": ([[number, part] for number, part in enumerate(old)], seen["old"]),
        "one of the future": (["UnknownVersion"] * 2, seen["future"]),
        "one that lacks its end": (["Corrupt"] * 6, seen["cut"]),
        "one in which a letter has changed": ("Corrupt", seen["changed"]),
        "one in which a digit has changed": (0, sum(isinstance(each, list) for each in seen["digits"])),
        "what is no checkpoint": (["Corrupt"] * 8, seen["odd"]),
        "a pickle that wants to be executed": ("", seen["bomb"]),
        "the newest of several": ([parts, parts, [[0, "one"]], [], []], seen["newest"]),
        "the newest, which is of the future": ("UnknownVersion", seen["newest of the future"]),
    }
    wrong = [f"{what} comes back as {str(got)[:60]!r}" for what, (right, got) in due.items() if got != right]
    story = [(0.0, f"{what}: {str(got)[:70]}") for what, (_, got) in due.items()]
    sees = f"of checkpoints, {wrong[0] if wrong else ''}"
    expect("wrong", len(wrong), at_most=0, unit="checkpoints", code="bad-memento", sees=sees, story=story)


@pytest.mark.pattern("memento")
def test_a_job_goes_on_where_it_stood(scene, incident):
    """A job of many sections is taken up at the section that it stood at."""
    rng = scene.rng("jobs")
    house = incident.House(scene, median=1.0)
    count = rng.randrange(8, 12)
    text = incident.text_of(rng, count)
    crash = rng.uniform(count - 3.5, count - 1.5)

    async def play():
        document = await house.add(incident.title_of(rng), text)
        job = await house.order(document, "one")
        await asyncio.sleep(crash)
        await house.replicas[0].restart()
        return await house.end_of(job.body.get("id"), patience=100.0)

    end = house.run(play)
    about = ("POST /jobs", f"GET {end.path}")
    summary = incident.text_in(end, "result", "summary")
    places = [summary.find(part.rstrip(".")) for part in text.split("\n\n")]
    sees = f"the replica restarts in the midst of a job, which is {end.told} {end.body.get('status')!r}"
    expect("lost", int(end.body.get("status") != "done"), at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    sees = f"the job was taken up again, and its summary lacks {places.count(-1)} sections, or has them out of order"
    wrong = int(-1 in places or places != sorted(places))
    expect("gaps", wrong, at_most=0, code="silent-gap", sees=sees, about=about)
    asked = [sum(part in entry.prompt for part in text.split("\n\n")) for entry in house.provider.log]
    again = asked.count(1) - count  # a call for one section has one of them in it, and the last call has all
    sees = f"of {count} sections {int(crash)} were there when the replica restarted, and {again} are asked for again"
    expect("asked_again", again, at_most=1, unit="calls", code="made-again", sees=sees, about=about)


@pytest.mark.pattern("audit-log")
def test_a_job_is_done_once_in_the_history(scene, incident):
    """Crash behind every effect at the end of a job, or have its worker stand still: it was summarised once."""
    rng = scene.rng("jobs")
    title, text = incident.title_of(rng), incident.text_of(rng, 2)

    def play(crash_at):
        house = incident.House(scene)
        replica = house.replicas[0]

        async def scenario():
            document = await house.add(title, text)
            job = await house.order(document, "one")
            while not house.is_asked_for(text) and house.sim.now < 30.0:  # up to its last call, which is for all of it
                await asyncio.sleep(0.01)
            house.sim.counts_effects = True
            replica.crash_at(crash_at, restart_after=1.0)
            await house.end_of(job.body.get("id"), patience=6.0)
            await asyncio.sleep(4.0)
            effects = replica.effects
            end = await house.end_of(job.body.get("id"), patience=60.0)
            usage = (await house.send("GET", "/usage")).body.get(document)
            return effects, end, await house.send("GET", f"/documents/{document}/history"), usage

        effects, end, history, usage = house.run(scenario)
        counted = usage.get("summaries") if isinstance(usage, dict) else 0
        told = f"the job is {end.body.get('status')!r}, the history says {kinds_of(history) or history.told}, the usage {counted}"
        right = end.body.get("status") == "done" and kinds_of(history) == ["created", "summarised"] and counted == 1
        return (right, told, house.story(told)), effects

    results = enumerate_crashes(play)
    apart = [result for result in results if not result[0]]
    sees = f"in {len(apart)} of {len(results)} runs, all but one with a crash, a job and its event are apart: {(apart or [['', '']])[0][1]}"
    story = apart[0][2] if apart else ()
    expect("apart", len(apart), at_most=0, unit="crash points", code="no-history", sees=sees, story=story)

    asleep = []

    def falls_asleep(call):
        """Whoever asks for the last of it hears the answer only much later."""
        if not asleep and all(part.encode() in call.body for part in text.split("\n\n")):
            asleep.append(next(host for host in house.replicas if host.name == call.source))
            asleep[0].freeze()
        return False

    house = incident.House(scene, replicas=2, fails=[faults.failing(0.0, 600.0, 400, when=falls_asleep)])

    async def scenario():
        document = await house.add(title, text)
        job = await house.order(document, "one")
        early = kinds_of(await house.send("GET", f"/documents/{document}/history"))
        for _ in range(100):
            await asyncio.sleep(0.5)
            if asleep:
                break
        other = next(host for host in house.replicas if host not in asleep)
        await house.end_of(job.body.get("id"), to=other, patience=90.0)
        for host in asleep:
            host.thaw()
        await asyncio.sleep(15.0)
        usage = await house.send("GET", "/usage", to=other)
        history = await house.send("GET", f"/documents/{document}/history", to=other)
        other.crash()  # now whoever stood still is alone, and there is work
        woken = next(iter(asleep), house.replicas[0])
        job = await house.order(document, "two", to=woken)
        return early, history, usage.body.get(document), await house.end_of(job.body.get("id"), to=woken, patience=60.0)

    early, history, usage, next_one = house.run(scenario)
    sees = f"a job is ordered, and the history says {early} at once"
    expect("early", int(early != ["created"]), at_most=0, code="no-history", sees=sees, about=history.path)
    told = kinds_of(history)
    sees = f"a worker stood still, another did its job, and the history says {told}; the usage is {usage}"
    off = int(told != ["created", "summarised"] or not usage or usage.get("summaries") != 1)
    expect("twice", off, at_most=0, code="no-history", sees=sees, about=history.path)
    sees = f"a worker that stood still was too late, and the next job, which only it could do, is {next_one.body.get('status')!r}"
    wrong = int(next_one.body.get("status") != "done")
    expect("idle", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=("POST /jobs", f"GET {next_one.path}"))


@pytest.mark.pattern("audit-log")
def test_what_did_not_happen_is_not_in_the_history(scene, incident):
    """Refused, failed, or not there: no event."""
    rng = scene.rng("history")
    question, text = f"What does clause {rng.getrandbits(40)} say?", incident.text_of(rng, 1)
    house = incident.House(scene, fails=[faults.failing(0.0, 600.0, 400)])

    async def play():
        document = await house.add(incident.title_of(rng), text)
        path = f"/documents/{document}"
        await house.send("PUT", f"{path}/text", json={"text": "x"}, headers={"if-match": '"7"'})
        await house.send("POST", "/ask", json={"document": document, "question": question})
        job = await house.order(document, "one")
        await house.end_of(job.body.get("id"), patience=60.0)
        await house.send("PATCH", f"{path}-not", json={"label": "x"})
        return await house.send("GET", f"{path}/history"), await house.send("GET", "/usage")

    history, usage = house.run(play)
    told = kinds_of(history)
    sees = f"a document was made, all else was refused or failed, and its history says {told or history.told}"
    expect("extra", int(told != ["created"]), at_most=0, code="no-history", sees=sees, about=history.path)
    sees = f"no question was answered, and no summary made, and the usage is {usage.body}"
    expect("counted", len(usage.body), at_most=0, code="wrong-totals", sees=sees, about="/usage")


@pytest.mark.pattern("audit-log")
def test_two_replicas_append_to_one_log(scene, incident, probes):
    """Two processes append at the same moments: no event is refused, or has the number of another."""
    house = incident.House(scene, replicas=2)
    count = 30

    async def play():
        one, other = house.replicas
        both = await asyncio.gather(one.probe(probes.appends, count), other.probe(probes.appends, count))
        return both, await one.probe(probes.sound)

    (here, there), sound = house.run(play)
    off = sum(a != b for a, b in zip(sorted(map(str, here + there)), sorted(map(str, range(1, 2 * count + 1))), strict=True))
    story = [(0.0, f"replica-1 {a}, replica-2 {b}") for a, b in zip(here, there, strict=True)]
    sees = f"two processes append {count} events each, and the log is {'sound' if sound else 'not sound'}, {off} numbers are odd"
    expect("off", off + (sound is not True), at_most=0, unit="events", code="no-history", sees=sees, story=story)


@pytest.mark.pattern("replay")
def test_a_crash_in_a_rebuild(scene, incident):
    """Crash behind every effect of a rebuild: the usage is as it was."""
    rng = scene.rng("usage")
    title, text = incident.title_of(rng), incident.text_of(rng, 1)

    def play(crash_at):
        house = incident.House(scene)
        replica = house.replicas[0]

        async def scenario():
            document = await house.add(title, text)
            for number in range(3):
                await house.send("POST", "/ask", json={"document": document, "question": f"Question {number}?"})
            before = await house.send("GET", "/usage")
            house.sim.counts_effects = True
            replica.crash_at(crash_at, restart_after=1.0)
            await house.send("POST", "/usage/rebuild")
            await asyncio.sleep(2.0)
            effects = replica.effects
            return effects, before, await house.send("GET", "/usage")

        effects, before, after = house.run(scenario)
        told = f"the usage was {before.body}, and is {after.body}"
        return (before.body == after.body, told, house.story(told)), effects

    results = enumerate_crashes(play, most=5, rng=rng)
    off = [result for result in results if not result[0]]
    sees = f"in {len(off)} of {len(results)} runs, all but one with a crash in a rebuild, the totals are wrong: {(off or [['', '']])[0][1]}"
    expect("off", len(off), at_most=0, unit="crash points", code="wrong-totals", sees=sees, story=off[0][2] if off else ())
