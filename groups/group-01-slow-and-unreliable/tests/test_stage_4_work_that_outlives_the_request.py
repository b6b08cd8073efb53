"""Stage 4, work that outlives the request: the long-running task, the workflow, and the state of a job.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import json
from collections import Counter
from urllib.parse import urlsplit

import pytest
from grader.plugin import expect
from grader.world import faults

pytestmark = pytest.mark.stage(4)

AT_ONCE = 0.1  # seconds
WORKERS = 2
LOOK = 3.0  # seconds between two looks at the jobs
ENDS = ("done", "failed", "cancelled")

EVENTS = ("start", "cancel", "complete", "fail", "retry", "explode")
NEXT = {
    ("queued", "start"): "running", ("queued", "cancel"): "cancelled", ("running", "cancel"): "cancelled",
    ("running", "complete"): "done", ("running", "fail"): "failed", ("failed", "retry"): "queued",
}  # fmt: skip


@pytest.mark.pattern("state")
def test_a_job_goes_only_where_it_may(scene, incident, probes):
    """300 histories of a job: none is impossible."""
    rng = scene.rng("histories")
    sequences = [rng.choices(EVENTS, (5, 2, 3, 3, 3, 1), k=rng.randrange(3, 15)) for _ in range(300)]
    house = incident.House(scene)
    seen = house.run(lambda: house.replica.probe(probes.histories, sequences))
    wrong = {"impossible": [], "wrongly_taken": [], "wrong_fields": []}
    for events, history in zip(sequences, seen, strict=True):
        status, result, reason, story = "queued", None, None, [(0.0, "a new job is queued")]
        for at, (event, step) in enumerate(zip(events, history["steps"], strict=True)):
            got, got_result, got_reason, refused = step
            was, illegal = status, False
            if (status, event) in NEXT:
                status = NEXT[status, event]
                result = {"at": at} if event == "complete" else result
                reason = f"at {at}" if event == "fail" else None if event == "retry" else reason
            else:
                illegal = not (status in ENDS and event in ("complete", "fail"))
            story.append((0.0, f"{event}: {'refused' if refused else got}"))
            if got != status:
                text = f"a job that is {was} is {got} after {event}, where it should be {status}"
                wrong["impossible"].append((text, story[:]))
            if refused != illegal:
                said = "is refused" if refused else "is let pass: it has to raise IllegalTransition"
                text = f"{event} comes to a job that is {was}, and {said}"
                wrong["wrongly_taken"].append((text, story[:]))
            if (got_result, got_reason) != (result, reason):
                text = f"after {event}, a job that is {got} has the result {got_result} and the reason {got_reason!r}"
                wrong["wrong_fields"].append((text, story[:]))
    codes = {"impossible": "impossible-state", "wrongly_taken": "wrong-transition", "wrong_fields": "late-result"}
    for metric, cases in wrong.items():
        sees, story = min(cases, key=lambda case: len(case[1]), default=("", []))
        expect(metric, len(cases), at_most=0, unit="times", code=codes[metric], sees=sees, story=story)
    changed = sum(history["changed"] for history in seen)
    sees = f"an event changes the job that it is applied to, and does not make a new one: {changed} times"
    story = [(0.0, "later = job.apply(event): job.status is another than before")]
    expect("changed", changed, at_most=0, unit="jobs", code="mutable-state", sees=sees, story=story)


@pytest.mark.pattern("job-workflow")
def test_a_workflow_makes_only_what_is_missing(scene, incident, probes):
    """A workflow taken up again makes what is missing."""
    rng = scene.rng("workflow")
    limit = rng.randrange(3, 6)
    names = [f"step {number}" for number in rng.sample(range(100), 3 * limit + 2)]
    stages = [[names[0]], names[1:-1], [names[-1]]]
    failing = rng.choice(names[limit + 2 : -1])
    seconds = {name: rng.uniform(0.5, 1.5) for name in names}
    house = incident.House(scene)
    quiet = names[0]  # its result is None
    first, second = house.run(lambda: house.replica.probe(probes.workflow, stages, limit, failing, quiet, seconds))
    sees = f"“{failing}” raises LookupError, and the workflow ends with {first['raised'] or 'a result'}"
    lost = int(first["raised"] != "LookupError")
    expect("error_lost", lost, at_most=0, code="lost-result", sees=sees, story=_told_by(first))
    left = first["left"]
    sees = f"the workflow has failed, and {left} steps run on"
    expect("left_running", left, at_most=0, unit="steps", code="orphans", sees=sees, story=_told_by(first))
    done = {name for name, _, _, is_done, _ in first["log"] if is_done}
    again = [name for name, *_ in second["log"] if name in done]
    sees = f"{len(done)} of {len(names)} steps were done, and {len(again)} of them are made again"
    expect("made_again", len(again), at_most=0, unit="steps", code="made-again", sees=sees, story=_told_by(second))
    due = [[name, None if name == quiet else f"result of {name}"] for name in names]
    sees = f"the steps are {names}, and the workflow returns {[name for name, _ in second['end']]}"
    expect("results_off", int(second["end"] != due), at_most=0, code="disorder", sees=sees, story=_told_by(second))
    for run in (first, second):
        most = max((_under_way(run["log"], began) for _, began, *_ in run["log"]), default=0)
        sees = f"{most} steps run at once, with a limit of {limit}"
        over = max(0, most - limit)
        expect("over_limit", over, at_most=0, unit="steps", code="unbounded", sees=sees, story=_told_by(run))
    early = sum(not set(names[:1]) <= set(known) for name, *_, known in first["log"] if name in names[1:-1])
    early += sum(not set(names[:-1]) <= set(known) for name, *_, known in second["log"] if name == names[-1])
    sees = f"{early} steps begin before the stage in front of theirs is done"
    expect("early", early, at_most=0, unit="steps", code="disorder", sees=sees, story=_told_by(first))
    most = max((_under_way(first["log"], began) for _, began, *_ in first["log"]), default=0)
    sees = f"steps of one stage do not run together: {most} at once at most"
    expect("together", most, at_least=min(2, limit), unit="steps", code="one-by-one", sees=sees, story=_told_by(first))


@pytest.mark.pattern("long-running-task")
def test_job_runner_keeps_to_its_contract(scene, incident, probes):
    """JobRunner keeps its places, its queue, and its word."""
    rng = scene.rng("runner")
    workers, waiting = rng.randrange(2, 4), rng.randrange(7, 10)
    house = incident.House(scene)
    seen = house.run(lambda: house.replica.probe(probes.runner, workers, waiting))
    status, result, reason = seen["silent"]
    story = [(1.0, f"work raises RuntimeError(), without a text: status {status!r}, reason {reason!r}")]
    sees = f"work raises an exception that has no text, and the job is {status!r}, reason {reason!r}"
    wrong = int(status != "failed" or not reason)
    expect("no_reason", wrong, at_most=0, unit="jobs", code="no-reason", sees=sees, story=story)
    status, other = seen["failed"][0], seen["other"][0]
    story = [
        (1.0, f"two jobs of one document, whose work does a step and raises where it was not done: {status!r}, {other!r}"),
        (1.0, f"retry of the first; retry of the first once more: {seen['twice']}"),
        (2.0, f"the first: {seen['again'][0]!r}, {seen['again'][1]}; work was called {seen['begun']} times for the two"),
    ]
    sees = f"a failed job is queued again, and a second retry is {seen['twice']}: it has to raise IllegalTransition"
    wrong = int(seen["twice"] != "refused")
    expect("retried_twice", wrong, at_most=0, unit="jobs", code="wrong-transition", sees=sees, story=story)
    sees = "two jobs of one document share what has been done, or a job is run more often than it was queued"
    wrong = int(seen["begun"] != 3 or [status, other] != ["failed", "failed"])
    expect("begun_off", wrong, at_most=0, unit="jobs", code="shared-work", sees=sees, story=story)
    sees = f"a job was retried, and is {seen['again'][0]!r}, {seen['again'][1]}: what it had done is not there any more"
    wrong = int(seen["again"][:2] != ["done", {"made": ["first step"]}])
    expect("not_taken_up", wrong, at_most=0, unit="jobs", code="made-again", sees=sees, story=story)
    for document, status, result, _ in seen["cancelled"]:
        how = "stops" if document == "stops when told" else "cleans up, and returns a result all the same"
        story = [(3.0, f"a job runs, and is cancelled: its work {how}"), (4.0, f"it is {status!r}, result {result}")]
        sees = f"a running job is cancelled, its work {how}, and it is {status!r}, result {result}"
        wrong = int(status != "cancelled" or result is not None)
        expect("resurrected", wrong, at_most=0, unit="jobs", code="resurrected", sees=sees, story=story)
    lost = sum(status != "done" for status in seen["behind"])
    story = [
        (3.0, f"{workers} jobs run, which are all places; another is queued"), (4.0, "those that run are cancelled"),
        (7.0, f"the one that was queued is {seen['behind'][0]!r}; once more, with work that will not stop: {seen['behind'][1]!r}"),
    ]
    sees = "all running jobs were cancelled, and the one behind them still waits: a place was not given back"
    expect("kept_waiting", lost, at_most=0, unit="jobs", code="job-lost", sees=sees, story=story)
    ends = [*seen["queued"], seen["retried"][0]]
    story = [
        (7.0, f"{waiting} jobs are queued after {2 * workers} were cancelled, and a failed one is retried"),
        (12.0, f"work was called for {', '.join(seen['order'])}"),
        (12.0, f"{ends.count('done')} of {len(ends)} are done; at most {seen['most']} ran at once"),
        (12.0, f"drain {'has returned' if seen['drained'] else 'has not returned'}"),
    ]
    lost = sum(status != "done" for status in ends)
    sees = f"{2 * workers} running jobs were cancelled, and of {len(ends)} later ones {lost} are not done: a place was not given back"
    expect("place_kept", lost, at_most=0, unit="jobs", code="job-lost", sees=sees, story=story)
    sees = f"{seen['most']} jobs run at once, where there are {workers} workers"
    over = max(0, seen["most"] - workers)
    expect("over_workers", over, at_most=0, unit="jobs", code="too-many-jobs", sees=sees, story=story)
    due = [f"document {number}" for number in range(waiting)]
    wrong = int([name for name in seen["order"] if name in due] != due)
    sees = "jobs do not begin in the order in which they were accepted"
    expect("disorder", wrong, at_most=0, unit="jobs", code="no-queue", sees=sees, story=story)
    sees = "no job is queued or running any more, and drain has not returned"
    expect("not_drained", int(not seen["drained"]), at_most=0, code="running-for-ever", sees=sees, story=story)


@pytest.mark.pattern("long-running-task")
def test_a_job_outlives_its_request(scene, incident):
    """A job is accepted at once, and done in its own time."""
    rng = scene.rng("jobs")
    each = rng.uniform(230.0, 280.0)
    house = incident.House(scene, median=each, horizon=2400.0)
    pages = house.document("tariff", sections=rng.randrange(17, 21)).pages

    async def play():
        body = json.dumps({"document": "tariff"}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        stream = house.replica.open("POST", "/jobs", body=body, headers=headers)
        begun = house.sim.now
        await stream.head()
        seconds = house.sim.now - begun
        body = incident.json_object(await stream.body())
        answer = incident.Answer(begun, begun + seconds, "POST", "/jobs", stream.status, stream.headers, body)
        stream.disconnect()  # the client is content, and goes
        _is_accepted(answer)
        sees = f"a job is accepted, and its client waits for {seconds:.1f} s"
        expect("accepted_after", seconds, at_most=AT_ONCE, unit="s", code="waits-for-the-work", sees=sees, about="POST")
        path = _path(answer)
        early = await house.send("GET", path)
        unknown = await house.send("GET", f"/jobs/{rng.getrandbits(64)}")
        return answer, early, unknown, await _end_of(house, path, every=30.0)

    answer, early, unknown, end = house.run(play)
    path = _path(answer)
    sees = f"GET {path} is answered {early.status}, {early.body.get('status')!r}, right after the job was accepted"
    wrong = early.status != 200 or early.body.get("id") != answer.body["id"] or early.body.get("status") in ENDS
    expect("not_found", int(wrong), at_most=0, code="no-status", sees=sees, about=("POST", f"GET {path}"))
    sees = f"nobody knows that job, and it is answered {unknown.status}"
    expect("made_up", int(unknown.status != 404), at_most=0, code="no-status", sees=sees, about=unknown.path)
    minutes = (end.asked - answer.asked) / 60
    sees = f"each call takes {each:.0f} s, and after {minutes:.0f} minutes the job is {end.body.get('status')!r}"
    sees += f", {end.body.get('reason')!r}" if end.body.get("reason") else ""
    lost = int(end.body.get("status") != "done")
    expect("not_done", lost, at_most=0, unit="jobs", code="job-lost", sees=sees, about="POST")
    result = _result(end)
    sees = "the job is done, and has no result"
    expect("no_result", int(not result), at_most=0, code="job-lost", sees=sees, about="POST")
    lacking = sorted({"id", "title", "sections", "summary", "status", "missing"} - result.keys())
    sees = f"the job is done, and its result lacks {', '.join(lacking)}"
    expect("fields_lost", len(lacking), at_most=0, unit="fields", code="job-lost", sees=sees, about="POST")
    places = [str(result.get("summary")).find(page.rstrip(".")) for page in pages]
    told = f"status {result.get('status')!r} and missing {result.get('missing')}"
    sees = f"the job is done, {places.count(-1)} sections are not in its summary, and it says {told}"
    wrong = -1 in places or result.get("status") != "complete" or result.get("missing") != []
    expect("gaps", int(wrong), at_most=0, code="silent-gap", sees=sees, about="POST")
    merged = [entry.answer for entry in house.provider.log if entry.prompt.startswith("Merge")]
    sees = "the job is done, and its summary is not what the model merged of the sections"
    expect("strung_together", int(result.get("summary") not in merged), at_most=0, code="no-work", sees=sees, about="POST")
    most = house.provider.high_water
    sees = f"one job has {most} calls open at once, where {incident.FAN_OUT} are agreed"
    over = max(0, most - incident.FAN_OUT)
    expect("open_calls", over, at_most=0, unit="calls", code="too-many-jobs", sees=sees, about="POST")
    calls, keys = len(pages) + 1, len({e.idempotency_key for e in house.provider.log} - {None, ""})
    sees = f"the {calls} calls of a job have {keys} keys: a reply that is lost is billed twice"
    expect("keys", keys, at_least=calls, unit="keys", code="billed-twice", sees=sees, about="POST")
    sees = "the sections are out of order"
    expect("disorder", int(places != sorted(places)), at_most=0, code="disorder", sees=sees, about="POST")


@pytest.mark.pattern("long-running-task")
def test_two_jobs_at_a_time(scene, incident):
    """Of many jobs, two run at a time."""
    rng = scene.rng("jobs")
    passing = faults.failing(0.0, 1000.0, 503, when=lambda call: moment(call))
    house = incident.House(scene, median=rng.uniform(2.0, 4.0), fails=[passing], horizon=600.0)
    names = [f"tariff-{number}" for number in range(rng.randrange(14, 17))]
    for name in names:
        house.document(name, sections=rng.randrange(9, 12), scanned=name == names[0])
    moment = incident.first_tries(1, rng.choice(house.documents[names[1]].pages).rstrip("."))

    async def play():
        accepted = [await _submit(house, name) for name in names]
        slowest = max(answer.ended - answer.asked for answer in accepted)
        sees = f"a job is accepted, and its client waits for {slowest:.1f} s"
        expect("accepted_after", slowest, at_most=AT_ONCE, unit="s", code="waits-for-the-work", sees=sees, about="POST")
        paths, looks = [_path(answer) for answer in accepted], []
        for _ in range(100):
            looks.append([(await house.send("GET", path)).body.get("status") for path in paths])
            if all(status in ENDS for status in looks[-1]):
                break
            await asyncio.sleep(LOOK)
        return looks

    looks = house.run(play)
    counts = [Counter(map(str, look)) for look in looks]
    story = [(LOOK * at, ", ".join(f"{n} {status}" for status, n in sorted(c.items()))) for at, c in enumerate(counts)]
    most = max(look.count("running") for look in looks)
    sees = f"{len(names)} jobs are accepted, and {most} run at once"
    expect("running", most, at_most=WORKERS, unit="jobs", code="too-many-jobs", sees=sees, story=story)
    calls = house.provider.high_water
    sees = f"{len(names)} jobs have {calls} calls open at once, where {WORKERS} times {incident.FAN_OUT} are agreed"
    over = max(0, calls - WORKERS * incident.FAN_OUT)
    expect("open_calls", over, at_most=0, unit="calls", code="too-many-jobs", sees=sees, about="POST")
    queued, due = looks[0].count("queued"), len(names) - WORKERS
    sees = f"{len(names)} jobs are accepted, two may run, and {queued} say that they are queued"
    expect("queued", queued, at_least=due, unit="jobs", code="no-status", sees=sees, story=story)
    past = sum(
        look[at] == "queued" and any(status != "queued" for status in look[at + 1 :])
        for look in looks
        for at in range(len(names))
    )
    sees = "a job begins while one that came before it is still queued"
    expect("overtaken", past, at_most=0, unit="times", code="no-queue", sees=sees, story=story)
    sees = f"a job reads a scan, and nobody is served for {house.blocked:.1f} s: the event loop stands still"
    expect("blocked", house.blocked, at_most=0.0, unit="s", code="loop-blocked", sees=sees, about="POST")
    done = looks[-1].count("done")
    others = sorted(set(map(str, looks[-1])) - {"done"})
    sees = f"minutes later, {done} of {len(names)} jobs are done, the others {others}"
    expect("done", done, at_least=len(names), unit="jobs", code="job-lost", sees=sees, story=story)


@pytest.mark.pattern("long-running-task")
def test_jobs_leave_who_is_down_in_peace(scene, incident):
    """While the provider is down, jobs hardly call it."""
    rng = scene.rng("jobs")
    house = incident.House(scene, fails=[faults.failing(0.0, 1000.0, 503)])
    names = [f"tariff-{number}" for number in range(rng.randrange(16, 24))]
    for name in names:
        house.document(name, sections=20)

    async def play():
        for name in names:
            await _submit(house, name)
            await asyncio.sleep(1.0)
        await asyncio.sleep(60.0)

    house.run(play)
    calls, most = len(house.provider.log), 3 * len(names)
    sees = f"the provider is down, and is called {calls} times for {len(names)} jobs"
    expect("calls_while_down", calls, at_most=most, unit="calls", code="no-breaker", sees=sees, about="POST")


@pytest.mark.pattern("long-running-task")
def test_a_job_that_fails_says_so(scene, incident):
    """A job that raises ends as failed, with a reason."""
    rng = scene.rng("jobs")
    refused = faults.failing(0.0, 1000.0, 400, when=lambda call: lame in call.body.decode())
    unmerged = faults.failing(0.0, 1000.0, 400, when=lambda call: b"Merge" in call.body and split in call.body.decode())
    house = incident.House(scene, fails=[refused, unmerged])
    lame = rng.choice(house.document("refused", sections=4).pages)
    split = house.document("unmerged", sections=4).pages[0].rstrip(".")
    for name in ("damaged", "damaged-too", "well"):
        house.document(name, sections=4)
    house.damaged.update(("damaged", "damaged-too"))
    names = rng.sample(("refused", "unmerged", "damaged", "damaged-too"), 4)

    async def play():
        paths = {name: _path(await _submit(house, name)) for name in (*names, "well")}
        unknown = await house.send("POST", "/jobs", json={"document": "nothing"})  # known now, or found out later
        if unknown.status != 404:
            _is_accepted(unknown)
            paths["unknown"] = _path(unknown)
        return {name: await _end_of(house, path, patience=60.0) for name, path in paths.items()}

    ends = house.run(play)
    well = ends.pop("well")
    for name, end in ends.items():
        what = {
            "refused": "the provider refuses a section", "unmerged": "the provider refuses the merge",
            "unknown": "there is no such document",
        }  # fmt: skip
        what = what.get(name, "the library sends half a document")
        sees = f"{what}, and after a minute the job is {end.body.get('status')!r}"
        about = ('"nothing"' if name == "unknown" else f'"{name}"', f"GET {end.path}")
        wrong = int(end.body.get("status") != "failed")
        expect("not_failed", wrong, at_most=0, unit="jobs", code="running-for-ever", sees=sees, about=about)
        sees = "the job has failed, and does not say why"
        wrong = int(not end.body.get("reason"))
        expect("no_reason", wrong, at_most=0, unit="jobs", code="no-reason", sees=sees, about=about)
    said = repr(well.body.get("status"))
    sees = f"four jobs have failed, and the next one is {said} for ever: a place was not given back"
    wrong, about = int(well.body.get("status") != "done"), ('"well"', f"GET {well.path}")
    expect("place_kept", wrong, at_most=0, unit="jobs", code="running-for-ever", sees=sees, about=about)


@pytest.mark.pattern("long-running-task")
def test_a_job_ends_some_time(scene, incident):
    """A job whose provider hangs for ever fails in the end."""
    house = incident.House(scene, fails=[faults.hanging(0.0, 5000.0)], horizon=2500.0)
    house.document("tariff", sections=scene.rng("jobs").randrange(3, 9))

    async def play():
        return await _end_of(house, _path(await _submit(house, "tariff")), every=60.0, patience=incident.JOB_BUDGET + 120.0)

    end = house.run(play)
    minutes, status = incident.JOB_BUDGET / 60, end.body.get("status")
    sees = f"the provider hangs for ever, a job may take {minutes:.0f} minutes, and after {minutes + 2:.0f} it is {status!r}"
    wrong, about = int(status != "failed" or not end.body.get("reason")), ("POST", f"GET {end.path}")
    expect("not_failed", wrong, at_most=0, unit="jobs", code="running-for-ever", sees=sees, about=about)


@pytest.mark.pattern("long-running-task")
def test_a_cancelled_job_stays_cancelled(scene, incident):
    """A cancelled job makes no more calls, and stays so."""
    rng = scene.rng("jobs")
    house = incident.House(scene, median=rng.uniform(2.0, 4.0))
    house.document("short", sections=3)
    pages = {name: house.document(name, sections=20).pages for name in ("one", "two", "three", "four")}

    async def play():
        short = _path(await _submit(house, "short"))
        await _end_of(house, short)
        for _ in range(WORKERS):  # cancelled before they have begun
            await house.send("DELETE", _path(await _submit(house, "short")))
        paths = {name: _path(await _submit(house, name)) for name in pages}
        await asyncio.sleep(rng.uniform(2.5, 4.5))
        gone = {name: await house.send("DELETE", paths[name]) for name in ("one", "four")}
        asked = {name: (await house.send("GET", paths[name])).body.get("status") for name in gone}
        ends = {name: (await _end_of(house, path, patience=60.0)).body.get("status") for name, path in paths.items()}
        nobody = f"/jobs/{rng.getrandbits(64)}"
        refused = {
            "DELETE of a job that is done": (409, await house.send("DELETE", short)),
            "retry of a job that is done": (409, await house.send("POST", f"{short}/retry")),
            "retry of a job that is cancelled": (409, await house.send("POST", f"{paths['one']}/retry")),
            "DELETE of a job that nobody knows": (404, await house.send("DELETE", nobody)),
            "retry of a job that nobody knows": (404, await house.send("POST", f"{nobody}/retry")),
        }
        await asyncio.sleep(30.0)
        late = {name: (await house.send("GET", paths[name])).body.get("status") for name in gone}
        return gone, asked, ends, late, refused

    gone, asked, ends, late, refused = house.run(play)
    for name, answer in gone.items():
        what, about = {"one": "running", "four": "queued"}[name], (f'"{name}"', f"DELETE {answer.path}")
        sees = f"a job that is {what} is cancelled, and that is answered {answer.told}"
        wrong = int(not 200 <= answer.status < 300)
        expect("not_cancelled", wrong, at_most=0, code="not-cancelled", sees=sees, about=about)
        calls = [e for e in house.provider.log if any(page in e.prompt for page in pages[name])]
        after = sum(e.arrived > answer.ended + 0.2 for e in calls)
        sees = f"a job that was {what} is cancelled, and {after} more calls are made for it, and billed"
        expect("calls_after", after, at_most=0, unit="calls", code="works-on", sees=sees, about=about)
        for status in (asked[name], ends[name], late[name]):
            sees = f"a job that was {what} is cancelled, and later it is {status!r}"
            wrong, about = int(status != "cancelled"), (f'"{name}"', f"DELETE {answer.path}", f"GET {answer.path}")
            expect("resurrected", wrong, at_most=0, unit="jobs", code="resurrected", sees=sees, about=about)
    calls = sum(any(page in e.prompt for page in pages["four"]) for e in house.provider.log)
    sees = f"a queued job is cancelled, and {calls} calls are made for it"
    expect("calls_for_nothing", calls, at_most=0, unit="calls", code="works-on", sees=sees, about='"four"')
    others = [ends["two"], ends["three"]]
    lost = sum(status != "done" for status in others)
    sees = f"two jobs are cancelled, and the two others are {others}"
    expect("others_lost", lost, at_most=0, unit="jobs", code="job-lost", sees=sees, about=('"two"', '"three"'))
    for what, (due, answer) in refused.items():
        sees = f"{what} is answered {answer.told} instead of {due}"
        about = f"{answer.method} {answer.path}"
        expect("wrong_status", int(answer.status != due), at_most=0, code="wrong-status", sees=sees, about=about)


@pytest.mark.pattern("job-workflow")
@pytest.mark.parametrize("which", ["section", "merge"])
def test_a_failed_job_is_taken_up_again(scene, incident, which):
    """A retried job makes only the calls that are missing."""
    rng = scene.rng("jobs")
    count = rng.randrange(12, 18)
    heals = 60.0

    def when(call):
        merges = b"Merge" in call.body
        return merges if which == "merge" else pages[-1] in call.body.decode() and not merges

    house = incident.House(scene, fails=[faults.failing(0.0, heals, rng.choice((400, 503)), when=when)])
    pages = house.document("tariff", sections=count).pages

    async def play():
        path = _path(await _submit(house, "tariff"))
        failed = await _end_of(house, path, patience=50.0)
        sees = f"a {which} cannot be had, and after 50 s the job is {failed.body.get('status')!r}"
        wrong, about = int(failed.body.get("status") != "failed"), ("POST", f"GET {path}")
        expect("not_failed", wrong, at_most=0, unit="jobs", code="running-for-ever", sees=sees, about=about)
        refused = await house.send("DELETE", path)
        sees, wrong = f"DELETE of a job that has failed is answered {refused.told} instead of 409", refused.status != 409
        expect("wrong_status", int(wrong), at_most=0, code="wrong-status", sees=sees, about=f"DELETE {path}")
        await house.sim.until(heals + 1.0)
        again = await house.send("POST", f"{path}/retry")
        sees = f"a failed job is to be taken up again, and that is answered {again.told}"
        wrong = int(again.status != 202)
        expect("not_retried", wrong, at_most=0, unit="jobs", code="no-second-try", sees=sees, about=again.path)
        return again, await _end_of(house, path, patience=300.0)

    again, end = house.run(play)
    about = ("POST /jobs {", again.path)
    sees = f"a failed job was taken up again, and is {end.body.get('status')!r}, {end.body.get('reason')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("not_done", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    got = {e.prompt for e in house.provider.log if e.arrived < heals and e.status == 200 and not e.client_gone}
    twice = sum(e.arrived >= heals and e.prompt in got for e in house.provider.log)
    sees = f"{len(got)} of {count} sections were there and billed, and {twice} of them are made and billed again"
    expect("made_again", twice, at_most=0, unit="calls", code="made-again", sees=sees, about=about)
    twice = sum(at >= heals for at, _ in house.library_calls)
    sees = "the document was there, and the library is asked for it once more"
    expect("loaded_again", twice, at_most=0, unit="calls", code="made-again", sees=sees, about=about)
    places = [str(_result(end).get("summary")).find(page.rstrip(".")) for page in pages]
    wrong = int(-1 in places or places != sorted(places))
    sees = f"the job was taken up again, and its summary lacks {places.count(-1)} sections, or has them out of order"
    expect("gaps", wrong, at_most=0, code="silent-gap", sees=sees, about=about)


@pytest.mark.pattern("long-running-task")
def test_a_deploy_loses_no_job(scene, incident):
    """What was accepted survives an orderly restart."""
    rng = scene.rng("jobs")
    house = incident.House(scene, median=rng.uniform(12.0, 16.0), horizon=1200.0)
    house.document("short", sections=2)
    house.document("stopped", sections=2)
    names = [f"tariff-{number}" for number in range(rng.randrange(4, 6))]
    for name in names:
        house.document(name, sections=rng.randrange(9, 13))

    async def play():
        short = _path(await _submit(house, "short"))
        await _end_of(house, short)
        stopped = _path(await _submit(house, "stopped"))
        await asyncio.sleep(1.0)
        await house.send("DELETE", stopped)
        for name in names:
            await _submit(house, name)
        await asyncio.sleep(rng.uniform(1.0, 8.0))
        deployed = house.sim.now
        await house.replica.stop()
        await house.replica.start()
        await asyncio.sleep(300.0)
        return deployed

    deployed = house.run(play)
    old = [house.documents[name].pages[0].rstrip(".") for name in ("short", "stopped")]
    again = sum(e.arrived > deployed and any(page in e.prompt for page in old) for e in house.provider.log)
    sees = f"a job was done, another was cancelled, and calls are made for them after a deploy: {again}"
    about = ('"short"', '"stopped"')
    expect("made_again", again, at_most=0, unit="calls", code="made-again", sees=sees, about=about)
    lost = sorted(set(names) - set(house.summaries_made()))
    sees = f"{len(names)} jobs were accepted, a new version was deployed, and {len(lost)} of them are never finished"
    about = [f'"{name}"' for name in lost[:1]]
    expect("lost_jobs", len(lost), at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)


async def _submit(house, document):
    answer = await house.send("POST", "/jobs", json={"document": document})
    _is_accepted(answer)
    return answer


def _is_accepted(answer):
    said = answer.body
    sees = f"a document is to be summarised as a job, and POST /jobs is answered {answer.told}"
    wrong = int(answer.status != 202)
    expect("not_accepted", wrong, at_most=0, unit="jobs", code="not-accepted", sees=sees, about="POST")
    receipt = f"Location {answer.headers.get('location')!r}, id {said.get('id')!r}, status {said.get('status')!r}"
    sees = f"a job is accepted, with {receipt}"
    wrong = not answer.headers.get("location") or not said.get("id") or said.get("status") not in ("queued", "running")
    expect("no_receipt", int(wrong), at_most=0, unit="jobs", code="no-status", sees=sees, about="POST")


def _path(answer):
    """Where a job can be asked after: its Location, without a host."""
    return urlsplit(answer.headers["location"]).path


async def _end_of(house, path, *, every=1.0, patience=1900.0):
    """Ask after a job until it has ended, or patience has."""
    until = house.sim.now + patience
    while True:
        answer = await house.send("GET", path)
        if answer.body.get("status") in ENDS or house.sim.now > until:
            return answer
        await asyncio.sleep(every)


def _result(answer):
    result = answer.body.get("result")
    return result if isinstance(result, dict) else {}


def _told_by(run):
    """The story of a workflow, by its steps."""
    moments = [(began, f"{name} begins") for name, began, *_ in run["log"]]
    moments += [(ended, f"{name} {'is done' if done else 'is not done'}") for name, _, ended, done, _ in run["log"]]
    end = f"run raises {run['raised']}" if run["raised"] else "run returns"
    return [*sorted(moments), (max(moments, default=(0.0, ""))[0], end)]


def _under_way(entries, moment):
    """Steps under way at a moment."""
    return sum(began <= moment < ended for _, began, ended, *_ in entries)
