"""Stage 1, every restart forgets: the stateless service, and the state that lives outside of it.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio

import pytest
from grader.plugin import expect
from grader.sim import enumerate_crashes
from grader.world import faults

pytestmark = pytest.mark.stage(1)


@pytest.mark.pattern("stateless-service")
def test_a_document_outlives_the_process(scene, incident):
    """A document is still there after a crash."""
    rng = scene.rng("documents")
    house = incident.House(scene)
    given = {incident.title_of(rng): incident.text_of(rng, 2) for _ in range(rng.randrange(3, 6))}

    async def play():
        idents = {title: await house.add(title, text) for title, text in given.items()}
        await house.replicas[0].restart()
        return {title: await house.send("GET", f"/documents/{ident}") for title, ident in idents.items()}

    found = house.run(play)
    lost = [title for title, answer in found.items() if answer.body.get("text") != given[title]]
    about = [f"GET {found[title].path}" for title in lost[:1]]
    sees = f"{len(given)} documents were added, the replica restarts, and {len(lost)} of them are gone, or different"
    expect("forgotten", len(lost), at_most=0, unit="documents", code="forgotten", sees=sees, about=["POST", *about])


@pytest.mark.pattern("stateless-service")
def test_any_replica_will_do(scene, incident):
    """Each request goes to any replica, and any may have restarted."""
    rng = scene.rng("balancer")
    house = incident.House(scene, replicas=2)
    wrong, steps = [], 0

    def check(what, answer, due):
        nonlocal steps
        steps += 1
        for name, value in due.items():
            if answer.body.get(name) != value:
                wrong.append((f"{what} is answered {answer.told}, with {name} {answer.body.get(name)!r:.60}", answer))
                break

    async def play():
        known, answers = {}, {}
        for _ in range(rng.randrange(3, 5)):
            title, text = incident.title_of(rng), incident.text_of(rng, 1)
            known[await house.add(title, text, to=rng.randrange(2))] = [title, "", text]
        restarts = [rng.randrange(2), 7]
        for step in range(12):
            if step in restarts:
                await house.replicas[rng.randrange(2)].restart()
            document, row = rng.choice(list(known.items()))
            path, to = f"/documents/{document}", rng.randrange(2)
            match rng.choice(("get", "get", "edit", "edit", "list", "ask", "explain")):
                case "edit":
                    row[0], row[1] = incident.title_of(rng), f"label {rng.getrandbits(20)}"
                    answer = await house.send("PATCH", path, to=to, json={"title": row[0], "label": row[1]})
                    check("an edit", answer, {"label": row[1], "title": row[0]})
                    found = await house.send("GET", path, to=1 - to)
                    check("a document that was edited at the other replica", found, {"label": row[1], "title": row[0]})
                case "list":
                    check("the list", await house.send("GET", "/documents", to=to), {"count": len(known)})
                case "ask" if len(answers) < 5:
                    asked = {"document": document, "question": f"Question {step}: what does the clause say?"}
                    answer = await house.send("POST", "/ask", to=to, json=asked)
                    check("a question", answer, {"question": asked["question"]})
                    answers[str(answer.body.get("id"))] = asked["question"]
                case "explain" if answers:
                    ident, question = rng.choice(list(answers.items()))
                    answer = await house.send("GET", f"/answers/{ident}", to=to)
                    check("an answer that was given before", answer, {"question": question})
                case _:
                    due = dict(zip(("title", "label", "text"), row, strict=True))
                    check("a document", await house.send("GET", path, to=to), due)

        async def listed(to):
            answer = await house.send("GET", "/documents", to=to)
            found = answer.body.get("documents", [])
            if {row["id"]: row["title"] for row in found} != {ident: row[0] for ident, row in known.items()}:
                wrong.append((f"the list has other titles than the documents ({answer.told})", answer))

        await listed(0)
        await listed(1)
        document, row = rng.choice(list(known.items()))
        row[0] = incident.title_of(rng)
        await house.send("PATCH", f"/documents/{document}", to=0, json={"title": row[0]})
        await listed(1)

    house.run(play)
    first, about = wrong[0] if wrong else ("", None)
    sees = f"of {steps} requests, each to any of two replicas, {len(wrong)} go wrong: {first}"
    about = f"{about.method} {about.path}" if about else ""
    expect("went_wrong", len(wrong), at_most=0, unit="requests", code="forgotten", sees=sees, about=about)


@pytest.mark.pattern("stateless-service")
def test_a_count_is_one_count(scene, incident):
    """Six questions a minute are six, at however many replicas."""
    rng = scene.rng("quota")
    house = incident.House(scene, replicas=2)
    most = incident.ASKS_A_MINUTE
    early = rng.randrange(2, 5)

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 1))
        headers = {"x-tenant": f"tenant {rng.getrandbits(20)}"}

        async def ask(number, headers=headers):
            asked = {"document": document, "question": f"Question {number}?"}
            return await house.send("POST", "/ask", to=number % 2, json=asked, headers=headers)

        first = [await ask(2 * number) for number in range(early)]
        await house.replicas[0].restart()
        second = await asyncio.gather(*(ask(number) for number in range(10, 22)))
        other = await ask(30, {"x-tenant": "another"})
        await asyncio.sleep(61.0)
        return [*first, *second], other, await asyncio.gather(*(ask(number) for number in range(40, 42)))

    burst, other, later = house.run(play)
    let_in = sum(answer.status == 201 for answer in burst)
    refused = sum(answer.status == 429 for answer in burst)
    sees = f"{most} questions a minute are agreed; two replicas, of which one restarted, answer {let_in}"
    expect("let_in", let_in, at_most=most, unit="questions", code="counted-apart", sees=sees, about="/ask")
    sees = f"{most} questions a minute are agreed, and {let_in} are answered, {refused} refused with 429"
    expect("answered", let_in, at_least=most, unit="questions", code="refused", sees=sees, about="/ask")
    expect("refused", refused, at_least=len(burst) - most, code="wrong-ending", sees=sees, about="/ask")
    calls, answered = len(house.provider.log), sum(answer.status == 201 for answer in (*burst, other, *later))
    sees = f"{answered} questions are answered, {refused} refused, and the model is asked {calls} times"
    expect("asked", calls, at_most=answered, unit="calls", code="refused-and-billed", sees=sees, about="/ask")
    kept_out = sum(answer.status != 201 for answer in (other, *later))
    sees = f"another tenant, and the same one a minute later: {kept_out} of {1 + len(later)} questions are not answered"
    expect("kept_out", kept_out, at_most=0, unit="questions", code="refused", sees=sees, about="/ask")


@pytest.mark.pattern("stateless-service")
def test_a_minute_is_any_minute(scene, incident, probes):
    """A quota holds to the second, and at two replicas that ask at one moment."""
    rng = scene.rng("quota")
    most, seconds = rng.randrange(3, 7), float(rng.randrange(40, 90))
    early = rng.uniform(0.3, 0.7) * seconds
    # No window that is fixed by the clock opens only where these pauses let in.
    pauses = [early, seconds - 1.0, 2.0, seconds / 2, seconds / 2 + 1.0, seconds - 1.0]
    house = incident.House(scene, replicas=2)
    names = [f"tenant {number}" for number in range(30)]

    async def play():
        one, other = house.replicas
        taken = await one.probe(probes.window, most, seconds, pauses)
        return taken, await asyncio.gather(one.probe(probes.race, names), other.probe(probes.race, names))

    taken, (here, there) = house.run(play)
    moments = [sum(pauses[: at + 1]) for at in range(len(pauses))]
    story = [(at, f"{count} are let in") for at, count in zip(moments, taken, strict=True)]
    sees = f"{most} in any {seconds:g} s are agreed; full at {early:.0f} s, and looked at again later, {taken} are let in"
    expect("off", int(taken != [most, 0, most, 0, most, 0]), at_most=0, code="wrong-window", sees=sees, story=story)
    got = list(map(sum, zip(here, there, strict=True)))
    story = [(0.0, f"{name}: replica-1 {a}, replica-2 {b}") for name, a, b in zip(names, here, there, strict=True)]
    sees = f"one place each for {len(names)} tenants; at two replicas at one moment, {got.count(2)} of them get two"
    expect("twice", got.count(2), at_most=0, unit="tenants", code="counted-apart", sees=sees, story=story)
    sees = f"one place each for {len(names)} tenants, and {got.count(0)} of them get none"
    expect("none", got.count(0), at_most=0, unit="tenants", code="refused", sees=sees, story=story)


@pytest.mark.pattern("externalised-state")
def test_a_job_is_lent_to_one_at_a_time(scene, incident, probes):
    """A lease holds to its end, and no longer; who is late is refused."""
    rng = scene.rng("lease")
    lease = float(rng.randrange(20, 90))
    house = incident.House(scene, horizon=2000.0)
    seen = house.run(lambda: house.replicas[0].probe(probes.lease, lease, f"document {rng.getrandbits(32)}"))
    due = {
        "the same key and document is another job": (False, seen["another"]),
        "a job that was just ordered is": ("queued", seen["new"]),
        "it is lent, and somebody else gets it a second before its lease is over": (False, seen["early"]),
        "it is renewed in time, and somebody gets it a second after its first lease": (False, seen["renewed"]),
        "who has it renews, and saves": (["", ""], [seen["renews"], seen["saves"]]),
        "its lease is over for a second, and somebody else gets it": (True, seen["late"]),
        "the second token is greater than the first": (True, seen["greater"]),
        "what was saved is there for the next": ("how far it came", seen["progress"]),
        "the first worker, whose lease is over, may renew": ("Stale", seen["zombie_renews"]),
        "the first worker, whose lease is over, may save": ("Stale", seen["zombie_saves"]),
        "the first worker, whose lease is over, may complete it": ("Stale", seen["zombie_completes"]),
        "the first worker, whose lease is over, may fail it": ("Stale", seen["zombie_fails"]),
        "after all that, the job is": ("running", seen["between"]),
        "the second worker completes it": ("", seen["completes"]),
        "then it is": (["done", {"by": "the second"}], seen["end"]),
        "a job that is done is failed by whom it was lent to": ("Stale", seen["fails_late"]),
        "a job that is done is lent again": (False, seen["again"]),
        "one key and two documents are two jobs, and the same key with a newer text is the same job": (True, seen["two"]),
        "of two that wait, the one that is lent is the older": (True, seen["oldest"]),
        "who has not been lent a job fails it": ("Stale", seen["fails"]),
        "renewed three times at once, it is over after one lease": (True, seen["from_now"]),
        "a job has": (sorted(("id", "document", "version", "status", "result", "reason")), seen["names"]),
        "a job that has failed is": (["failed", "no such text", None], seen["failed"]),
        "it is not lent again, and the other that waits is": (True, seen["then"]),
    }
    wrong = [f"{what}: {got!r}" for what, (right, got) in due.items() if got != right]
    story = [(float(at), f"{what}: {got!r}") for at, (what, (_, got)) in enumerate(due.items())]
    sees = f"with a lease of {lease:g} s, {wrong[0] if wrong else ''}"
    expect("wrong_steps", len(wrong), at_most=0, unit="steps", code="broken-lease", sees=sees, story=story)


@pytest.mark.pattern("externalised-state")
def test_two_workers_never_get_one_job(scene, incident, probes):
    """Two processes that look for work at one moment get different jobs."""
    rng = scene.rng("claims")
    house = incident.House(scene, replicas=2)
    jobs = rng.randrange(44, 52)

    async def play():
        one, other = house.replicas
        await one.probe(probes.orders, jobs)
        return await asyncio.gather(one.probe(probes.claims, "one", jobs), other.probe(probes.claims, "other", jobs))

    one, other = house.run(play)
    twice = sorted(set(one) & set(other))
    story = [(0.0, f"{name} gets job {job}") for name, got in (("one", one), ("other", other)) for job in got]
    sees = f"{jobs} jobs wait, two processes look for work at once, and {len(twice)} jobs are lent to both"
    expect("lent_twice", len(twice), at_most=0, unit="jobs", code="two-workers", sees=sees, story=story)
    left = jobs - len(set(one) | set(other))
    sees = f"{jobs} jobs wait, two processes take what they get, and {left} are lent to nobody"
    expect("left", left, at_most=0, unit="jobs", code="job-lost", sees=sees, story=story)


@pytest.mark.pattern("externalised-state")
def test_no_crash_loses_a_job_or_bills_it_twice(scene, incident):
    """Crash behind every effect: no job is lost, and no call billed twice."""
    rng = scene.rng("jobs")
    title, text, key = incident.title_of(rng), incident.text_of(rng, 2), f"order {rng.getrandbits(32)}"

    def play(crash_at):
        house = incident.House(scene)
        replica = house.replicas[0]

        async def scenario():
            document = await house.add(title, text)
            house.sim.counts_effects = True
            replica.crash_at(crash_at, restart_after=1.0)
            for _ in range(20):
                answer = await house.order(document, key, timeout=10.0)
                if answer.status:  # there is an answer: else the office orders again
                    break
                await asyncio.sleep(2.0)
            await asyncio.sleep(10.0)
            effects = replica.effects  # what follows is after the crash
            return answer, effects, await house.end_of(answer.body.get("id"), every=5.0, patience=45.0)

        answer, effects, end = house.run(scenario)
        status = f"answered {end.told}" if end.status != 200 else repr(end.body.get("status"))
        summary = incident.text_in(end, "result", "summary")
        missing = sum(part.rstrip(".") not in summary for part in text.split("\n\n"))
        lacks = f", and its summary lacks {missing} sections" if end.body.get("status") == "done" and missing else ""
        again = f"calls billed again: {house.billed_again}"
        row = f"row of job {end.path.rpartition('/')[2]:.8}: {status}{lacks}; {again}"
        lost = answer.status == 202 and (end.body.get("status") != "done" or missing > 0)
        return (answer.status, lost, house.billed_again, house.story(row)), effects

    results = enumerate_crashes(play, most=8, rng=rng)
    points = len(results) - 1
    refused = [result for result in results if result[0] != 202]
    sees = f"a job is ordered, and ordered again where no answer came, and at {len(refused)} crash points that is refused"
    story = refused[0][3] if refused else ()
    expect("refused", len(refused), at_most=0, unit="crash points", code="not-accepted", sees=sees, story=story)
    lost, again = [r for r in results if r[1]], [r for r in results if r[2]]
    billed = sum(r[2] for r in results)
    both = f"over {points} crash points, {len(lost)} jobs are lost, and {billed} calls are billed again"
    expect("lost", len(lost), at_most=0, unit="jobs", code="job-lost", sees=both, story=lost[0][3] if lost else ())
    expect("billed_again", billed, at_most=0, unit="calls", code="billed-again", sees=both, story=again[0][3] if again else ())


@pytest.mark.pattern("externalised-state")
def test_a_dead_replicas_job_is_taken_up(scene, incident):
    """A replica that dies leaves its job to another."""
    rng = scene.rng("jobs")
    house = incident.House(scene, replicas=2, median=rng.uniform(3.0, 5.0))

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 2))
        answer = await house.order(document, "one")
        ordered = house.sim.now
        for _ in range(100):  # whoever took it dies
            await asyncio.sleep(0.5)
            if house.provider.log:
                break
        working = [entry.source for entry in house.sim.tape.of("call")]
        dead = next((number for number, host in enumerate(house.replicas) if host.name in working), 0)
        house.replicas[dead].crash()
        died = house.sim.now
        return died - ordered, died, await house.end_of(answer.body.get("id"), to=1 - dead, patience=120.0)

    begun, died, end = house.run(play)
    about = ("POST /jobs", f"GET {end.path}")
    sees = f"a replica dies for good in the midst of a job, and at the other the job is {end.told} {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("lost", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    sees = f"two replicas are idle, a job is ordered, and it is begun {begun:.0f} s later"
    expect("begun_after", begun, at_most=15.0, unit="s", code="long-lease", sees=sees, about=about)
    waited = end.ended - died
    again = house.billed_again
    sees = f"a replica dies in the midst of a job, another does it, and {again} calls are billed again"
    expect("billed_again", again, at_most=0, unit="calls", code="billed-again", sees=sees, about=about)
    most = incident.LEASE + 30.0
    sees = f"a replica dies, and its job is done by another {waited:.0f} s later; a lease is {incident.LEASE:g} s"
    expect("done_after", waited, at_most=most, unit="s", code="long-lease", sees=sees, about=about)


@pytest.mark.pattern("externalised-state")
def test_who_is_slow_keeps_the_job(scene, incident):
    """A call longer than the lease is no reason to begin anew."""
    rng = scene.rng("jobs")
    house = incident.House(scene, replicas=2, median=rng.uniform(75.0, 95.0), horizon=1000.0)
    sections = rng.randrange(4, 6)

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, sections))
        answer = await house.order(document, "one")
        for _ in range(100):
            await asyncio.sleep(0.5)
            if house.provider.log:
                break
        await asyncio.sleep(10.0)
        working = [entry.source for entry in house.sim.tape.of("call")]
        idle = next((number for number, host in enumerate(house.replicas) if host.name not in working), 1)
        await house.replicas[idle].stop()  # an ordinary deploy, next door
        await house.replicas[idle].start()
        return await house.end_of(answer.body.get("id"), to=idle, every=20.0, patience=900.0)

    end = house.run(play)
    about = ("POST /jobs", f"GET {end.path}")
    calls = len(house.provider.log)
    sees = f"each call takes longer than a lease, another replica restarts meanwhile, and {sections + 1} calls become {calls}"
    expect("calls", calls, at_most=sections + 1, unit="calls", code="stolen", sees=sees, about=about)
    sees = f"each call takes longer than a lease, and the job is {end.told} {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("not_done", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)


@pytest.mark.pattern("externalised-state")
def test_a_zombie_changes_nothing(scene, incident):
    """A worker that wakes up late does not undo what another has done."""
    rng = scene.rng("jobs")
    asleep = []

    def falls_asleep(call):
        """The first call fails, and whoever made it hears of it only much later."""
        if not asleep:
            asleep.append(next(host for host in house.replicas if host.name == call.source))
            asleep[0].freeze()
            return True
        return False

    house = incident.House(scene, replicas=2, fails=[faults.failing(0.0, 600.0, 400, when=falls_asleep)])

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 2))
        sleepy = asyncio.create_task(house.order(document, "one", timeout=10.0))
        await asyncio.sleep(5.0)
        while not asleep and house.sim.now < 40.0:  # until somebody works on it
            await asyncio.sleep(1.0)
        answer = await sleepy
        other = next((host for host in house.replicas if host not in asleep), house.replicas[1])
        if answer.status != 202:  # it fell asleep before it had answered
            answer = await house.order(document, "one", to=other)
        before = await house.end_of(answer.body.get("id"), to=other, patience=90.0)
        for host in asleep:
            host.thaw()
        await asyncio.sleep(15.0)
        after = await house.send("GET", before.path, to=other)
        other.crash()  # now it is alone, and there is work
        woken = next(iter(asleep), house.replicas[0])
        next_one = await house.order(document, "two", to=woken)
        return before, after, await house.end_of(next_one.body.get("id"), to=woken, patience=60.0)

    before, after, next_one = house.run(play)
    about = ("POST /jobs", f"GET {before.path}")
    sees = f"a worker stands still, its lease ends, and at the other replica the job is {before.body.get('status')!r} ({before.told})"
    wrong = int(before.body.get("status") != "done")
    expect("lost", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    changed = int(after.body != before.body)
    sees = f"the job was done; the worker that had stood still goes on, and the job is {after.body.get('status')!r}"
    expect("changed", changed, at_most=0, unit="jobs", code="zombie", sees=sees, about=about)
    sees = f"a worker that stood still goes on, and the next job, which only it could do, is {next_one.body.get('status')!r}"
    wrong = int(next_one.body.get("status") != "done")
    expect("idle", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=("POST /jobs", f"GET {next_one.path}"))


@pytest.mark.pattern("externalised-state")
def test_a_job_survives_three_deaths(scene, incident):
    """Whoever works on a job dies, three times, and it is done all the same."""
    rng = scene.rng("deaths")
    house = incident.House(scene, median=rng.uniform(2.0, 3.0))
    text = incident.text_of(rng, 2)

    async def play():
        document = await house.add(incident.title_of(rng), text)
        answer = await house.order(document, "one")
        for _ in range(3):
            calls = len(house.provider.log)
            for _ in range(120):
                await asyncio.sleep(0.5)
                if len(house.provider.log) > calls:
                    break
            await asyncio.sleep(rng.uniform(0.2, 1.0))
            await house.replicas[0].restart()
        return await house.end_of(answer.body.get("id"), patience=100.0)

    end = house.run(play)
    about = ("POST /jobs", f"GET {end.path}")
    sees = f"three times, the replica that works on a job is killed and started again, and the job is {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("lost", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    again = house.billed_again
    sees = f"three times, the replica that works on a job is killed, and {again} calls are billed again"
    expect("billed_again", again, at_most=0, unit="calls", code="billed-again", sees=sees, about=about)


@pytest.mark.pattern("externalised-state")
def test_a_deploy_in_the_midst_of_a_job(scene, incident):
    """A replica that is stopped in order leaves its job to another, too."""
    rng = scene.rng("jobs")
    house = incident.House(scene, replicas=2, median=rng.uniform(3.0, 5.0))

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 2))
        answer = await house.order(document, "one")
        for _ in range(100):
            await asyncio.sleep(0.5)
            if house.provider.log:
                break
        working = [entry.source for entry in house.sim.tape.of("call")]
        busy = next((number for number, host in enumerate(house.replicas) if host.name in working), 0)
        await house.replicas[busy].stop()
        return await house.end_of(answer.body.get("id"), to=1 - busy, patience=120.0)

    end = house.run(play)
    about = ("POST /jobs", f"GET {end.path}")
    sees = f"a replica is stopped, in order, in the midst of a job, and the job is {end.told} {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("lost", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)


@pytest.mark.pattern("externalised-state")
def test_a_job_that_fails_is_the_only_one(scene, incident):
    """What the provider refuses for good fails once, and whoever worked on it goes on with the next."""
    rng = scene.rng("jobs")
    texts = [incident.text_of(rng, 1) for _ in range(2)]
    refuses = faults.failing(0.0, 600.0, 400, when=lambda call: texts[0].encode() in call.body)
    house = incident.House(scene, fails=[refuses])

    async def play():
        documents = [await house.add(incident.title_of(rng), text) for text in texts]
        jobs = [await house.order(document, "one") for document in documents]
        ends = [await house.end_of(job.body.get("id"), patience=100.0) for job in jobs]
        calls = len(house.provider.log)
        await asyncio.sleep(100.0)
        return ends, len(house.provider.log) - calls

    ends, later = house.run(play)
    told = [end.body.get("status") for end in ends]
    about = ("POST /jobs", f"GET {ends[0].path}", f"GET {ends[1].path}")
    sees = f"of two jobs the provider refuses the calls of the first; they are {told[0]!r} and {told[1]!r}"
    expect("wrong", int(told != ["failed", "done"]), at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    sees = f"a job has failed, and in the 100 s after that {later} more calls are made"
    expect("later", later, at_most=0, unit="calls", code="broken-lease", sees=sees, about=about)


@pytest.mark.pattern("externalised-state")
def test_a_short_pause_costs_nothing(scene, incident):
    """A worker that stands still for less than its lease still has the job."""
    rng = scene.rng("jobs")
    pause = rng.uniform(14.0, 18.0)  # it renewed in time before: 30 s, less what was gone
    asleep = []

    def falls_asleep(call):
        if not asleep:
            asleep.append(next(host for host in house.replicas if host.name == call.source))
            asleep[0].freeze()
        return False

    house = incident.House(scene, replicas=2, fails=[faults.failing(0.0, 600.0, 400, when=falls_asleep)])

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 2))
        ordering = asyncio.create_task(house.order(document, "one"))
        for _ in range(100):
            await asyncio.sleep(0.5)
            if asleep:
                break
        await asyncio.sleep(pause)
        for host in asleep:
            host.thaw()
        answer = await ordering
        return await house.end_of(answer.body.get("id"), patience=100.0)

    end = house.run(play)
    calls, about = len(house.provider.log), ("POST /jobs", f"GET {end.path}")
    sees = f"a worker stands still for {pause:.0f} s, with a lease of {incident.LEASE:g} s, and 3 calls become {calls}"
    expect("calls", calls, at_most=3, unit="calls", code="stolen", sees=sees, about=about)
    sees = f"a worker stands still for {pause:.0f} s, and its job is {end.told} {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("lost", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)


@pytest.mark.pattern("stateless-service")
def test_a_title_is_given_once(scene, incident):
    """Two add a document of one title, at two replicas at one moment: one is told 409."""
    rng = scene.rng("titles")
    titles = [incident.title_of(rng) for _ in range(20)]
    house = incident.House(scene, replicas=2)

    async def play():
        pairs = []
        for title in titles:
            new = {"title": title, "text": "A text."}
            pairs.append(await asyncio.gather(*(house.send("POST", "/documents", to=to, json=new) for to in (0, 1))))
        document = next(str(answer.body["id"]) for answer in pairs[0] if answer.body.get("id"))
        keys = [f"order {number}" for number in range(6)]
        return pairs, [await asyncio.gather(*(house.order(document, key, to=to) for to in (0, 1))) for key in keys]

    pairs, orders = house.run(play)
    off = [[one.status, other.status] for one, other in pairs if sorted((one.status, other.status)) != [201, 409]]
    sees = f"{len(pairs)} times, two add a document of one title at one moment, and {len(off)} times they are told {off[:1]}"
    expect("off", len(off), at_most=0, unit="titles", code="counted-apart", sees=sees, about="POST /documents")
    two = [pair for pair in orders if not pair[0].good or pair[0].body.get("id") != pair[1].body.get("id")]
    sees = f"{len(orders)} orders are sent to both replicas at one moment, each with one key, and {len(two)} of them are two jobs"
    expect("two_jobs", len(two), at_most=0, unit="orders", code="ordered-twice", sees=sees, about="POST /jobs")


@pytest.mark.pattern("stateless-service")
def test_a_reboot_sets_other_clocks_back(scene, incident):
    """Time is time.time(): what counts from the start of a machine or a process is another after a restart."""
    rng = scene.rng("quota")
    house = incident.House(scene, median=4.0)

    async def play():
        document = await house.add(incident.title_of(rng), incident.text_of(rng, 2))
        asked = {"document": document, "question": "What now?"}
        first = await asyncio.gather(*(house.send("POST", "/ask", json=asked) for _ in range(8)))
        job = await house.order(document, "one")
        await asyncio.sleep(3.0)
        house.replicas[0].set_wall_clock(120.0)  # two minutes for whom time is time.time(), and none for the others
        await house.replicas[0].restart()
        second = await house.send("POST", "/ask", json=asked)
        return first, second, await house.end_of(job.body.get("id"), patience=25.0)

    first, second, end = house.run(play)
    told = [sum(answer.status == 201 for answer in first), second.status]
    sees = f"eight ask and {told[0]} are answered; the clock is two minutes on, and one more is answered {second.told}"
    expect("off", int(told != [6, 201]), at_most=0, code="wrong-window", sees=sees, about="/ask")
    sees = f"a worker died, its lease has been over for a minute and a half by the clock, and the job is {end.body.get('status')!r}"
    expect("waits", int(end.body.get("status") != "done"), at_most=0, code="long-lease", sees=sees, about=end.path)
