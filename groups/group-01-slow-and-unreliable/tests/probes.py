"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import itertools
import os
import random
import time


def deadline(ports, seconds, pauses):
    """What remains after each pause, and whether check() raises then."""
    made, seen = ports.deadline(seconds), []
    for pause in pauses:
        time.sleep(pause)
        seen.append((made.remaining(), _raises(made, ports)))
    return seen


def _raises(made, ports):
    try:
        made.check()
    except ports.deadline_exceeded:
        return True
    return False


async def blocking_beside_a_ticker(ports, seconds, value):
    """Run a blocking function of `seconds`; how often a 50 ms ticker got its turn meanwhile, and what came back."""
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.05)
            ticks += 1

    def block(given):
        time.sleep(seconds)
        return given

    def fail():
        raise LookupError("as planned")

    ticker = asyncio.create_task(tick())
    result = await ports.run_blocking(block, value)
    counted = ticks
    ticker.cancel()
    try:
        await ports.run_blocking(fail)
        error = ""
    except LookupError as raised:
        error = str(raised)
    return {"ticks": counted, "result": result, "error": error}


async def bounded(ports, durations, limit):
    """Gather calls of these durations; the results, how many ran at once at most, how long it took, and what happened."""
    now, most, story, began = 0, 0, [], time.monotonic()

    def call(number, seconds):
        async def run():
            nonlocal now, most
            now += 1
            most = max(most, now)
            story.append([time.monotonic() - began, f"call {number} begins: {now} at once"])
            await asyncio.sleep(seconds)
            now -= 1
            return number

        return run

    results = await ports.gather_bounded([call(n, d) for n, d in enumerate(durations)], limit)
    return {"results": list(results), "most": most, "seconds": time.monotonic() - began, "story": story}


async def bounded_with_a_failure(ports, count, limit, failing):
    """One of `count` calls fails after 0.1 s, the others take 1 s: what was raised, and how much later the caller was told; how
    many still finished then; and what happened."""
    finished, story, began, failed = 0, [], time.monotonic(), 0.0

    def call(number):
        async def run():
            nonlocal finished, failed
            if number == failing:
                await asyncio.sleep(0.1)
                failed = time.monotonic()
                story.append([time.monotonic() - began, f"call {number} raises LookupError"])
                raise LookupError(f"call {number}")
            await asyncio.sleep(1)
            story.append([time.monotonic() - began, f"call {number} comes to its end"])
            finished += 1

        return run

    raised = ""
    try:
        await ports.gather_bounded([call(n) for n in range(count)], limit)
    except Exception as error:
        raised = type(error).__name__
    before, late = finished, time.monotonic() - failed
    story.append([time.monotonic() - began, f"gather_bounded raises {raised or 'nothing'}"])
    await asyncio.sleep(5)
    return {"raised": raised, "late": late, "finished_later": finished - before, "story": story}


async def cancelled(ports, gather, count, *args):
    """Somebody awaits `count` calls of 1 s each, and is cancelled after half a second: how many still finish later, and what
    happened."""
    finished, story, began = 0, [], time.monotonic()

    async def call():
        nonlocal finished
        await asyncio.sleep(1)
        finished += 1
        story.append([time.monotonic() - began, "a call comes to its end"])

    caller = asyncio.create_task(getattr(ports, gather)([call] * count, *args))
    await asyncio.sleep(0.5)
    story.append([time.monotonic() - began, f"who awaits {gather} is cancelled"])
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await asyncio.sleep(5)
    return {"finished_later": finished, "story": story}


# ------------------------------------------------------------------------------------------------ stage 2


async def retried(ports, failures, kind, retry_after, seconds, tries, each):
    """retry() a call that takes `each` seconds and fails `failures` times: when each try began, and how it all ended."""
    began, at = time.monotonic(), []

    async def call():
        at.append(time.monotonic() - began)
        await asyncio.sleep(each)
        if len(at) <= failures:
            raise ports.unavailable("as planned", retry_after) if kind == "unavailable" else LookupError("as planned")
        return len(at)

    try:
        end = await ports.retry(call, ports.deadline(seconds), tries)
    except NotImplementedError:
        raise
    except Exception as error:
        end = type(error).__name__
    return {"at": at, "end": end, "seconds": time.monotonic() - began}


async def waits(ports, calls, tries):
    """retry() as many calls, which always fail at once: for each, the waits between its tries."""
    seen = []
    for _ in range(calls):
        at = []

        async def call(at=at):
            at.append(time.monotonic())
            raise ports.unavailable("as planned")

        try:
            await ports.retry(call, ports.deadline(1000.0), tries)
        except ports.unavailable:
            pass
        seen.append([after - before for before, after in itertools.pairwise(at)])
    return seen


def retry_after(ports, headers, now, zone):
    """What each header is read as, on a machine in this time zone."""
    home = os.environ.get("TZ", "UTC")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        return [float(ports.retry_after_seconds(header, now)) for header in headers]
    finally:
        os.environ["TZ"] = home
        time.tzset()


def delays(ports, attempts, draws, base, cap, seed):
    """For each attempt, `draws` waits; and the first of them once more, from a generator with the same seed."""
    rng = random.Random(seed)
    seen = [[float(ports.delay(attempt, rng, base, cap)) for _ in range(draws)] for attempt in attempts]
    return {"seen": seen, "again": float(ports.delay(attempts[0], random.Random(seed), base, cap))}


async def breaker(ports, settings, steps):
    """Play `steps` on one breaker. ["sleep", s] lets time pass. ["call", n, how, s] lets n callers at it at once, whose
    functions take s seconds and then end as `how` says; for each: when it was, and what was made, refused, failed and
    answered."""
    made, began = ports.circuit_breaker(**settings), time.monotonic()
    seen, under_way = [], []
    for step, *rest in steps:
        if step == "sleep":
            await asyncio.sleep(rest[0])
            continue
        count, how, seconds = rest
        tally = {"at": time.monotonic() - began, "made": 0, "refused": 0, "failed": 0, "answered": 0}
        callers = [asyncio.create_task(_caller(ports, made, tally, how, seconds)) for _ in range(count)]
        if step == "begin":  # and go on while they are under way
            under_way += callers
            await asyncio.sleep(0)
        elif how == "cancel":
            await asyncio.sleep(seconds / 2)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        else:
            await asyncio.gather(*callers)
        seen.append(tally)
    await asyncio.gather(*under_way)
    return seen


async def _caller(ports, breaker, tally, how, seconds):
    async def function():
        tally["made"] += 1
        await asyncio.sleep(seconds)
        if how == "unavailable":
            raise ports.unavailable("as planned")
        if how == "refused":
            raise LookupError("as planned")

    try:
        await breaker.call(function)
        tally["answered"] += 1
    except ports.breaker_open:
        tally["refused"] += 1
    except (ports.unavailable, LookupError):
        tally["failed"] += 1


# ------------------------------------------------------------------------------------------------ stage 3


async def partial(ports, plans, limit, seconds):
    """gather_partial of calls that take so long and then end as told: what came, what is missing, how many ran at once,
    how long it took, what was raised, and how much later than that it was told; how many still ended later, and what
    happened."""
    now, most, ended, story, began, failed = 0, 0, 0, [], time.monotonic(), 0.0

    def call(number, lasts, how):
        async def run():
            nonlocal now, most, ended, failed
            now += 1
            most = max(most, now)
            try:
                await asyncio.sleep(lasts)
                ended += 1
                story.append([time.monotonic() - began, f"call {number} ends ({how})"])
            finally:
                now -= 1
            if how == "other":
                failed = time.monotonic()
                raise LookupError("as planned")
            if how != "ok":
                raise getattr(ports, how)
            return f"result {number}"

        return run

    raised, results, missing = "", {}, []
    try:
        found = await ports.gather_partial([call(n, *plan) for n, plan in enumerate(plans)], limit, seconds)
        results, missing = found.results, found.missing
    except NotImplementedError:
        raise
    except Exception as error:
        raised = type(error).__name__
    spent, late, before = time.monotonic() - began, time.monotonic() - failed, ended
    told = f"raises {raised}" if raised else f"returns, and names {list(missing)} as missing"
    story.append([spent, f"gather_partial {told}"])
    await asyncio.sleep(100)
    return {
        "results": [[number, result] for number, result in results.items()], "missing": list(missing), "most": most,
        "seconds": spent, "raised": raised, "late": late, "ended_later": ended - before, "story": story,
    }  # fmt: skip


def fallback(ports, rules, size, questions, asked, pause):
    """Remember an answer to each of the questions; after a pause, how many are still known, and what is said to `asked`.
    Then the last one is answered anew; after another pause, what is said to it, and the age of what is said to the same
    words in another order."""
    made = ports.fallback(rules, size)
    for number, question in enumerate(questions):
        made.remember(question, f"answer {number}")
    time.sleep(pause)
    known = [made.instead(question) for question in questions]
    said = [list(made.instead(question)) for question in asked]
    made.remember(questions[-1], "a newer answer")
    time.sleep(pause / 2)
    newer = list(made.instead(questions[-1]))
    backwards = made.instead(" ".join(reversed(questions[-1].split())))[1]
    return {
        "known": [age is not None for _, age in known], "last": list(known[-1]), "asked": said, "newer": newer,
        "backwards": backwards,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ stage 4


def histories(ports, sequences):
    """Apply each sequence of events to a new job. After each event: the status, the result, the reason, and whether the
    event was refused; and whether a job that was left behind has changed."""
    seen = []
    for number, events in enumerate(sequences):
        job = ports.job(f"job {number}", "tariff")
        steps, left_behind = [], []
        for at, event in enumerate(events):
            left_behind.append((job, job.status))
            fields = {"complete": {"result": {"at": at}}, "fail": {"reason": f"at {at}"}}.get(event, {})
            try:
                job = job.apply(event, **fields)
                refused = False
            except ports.illegal_transition:
                refused = True
            steps.append([job.status, job.result, job.reason, refused])
        seen.append({"steps": steps, "changed": sum(old.status != status for old, status in left_behind)})
    return seen


async def workflow(ports, stages, limit, failing, quiet, seconds):
    """Run stages of steps that take so long each; `failing` fails the first time. Then run it again with what is there.
    For both runs: when each step began and ended, whether it was done, and which results it was given; what came back or
    was raised; and how many steps were done only later."""
    began, log, failures = time.monotonic(), [], [failing]

    def step(name):
        async def run(results):
            number = len(log)
            log.append([name, time.monotonic() - began, 0.0, False, sorted(results)])
            try:
                await asyncio.sleep(seconds[name])
            finally:
                log[number][2] = time.monotonic() - began
            if name in failures:
                failures.remove(name)
                raise LookupError(name)
            log[number][3] = True
            return None if name == quiet else f"result of {name}"

        return run

    made = ports.workflow([{name: step(name) for name in stage} for stage in stages], limit)
    results, runs = {}, []
    for _ in range(2):
        before = len(log)
        try:
            end, raised = await made.run(results), ""
        except NotImplementedError:
            raise
        except Exception as error:
            end, raised = {}, type(error).__name__
        done = sum(entry[3] for entry in log)
        await asyncio.sleep(100)
        left = sum(entry[3] for entry in log) - done
        runs.append({"log": log[before:], "end": [[*pair] for pair in end.items()], "raised": raised, "left": left})
    return runs


async def runner(ports, workers, waiting):
    """A JobRunner, one scene after the other. What its work does depends on the document: most take 1 s."""
    now, most, order = 0, 0, []

    async def work(job, made):
        nonlocal now, most
        now += 1
        most = max(most, now)
        order.append(job.document)
        try:
            return await does(job.document, made)
        finally:
            now -= 1

    async def does(document, made):
        if document == "says nothing":
            raise RuntimeError
        if document == "fails at first":
            if "first step" not in made:
                made["first step"] = "done"
                raise LookupError("as planned")
            return {"made": sorted(made)}
        if document == "stops when told":
            await asyncio.sleep(1000)
        if document == "will not stop":
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await asyncio.sleep(0.5)  # it cleans up, and forgets to raise
            return {"late": True}
        await asyncio.sleep(1)
        return {"of": document}

    jobs = ports.job_runner(work, workers)

    def told(job):
        job = jobs.get(job.id)
        return [job.status, job.result, job.reason]

    def retry(job):
        try:
            jobs.retry(job.id)
        except ports.illegal_transition:
            return "refused"
        return "let pass"

    silent = jobs.submit("says nothing")
    await asyncio.sleep(1)
    seen = {"silent": told(silent)}

    failed, other = jobs.submit("fails at first"), jobs.submit("fails at first")
    await asyncio.sleep(1)
    seen["failed"], seen["other"] = told(failed), told(other)
    retry(failed)
    seen["twice"] = retry(failed)
    await asyncio.sleep(1)
    seen["again"], seen["begun"] = told(failed), order.count("fails at first")

    cancelled, behind = [], []
    for document in ("stops when told", "will not stop"):
        running = [jobs.submit(document) for _ in range(workers)]
        await asyncio.sleep(0.1)
        behind.append(jobs.submit("comes next"))  # and nobody submits anything when its turn has come
        await asyncio.sleep(1)
        for job in running:
            jobs.cancel(job.id)
        await asyncio.sleep(3)
        cancelled += running
    seen["behind"] = [told(job)[0] for job in behind]
    seen["cancelled"] = [[job.document, *told(job)] for job in cancelled]
    order.clear()
    most = 0
    names = [f"document {number}" for number in range(waiting)]
    queued = []
    for name in names:
        queued.append(jobs.submit(name))
        await asyncio.sleep(0.01)
    retry(other)
    drained = asyncio.create_task(jobs.drain())
    done, _ = await asyncio.wait({drained}, timeout=60)
    drained.cancel()
    seen.update(queued=[told(job)[0] for job in queued], retried=told(other), order=order, most=most, drained=bool(done))
    return seen
