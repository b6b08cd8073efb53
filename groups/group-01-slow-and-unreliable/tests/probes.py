"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import time


def deadline(ports, seconds, pauses):
    """What remains at first and after each pause, and whether check() raises then."""
    made = ports.deadline(seconds)
    seen = [(made.remaining(), _raises(made, ports))]
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
    """Gather calls of these durations; the results, how many ran at once at most, and how long it took."""
    now, most = 0, 0

    def call(number, seconds):
        async def run():
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(seconds)
            now -= 1
            return number

        return run

    began = time.monotonic()
    results = await ports.gather_bounded([call(n, d) for n, d in enumerate(durations)], limit)
    return {"results": list(results), "most": most, "seconds": time.monotonic() - began}


async def bounded_with_a_failure(ports, count, limit, failing):
    """One of `count` calls fails after 0.1 s, the others take 1 s: what was raised, and how many still finished later."""
    finished = 0

    def call(number):
        async def run():
            nonlocal finished
            if number == failing:
                await asyncio.sleep(0.1)
                raise LookupError(f"call {number}")
            await asyncio.sleep(1)
            finished += 1

        return run

    raised = ""
    try:
        await ports.gather_bounded([call(n) for n in range(count)], limit)
    except Exception as error:
        raised = type(error).__name__
    before = finished
    await asyncio.sleep(5)
    return {"raised": raised, "finished_later": finished - before}
