"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import gc
import json
import threading
import time
import weakref
from dataclasses import dataclass
from typing import ClassVar

# ------------------------------------------------------------------------------------------------ stage 1


def fingerprints(ports, texts):
    """The fingerprint of each of these JSON texts; and those of the tuples in place of the lists."""
    payloads = [json.loads(text) for text in texts]
    plain = [ports.fingerprint(payload) for payload in payloads]
    return {"plain": plain, "tuples": [ports.fingerprint(_as_tuples(payload)) for payload in payloads]}


def _as_tuples(value):
    if isinstance(value, list):
        return tuple(map(_as_tuples, value))
    return {key: _as_tuples(each) for key, each in value.items()} if isinstance(value, dict) else value


async def coalesced(ports, callers, names, seconds, how, cancelled, again):
    """`callers` ask at once, each for one of `names` in turn, for work that takes `seconds` and ends as `how` says; after
    half of that the first `cancelled` of them are cancelled. `again` seconds after the end, one more asks for each name. How
    often each was made, how many ran at once, what each caller got, and what happened."""
    began, story = time.monotonic(), []
    made, now, most = dict.fromkeys(names, 0), 0, 0

    def work(name):
        async def run():
            nonlocal now, most
            made[name] += 1
            now += 1
            most = max(most, now)
            story.append([time.monotonic() - began, f"{name} is being made, {made[name]} times so far"])
            number = made[name]
            try:
                await asyncio.sleep(seconds)
            finally:
                now -= 1
            if how == "fails":
                raise LookupError(f"{name} {number}")
            return f"{name} {number}"

        return run

    async def ask(name):
        try:
            return await ports.coalesce(name, work(name))
        except asyncio.CancelledError:
            return "cancelled"
        except LookupError as error:
            return f"LookupError {error}"

    tasks = [asyncio.create_task(ask(names[at % len(names)])) for at in range(callers)]
    await asyncio.sleep(seconds / 2)
    for task in tasks[:cancelled]:
        task.cancel()
    if cancelled:
        story.append([time.monotonic() - began, f"{cancelled} of {callers} callers are cancelled"])
    got = await asyncio.gather(*tasks)
    counts = {each: got.count(each) for each in got}
    story.append([time.monotonic() - began, "they got " + ", ".join(f"{each} (×{n})" for each, n in counts.items())])
    first = dict(made)
    await asyncio.sleep(again)
    later = [await ask(name) for name in names]
    story.append([time.monotonic() - began, f"asked once more, and got {', '.join(later)}"])
    return {"made": first, "most": most, "got": list(map(str, got)), "later": list(map(str, later)), "story": story}


def once(ports, threads, seconds, failing):
    """`threads` ask at once for a thing whose making takes `seconds`; the first `failing` makings raise. Then one asks after
    the other, twice as often as makings fail. How often it was made when, and what they got."""
    made, under_way, most, story, began = 0, 0, 0, [], time.monotonic()

    def make():
        nonlocal made, under_way, most
        made += 1
        number = made
        under_way += 1
        most = max(most, under_way)
        story.append([time.monotonic() - began, f"making number {number} begins"])
        time.sleep(seconds)
        under_way -= 1
        if number <= failing:
            raise LookupError(f"making {number}")
        return [number]

    def ask():
        try:
            return thing.get()
        except LookupError as error:
            return str(error)

    def asks(at):
        got[at] = ask()

    thing = ports.once(make)
    early = made
    got = [None] * threads
    running = [threading.Thread(target=asks, args=(at,)) for at in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    later = [ask() for _ in range(2 * failing + 2)]
    good = [each for each in (*got, *later) if isinstance(each, list)]
    story.append([time.monotonic() - began, f"{threads} threads and {len(later)} who came later got {len(set(map(id, good)))} things"])
    return {
        "early": early, "made": made, "most": most, "things": len(set(map(id, good))), "failed": len(got) + len(later) - len(good),
        "last": isinstance(later[-1], list), "story": story,
    }  # fmt: skip


def overridden(ports, value, raising):
    """get() before, inside and after an override, inside another thread too; and how often the thing was made by then."""
    made = 0

    def make():
        nonlocal made
        made += 1
        return f"made {made}"

    seen = {}

    def other():
        seen["thread"] = thing.get()

    thing = ports.once(make)
    try:
        with thing.override(value):
            seen["inside"] = thing.get()
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            with thing.override(None):
                seen["nested"] = thing.get()
            seen["again"] = thing.get()
            seen["made_inside"] = made
            if raising:
                raise LookupError
    except LookupError:
        pass
    seen["after"] = thing.get()
    seen["made"] = made
    return seen


class _Name(str):
    """Text that can be watched for as long as somebody keeps it."""


async def locks(ports, callers, names, seconds, count):
    """`callers` work for `seconds` each, in the lock of one of `names` in turn; the third of them raises, and the fourth is
    cancelled while it waits. How many worked at once for one name, and in all, how long it took, how many were done; and of
    `count` names and locks used afterwards, how many are still there."""
    now, most, done, story, began = dict.fromkeys(names, 0), dict.fromkeys(names, 0), 0, [], time.monotonic()
    together = 0

    async def work(number):
        nonlocal done, together
        name = names[number % len(names)]
        async with ports.lock_for(name):
            now[name] += 1
            most[name] = max(most[name], now[name])
            together = max(together, sum(now.values()))
            story.append([time.monotonic() - began, f"caller {number} is in {name}: {now[name]} at once"])
            try:
                await asyncio.sleep(seconds)
            finally:
                now[name] -= 1
            if number == 2:
                raise LookupError
        done += 1

    tasks = [asyncio.create_task(work(number)) for number in range(callers)]
    await asyncio.sleep(seconds / 2)
    tasks[-1].cancel()
    ended = await asyncio.wait(tasks, timeout=seconds * callers * 2)
    spent = time.monotonic() - began

    def alive():
        gc.collect()
        return sum(isinstance(each, (asyncio.Lock, type(threading.Lock()))) for each in gc.get_objects())

    before, watched = alive(), []
    for number in range(count):
        name = _Name(f"document {number}")
        watched.append(weakref.ref(name))
        async with ports.lock_for(name):
            pass
        del name
    left = alive() - before
    return {
        "most": max(most.values()), "together": together, "seconds": spent, "done": done, "waiting": len(ended[1]),
        "locks": left, "names": sum(each() is not None for each in watched), "story": story,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ stage 3


@dataclass(frozen=True)
class Shift:
    """A kind of edit that the service has never heard of: it puts marks around a word, `times` times."""

    kind: ClassVar[str] = "test"
    word: str
    marks: list
    times: int = 1

    def do(self, text):
        return text.replace(self.word, self.marks[0] * self.times + self.word + self.marks[1] * self.times)

    def undo(self, text):
        return text.replace(self.marks[0] * self.times + self.word + self.marks[1] * self.times, self.word)


def _named(kind):
    return type(f"Shift{kind.title()}", (Shift,), {"kind": kind})


def register(ports, kind):
    """Let the service know this kind of edit."""
    known = ports.register(_named(kind))
    return known is not None and known.kind == kind


def encoded(ports, kind, fields, texts):
    """For each of these fields, the command as text; and for each text, what it does and undoes, done twice."""
    known = ports.register(_named(kind))
    commands = [known(*each) for each in fields]
    told = [ports.to_json(command) for command in commands]
    return {"told": told, "done": [[c.do(t), c.undo(c.do(t)), c.do(t)] for c, t in zip(commands, texts, strict=True)]}


def decoded(ports, kind, told, texts, strange):
    """In another process: what the commands do that were told as text, before and after their kind is known. Also a text
    of a kind that nobody knows."""
    seen = {"early": _is_unknown(ports, told[0])}
    ports.register(_named(kind))
    seen["late"] = _is_unknown(ports, told[0])
    commands = [] if seen["late"] else [ports.from_json(each) for each in told]
    texts, told = texts[: len(commands)], told[: len(commands)] or told[:1]
    seen["done"] = [[c.do(t), c.undo(c.do(t)), c.do(t)] for c, t in zip(commands, texts, strict=True)]
    seen["again"] = [ports.to_json(command) == each for command, each in zip(commands, told, strict=False)]
    seen["equal"] = [ports.from_json(each) == command for command, each in zip(commands, told, strict=False)]
    seen["strange"] = _is_unknown(ports, told[0].replace(kind, strange))
    return seen


def _is_unknown(ports, told):
    try:
        ports.from_json(told)
    except ports.unknown_kind:
        return True
    return False
