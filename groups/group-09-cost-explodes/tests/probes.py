"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import gc
import threading
import time
import weakref

# ------------------------------------------------------------------------------------------------ stage 1


class _Thing:
    """Something big, with a name."""

    def __init__(self, name):
        self.name = name


def loaded(ports, names, sessions, seconds, failing):
    """`sessions` threads ask at once for each of `names`; loading one takes `seconds`, and the first loading of `failing`
    raises. Then all are asked for again. How often each was loaded, how many different things there are, how long it took."""
    began, story = time.monotonic(), []
    loads, guard = dict.fromkeys(names, 0), threading.Lock()

    def load(name):
        with guard:
            loads[name] += 1
            number = loads[name]
        story.append([time.monotonic() - began, f"{name} is loaded, {number} times so far"])
        time.sleep(seconds)
        if name == failing and number == 1:
            raise LookupError(name)
        return _Thing(name)

    shared = ports.flyweights(load, len(names))
    early = sum(loads.values())
    got, errors = {name: [] for name in names}, dict.fromkeys(names, 0)

    def ask(name):
        try:
            thing = shared.get(name)
            with guard:
                got[name].append(thing)
        except LookupError:
            with guard:
                errors[name] += 1

    threads = [threading.Thread(target=ask, args=(name,)) for _ in range(sessions) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - began
    first = dict(loads)
    for name in names:
        ask(name)
        ask(name)
    return {
        "early": early, "first": first, "loads": loads, "things": {name: len(set(map(id, got[name]))) for name in names},
        "wrong": sum(thing.name != name for name in names for thing in got[name]),
        "errors": errors, "seconds": spent, "story": story,
    }  # fmt: skip


def kept(ports, most, order, later):
    """Things are asked for in `order`, with room for `most`, and one is held on to. How many are alive in the end, whether
    the one that was held is still itself, and which of `later` had to be loaded again, one after the other."""
    loads, alive = [], []

    def load(name):
        loads.append(name)
        thing = _Thing(name)
        alive.append(weakref.ref(thing))
        return thing

    shared = ports.flyweights(load, most)
    held = shared.get(order[0])
    for name in order[1:]:
        shared.get(name)
    same = held.name == order[0]
    del held
    gc.collect()
    count = sum(each() is not None for each in alive)
    again = []
    for name in later:
        before = len(loads)
        shared.get(name)
        again.append(len(loads) > before)
    return {"alive": count, "same": same, "again": again, "loads": len(loads)}


class _Value(str):
    """Text that can be watched for as long as somebody keeps it."""


def rendered(ports, text, values, missing):
    """One template, rendered by a thread for each of `values`, and once more in turn. What came out, what was kept of the
    values, and what became of somebody's change."""
    template = ports.template(text)
    out = [None] * len(values)
    gate = threading.Barrier(len(values))

    def render(at):
        gate.wait()
        out[at] = template.render(**values[at])

    threads = [threading.Thread(target=render, args=(at,)) for at in range(len(values))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = [template.render(**each) for each in reversed(values)][::-1]
    watched = []
    for each in values:
        copies = {name: _Value(value) for name, value in each.items()}
        template.render(**copies)
        watched += [weakref.ref(copy) for copy in copies.values()]
        del copies
    gc.collect()
    try:
        template.render(**missing)
        told = "rendered"
    except KeyError:
        told = "KeyError"
    names = {"text", "_text", "template", "tenant"} | set(getattr(template, "__dict__", {}))
    changed = []
    for name in sorted(names):
        try:
            setattr(template, name, "changed")
            changed.append(name)
        except (AttributeError, TypeError):
            pass
    after = template.render(**values[0])
    return {
        "out": out, "again": again, "left": sum(each() is not None for each in watched), "missing": told,
        "changed": changed, "after": after,
    }  # fmt: skip


def costs(ports, usages, prices, unknown):
    """What each of these usages costs; and whether a model without a price is a KeyError."""
    told = [ports.cost(ports.usage(*each), prices) for each in usages]
    try:
        ports.cost(ports.usage(*unknown), prices)
        known = True
    except KeyError:
        known = False
    return {"told": told, "types": sorted({type(each).__name__ for each in told}), "known": known}


# ------------------------------------------------------------------------------------------------ stage 2


def splits(ports, cases):
    """Each cost, split by each list of weights, as text, since they may be long."""
    out = []
    for amount, weights in cases:
        shares = ports.split(int(amount), [int(each) for each in weights])
        out.append([f"{each}" if type(each) is int else f"a {type(each).__name__}" for each in shares])
    return out


# ------------------------------------------------------------------------------------------------ stage 4


def months(ports, moments):
    """The month of each moment in each zone."""
    return [str(ports.month(at, zone)) for at, zone in moments]
