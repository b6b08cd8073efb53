"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import json
import os
import sqlite3
from contextlib import suppress
from pathlib import Path


def _db():
    """A file of our own, as store.py opens it, whoever has changed that."""
    db = sqlite3.connect(Path(os.environ["DATA_DIR"]) / "probe.db", timeout=10.0, isolation_level=None)
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


# ------------------------------------------------------------------------------------------------ stage 1


async def chain(ports, handlers, always, late, raising):
    """Tickets are offered to handlers, [name, priority, what they take]; then one more is added. Who was called for
    each, and what came of it. `raising`: the one that raises for the last ticket."""
    called = []

    def handler(name, takes):
        async def handle(ticket):
            called.append(name)
            if ticket["about"] == "trouble" and name == raising:
                raise LookupError(name)
            return {"status": "done", "by": name} if ticket["about"] == takes else None

        return handle

    def observer(name, answer):
        async def observe(ticket, outcome):
            called.append(f"{name} {outcome.get('status')}")
            if answer == "raises":
                raise LookupError(name)
            return {**outcome, "seen": name} if answer == "answers" else None

        return observe

    made = ports.chain()
    for name, priority, takes in handlers:
        made.add(handler(name, takes), priority)
    seen = []

    async def offer(about):
        called.clear()
        outcome = await made.handle({"about": about})
        told = {key: str(value or "") for key, value in outcome.items()} if outcome is not None else None
        seen.append([about, list(called), told])

    for about in (handlers[1][2], "nobody's", late[2]):
        await offer(about)
    made.add(handler(late[0], late[2]), late[1])
    await offer(late[2])
    for name, priority, answer in always[:2]:
        made.add(observer(name, answer), priority, True)
    for about in (handlers[0][2], "nobody's", "trouble"):
        await offer(about)
    made.add(observer(always[2][0], always[2][2]), always[2][1], True)
    await offer(handlers[0][2])

    def answers(name, outcome):
        async def answer(*_):
            if name:
                called.append(name)
            return outcome

        return answer

    for unsound in ({}, {"reason": "none"}, {"status": ""}):
        made = ports.chain()
        made.add(answers("unsound", unsound), 1)
        made.add(answers("behind", {"status": "done"}), 2)
        made.add(observer("last", ""), 0, True)
        await offer("unsound")
    for unsound in ({}, {"reason": "none"}, {"status": ""}):
        made = ports.chain()
        made.add(answers("desk", {"status": "done"}))
        made.add(answers("", unsound), 0, True)
        made.add(observer("last", ""), 1, True)
        await offer("unsound")
    return seen


def strategies(ports, tenants, names, shares, fares):
    """Policies of others, `names`, of which each gives back `shares` per cent; one tenant chooses each. What is
    decided."""
    made = ports.strategies(_db())
    for name, share in zip(names, shares, strict=True):
        made.register(name, lambda fare, share=share: fare * share // 100)
    seen = {"names": made.names(), "before": made.of(tenants[0])}
    seen["unknown"] = _raised(made.choose, tenants[0], "no such")
    seen["after_unknown"] = made.of(tenants[0])
    for tenant, name in zip(tenants, names, strict=False):
        made.choose(tenant, name)
    seen["of"] = [made.of(tenant) for tenant in tenants]
    seen["decided"] = [[made.decide(tenant, fare) for fare in fares] for tenant in tenants]
    seen["contract"] = []
    for name in made.names():
        made.choose("contract", name)
        seen["contract"].append([name, [made.decide("contract", fare) for fare in fares]])
    broken = {
        "more than the fare": lambda fare: fare + 1, "less than nothing": lambda fare: -1,
        "half a cent": lambda fare: 0.5,
        "nothing at all": lambda fare: None, "true": lambda fare: True,
    }  # fmt: skip
    seen["broken"] = {}
    for what, strategy in broken.items():
        made.register("broken", strategy)
        made.choose("contract", "broken")
        seen["broken"][what] = _raised(made.decide, "contract", fares[0])

    def raises(fare):
        raise LookupError("a policy of another team")

    made.register("broken", raises)
    seen["raises"] = _raised(made.decide, "contract", fares[0])
    return seen


def chosen(ports, tenants, names, shares, fares):
    """In another process, in which only some are registered."""
    made = ports.strategies(_db())
    gone = _raised(made.decide, tenants[0], fares[0])
    for name, share in zip(names, shares, strict=True):
        made.register(name, lambda fare, share=share: fare * share // 100)
    return {"gone": gone, "decided": [[made.decide(tenant, fare) for fare in fares] for tenant in tenants]}


# ------------------------------------------------------------------------------------------------ stage 2


class _Work:
    """What a flow may do, written down."""

    def __init__(self, fails=""):
        self.events, self.fails, self.kept = [], fails, {}

    def _note(self, what, told=""):
        self.events.append(f"{what} {told}".strip())
        if what == self.fails:
            raise ConnectionError(what)

    async def look_up(self, tool):
        self._note("look up", tool)
        await asyncio.sleep(0)
        return {"fare_cents": 1_000}

    def policy(self, fare_cents):
        return fare_cents // 2

    async def keep(self, name, make):
        if name not in self.kept:
            self.kept[name] = json.dumps(make())
        return json.loads(self.kept[name])

    async def book(self, kind, amount_cents):
        self._note("book", f"{kind} {amount_cents}")

    async def mail(self, lines):
        self._note("mail", "; ".join(map(str, lines)))

    async def record(self, outcome):
        self._note("record", outcome["status"])


async def _run(flow, fails="", work=None):
    work = work or _Work(fails)
    outcome = await flow.run({"tenant": "t", "id": "1", "booking": "AB1234", "text": "…"}, work)
    return [outcome.get("status"), work.events, bool(outcome.get("reason"))]


async def flows(ports, cases, tool):
    """For each [entry, lines], a flow that overrides no more than it needs: its end, and what was done."""
    seen = []
    for entry, lines in cases:
        names = {"name": "n", "about": "a", "look_ups": lambda self, ticket: [tool]}
        names["decide"] = lambda self, ticket, facts, policy, entry=entry: tuple(entry) if entry else None
        if lines is not None:
            names["write"] = lambda self, ticket, facts, entry, lines=lines: lines
        seen.append(await _run(type("Case", (ports.flow,), names)()))
    return seen


async def rude_flows(ports, forbidden):
    """Subclasses that know nothing of what they inherit."""

    def raises(*_):
        raise LookupError("a hook of another team")

    def forgets(self):
        self.mine = True

    def quiet(self, *_):
        return None

    async def waits(self, *_):
        return None

    def make(**names):
        return type("Rude", (ports.flow,), {"name": "n", "about": "a", **names})

    seen = {}
    for hook in ("look_ups", "decide", "write"):
        seen[f"{hook} raises"] = await _run(make(**{hook: raises})())
    for what in ("book", "mail"):
        seen[f"{what} fails"] = await _run(make(decide=lambda *_: ("kind", 5))(), what)
    seen["looking up fails"] = await _run(make(look_ups=lambda *_: ["fare"])(), "look up")
    seen["forgets super"] = await _run(make(__init__=forgets)())
    says = {"write": lambda *_: [forbidden]}
    seen["says what may not be said"] = await _run(make(**says)())
    own = ("check", "_check", "objection", "_objection", "record", "_record", "validate", "execute", "finish", "_run",
        "guard")
    inherited = {
        name: value for base in ports.flow.__mro__ if base.__module__.startswith("service")
        for name, value in vars(base).items()
        if name not in ("name", "about", "look_ups", "decide", "write", "run") and not name.endswith("__")
    }  # fmt: skip
    methods = (classmethod, staticmethod, property)
    own = {*own, *(name for name, value in inherited.items() if callable(value) or isinstance(value, methods))}
    odd = {name: 10**9 if isinstance(value, int) else () for name, value in inherited.items() if name not in own}
    odd |= {"limit": 10**9, "LIMIT": 10**9, "never": (), "NEVER": ()}
    seen["has methods of its own"] = await _run(make(**says, **dict.fromkeys(own, quiet))())
    seen["has coroutines of its own"] = await _run(make(**says, **dict.fromkeys(own, waits))())
    seen["has attributes of its own, and says it"] = await _run(make(**says, **odd)())
    seen["has attributes of its own, and is too dear"] = await _run(make(decide=lambda *_: ("k", 100_001), **odd)())
    seen["facts and policy"] = await _run(
        make(
            look_ups=lambda *_: ["fare"],
            decide=lambda self, ticket, facts, policy: ("k", policy(facts["fare"]["fare_cents"])),
        )()
    )

    async def run(self, ticket, work):
        await work.book("kind", 1)
        return {"status": "done"}

    seen["run"] = _raised(lambda: make(run=run))
    mixin = type("Mixin", (), {"run": run})
    seen["run of a mixin"] = _raised(lambda: type("Rude", (mixin, ports.flow), {"name": "n", "about": "a"}))
    try:
        seen["recording fails"] = await _run(make()(), "record")
    except ConnectionError:
        seen["recording fails"] = "passes on"
    seen["taken up again"] = await _taken_up(make)
    seen["held, and taken up again"] = await _held_again(make)
    return seen


async def _taken_up(make):
    """A flow whose hooks say something else each time; its mail fails at first, and it is run once more."""
    times = iter(range(1, 9))
    flow = make(decide=lambda *_: ("kind", next(times)), write=lambda *_: [f"line {next(times)}"])()
    work = _Work("mail")
    await _run(flow, work=work)
    work.fails, before = "", len(work.events)
    outcome = await flow.run({"tenant": "t", "id": "1", "booking": "AB1234", "text": "…"}, work)
    return [outcome.get("status"), work.events[:before], work.events[before:]]


async def _held_again(make):
    """A flow that would book too much, and less the next time; recording fails at first, and it is run once more."""
    amounts = iter((100_001, 5))
    flow, work = make(decide=lambda *_: ("kind", next(amounts)))(), _Work("record")
    ticket = {"tenant": "t", "id": "1", "booking": "AB1234", "text": "…"}
    with suppress(ConnectionError):
        await flow.run(ticket, work)
    work.fails, before = "", len(work.events)
    outcome = await flow.run(ticket, work)
    return [outcome.get("status"), work.events[:before], work.events[before:]]


async def tree(ports, names, costs, fails, more):
    """A tree of three levels, in which one subtree stands twice: what it costs, how far it is, and what is done
    when."""
    done, seen = [], {}

    def leaf(name, cost):
        async def work():
            await asyncio.sleep(0.1)
            if name == fails:
                raise LookupError(name)
            done.append(name)

        return ports.step(name, work, cost)

    class Foreign:
        """Somebody else's."""

        ran = 0

        async def run(self):
            Foreign.ran += 1
            done.append("foreign")

        def cost(self):
            return more

        def progress(self):
            return float(self.ran > 0)

        def cancel(self):
            pass

    leaves = [leaf(name, cost) for name, cost in zip(names, costs, strict=True)]
    low = ports.group("low", leaves[:2])
    middle = ports.group("middle", [low, leaves[2]])
    root = ports.group("root", [leaves[3], middle, low, ports.group("empty")])
    seen["cost"] = [root.cost(), middle.cost(), low.cost(), leaves[0].cost(), ports.group("empty").cost()]
    seen["empty"] = ports.group("empty").progress()
    await ports.group("empty").run()
    seen["before"] = root.progress()
    await low.run()
    seen["half"] = [root.progress(), middle.progress(), low.progress()]
    await root.run()
    seen["whole"], seen["done"] = root.progress(), list(done)
    await root.run()
    seen["again"] = list(done)
    root.add(Foreign())
    seen["foreign"] = [root.cost(), root.progress()]
    await root.run()
    seen["grown"] = [root.progress(), Foreign.ran]
    cycles = [(low, root), (root, root), (low, middle)]
    seen["cycles"] = [_raised(inner.add, outer) for inner, outer in cycles]
    seen["cost_after"] = root.cost()
    grown = ports.group("grown")
    low.add(grown)
    grown.add(leaf("late", more))
    seen["grown below"] = [root.cost(), root.progress()]
    done.clear()
    second = ports.group("second", [leaf("a", 1), leaf(fails, 1), leaf("z", 1)])
    try:
        await second.run()
        seen["raised"] = ""
    except LookupError as error:
        seen["raised"] = str(error)
    seen["stopped"] = [list(done), second.progress()]
    tries = []

    async def at_first():
        tries.append("try")
        await asyncio.sleep(0.1)
        if len(tries) == 1:
            raise LookupError(fails)

    late = ports.step("late", at_first)
    both = await asyncio.gather(*(ports.group(name, [late]).run() for name in "ab"), return_exceptions=True)
    seen["two wait for one that raises"] = [str(error) for error in both]
    with suppress(LookupError):
        await late.run()
    seen["it raised, and is run again"] = [tries, late.progress()]
    done.clear()
    shared = leaf("shared", 1)
    ends = []

    async def run(name):
        await ports.group(name, [shared]).run()
        ends.append([name, *done])

    await asyncio.gather(run("one"), run("two"))
    seen["shared"] = sorted(ends)
    done.clear()
    shared = leaf("shared", 1)
    leaving, staying = (asyncio.create_task(ports.group(name, [shared]).run()) for name in ("one", "two"))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.wait([leaving, staying], timeout=1.0)
    seen["one of two who wait is cancelled"] = [leaving.cancelled(), staying.done() and not staying.cancelled(), *done]
    done.clear()
    waiting = asyncio.create_task(ports.group("waited for", [leaf("never", 1), leaf("after", 1)]).run())
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=1.0)
    await asyncio.sleep(1.0)
    seen["who waits is cancelled"] = [waiting.cancelled(), list(done)]
    return seen


async def cancelled(ports, names, after):
    """A tree, of whose leaves each takes a second, is cancelled `after` seconds: what was begun, and what was done."""
    begun, done, stopped = [], [], []

    def leaf(name):
        async def work():
            begun.append(name)
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                stopped.append(name)
                raise
            done.append(name)

        return ports.step(name, work)

    leaves = [leaf(name) for name in names]
    low = ports.group("low", leaves[1:3])
    root = ports.group("root", [leaves[0], ports.group("middle", [low]), leaves[3]])
    task = asyncio.create_task(root.run())
    await asyncio.sleep(after)
    root.cancel()
    await asyncio.wait([task], timeout=10.0)
    ended = task.done()
    if not ended:
        task.cancel()
    for part in (root, low, *leaves):
        await part.run()  # nothing is left that could be begun
    await asyncio.sleep(5.0)
    return {"ended": ended, "begun": begun, "done": done, "stopped": stopped, "progress": root.progress()}


# ------------------------------------------------------------------------------------------------ stage 3


async def routed(ports, routes, answers, text):
    """What a model that says each of `answers` is taken to mean; and what it is asked."""
    seen = []
    for answer in answers:
        asked = []

        async def ask(messages, answer=answer, asked=asked):
            asked.append(messages)
            await asyncio.sleep(0.1)
            if isinstance(answer, dict):
                raise {"TimeoutError": TimeoutError, "RuntimeError": RuntimeError}[answer["raises"]]("it is down")
            return answer

        try:
            found = list(await ports.route(text, routes, ask))
        except NotImplementedError:
            raise
        except Exception as error:
            found = [f"raises {type(error).__name__}"]
        told = "\n".join(str(message.get("content")) for message in (asked or [[]])[0])
        seen.append([found, len(asked), all(name in told and about in told for name, about in routes.items())])
    return seen


def _tool(ports, name, arguments, notes, gives=(), cost=1, result=None):
    async def call(args, tenant, key):
        await asyncio.sleep(0.1)
        notes.append([name, json.dumps(args, sort_keys=True), tenant, key])
        if isinstance(result, str):
            raise ConnectionError(result)
        return result if result is not None else {each: f"{name}'s {each}" for each in gives}

    return ports.tool(name=name, about=f"what {name} is for", arguments=arguments, call=call, gives=tuple(gives),
        cost=cost)


async def invoked(ports, name, calls, tenant, sizes, most):
    """Calls of a tool that takes a booking, cents and a text, each alone and then all at once; and results of some
    sizes."""
    notes = []
    tools = ports.tools(most)
    tools.add(_tool(ports, name, {"booking": "booking", "cents": "euros", "note": "text"}, notes,
        result={"entry": "E1"}))
    tools.add(_tool(ports, "sad", {}, notes, result="gone for good"))
    tools.add(_tool(ports, "wordy", {}, notes, result="gone " * most))
    tools.add(_tool(ports, "endless", {}, notes, result={"value": float("inf")}))
    for size in sizes:
        tools.add(_tool(ports, f"big{size}", {}, notes, result={"rows": ["\"x'é"] * size}))

    def told(result):
        return [result.id, result.ok, result.content]

    async def invoke(call):
        try:
            return told(await tools.invoke(call, tenant, "run/1"))
        except NotImplementedError:
            raise
        except Exception as error:
            return ["", False, f"nothing: invoke raises {type(error).__name__}"]

    seen = {"alone": [], "no call": (await invoke(None))[1:]}
    for what, call in calls.items():
        before = len(notes)
        seen["alone"].append([what, *await invoke(call), [note[1:] for note in notes[before:]]])
    if any(not ident for _, ident, *_ in seen["alone"]):
        return seen  # what raises alone raises with others
    before = len(notes)
    began = asyncio.get_running_loop().time()
    both = await tools.invoke_all(list(calls.values()), tenant, "run/2")
    seen["seconds"] = asyncio.get_running_loop().time() - began
    seen["together"] = [told(result) for result in both]
    seen["keys"] = sorted(note[3] for note in notes[before:] if note[0] == name)
    sound = next(iter(calls.values()))
    await tools.invoke(sound, tenant, "run/1")
    await tools.invoke({**sound, "id": "another"}, tenant, "run/1")
    await tools.invoke(sound, tenant, "run/9")
    seen["again"] = [notes[0][3], *(note[3] for note in notes[-3:])]
    for key, ident in (("run", "1/x"), ("run/1", "x"), ("run", "1:x"), ("run:1", "x")):
        await tools.invoke({**sound, "id": ident}, tenant, key)
    seen["alike"] = [note[3] for note in notes[-4:]]
    seen["sad"] = told(await tools.invoke({"id": "s", "function": {"name": "sad", "arguments": "{}"}}, tenant, "k"))
    for name in ("wordy", "endless"):
        seen[name] = told(await tools.invoke({"id": "s", "function": {"name": name, "arguments": "{}"}}, tenant, "k"))
    seen["sizes"] = []
    for size in sizes:
        call = {"id": "b", "function": {"name": f"big{size}", "arguments": "{}"}}
        seen["sizes"].append([json.dumps({"rows": ["\"x'é"] * size}), *told(await tools.invoke(call, tenant, "k"))])
    return seen


# ------------------------------------------------------------------------------------------------ stage 4


def _plan_tools(ports, notes):
    return {
        "look": _tool(ports, "look", {"booking": "booking"}, notes, gives=("fare", "city")),
        "find": _tool(ports, "find", {"booking": "booking"}, notes, gives=("price",), cost=2),
        "hold": _tool(ports, "hold", {"booking": "booking", "cents": "euros"}, notes, gives=("entry",), cost=3),
        "send": _tool(ports, "send", {"booking": "booking", "text": "text"}, notes),
    }


def validated(ports, plans, budget):
    """For each text: the ids of its steps as they are to be done; or what it is refused with."""
    seen, notes = [], []
    for text in plans:
        try:
            steps = ports.validate(text, _plan_tools(ports, notes), budget)
            seen.append([[step.id for step in steps], ""])
        except NotImplementedError:
            raise
        except Exception as error:
            seen.append([None, "BadPlan" if isinstance(error, ports.bad_plan) else type(error).__name__])
    return seen, len(notes)


async def executed(ports, first, second, fails, values, more):
    """Two plans, of which the first fails at the tool `fails`; then the second with the same `done`, twice. And `more`,
    each alone."""
    called, done, broken = [], {}, [fails]

    async def call(tool, args):
        await asyncio.sleep(0.1)
        called.append([tool, args])
        if tool in broken:
            broken.clear()
            raise ConnectionError(tool)
        return dict(values[tool])

    tools = _plan_tools(ports, [])
    seen = {}
    try:
        await ports.execute(ports.validate(first, tools, 20), call, done)
        seen["raised"] = ""
    except NotImplementedError:
        raise
    except Exception as error:
        seen["raised"] = str(error)
    seen["first"] = list(called)
    called.clear()
    try:
        seen["results"] = await ports.execute(ports.validate(second, tools, 20), call, done)
    except Exception as error:
        raised = f"raises {type(error).__name__}"
        return {**seen, "results": raised, "second": list(called), "third": [], "anew": 0}
    seen["second"] = list(called)
    called.clear()
    await ports.execute(ports.validate(second, tools, 20), call, done)
    seen["third"] = list(called)
    await ports.execute(ports.validate(second, tools, 20), call, {})
    seen["anew"] = len(called)
    called.clear()
    values["find"] = {"price": "dear"}
    try:
        await ports.execute(ports.validate(second, tools, 20), call, {})
        seen["ill"] = ["nothing"]
    except Exception as error:
        seen["ill"] = ["BadPlan" if isinstance(error, ports.bad_plan) else type(error).__name__]
    seen["ill"] += [tool for tool, _ in called if tool == "hold"]
    tools["empty"], values["empty"] = _tool(ports, "empty", {"booking": "booking"}, [], gives=("price",)), {}
    for what, plan in more.items():
        called.clear()
        error = []
        try:
            await ports.execute(ports.validate(plan, tools, 20), call, {})
        except Exception as raised:
            error = ["BadPlan" if isinstance(raised, ports.bad_plan) else type(raised).__name__]
        seen[what] = [f"{tool} {json.dumps(args, sort_keys=True)}" for tool, args in called] + error
    return seen


async def steps(ports, runs, names, most, dies):
    """Steps of several runs, in order: their values, the keys they got, how far they are. At `dies` the work raises."""
    made = ports.runs(_db(), most)
    seen = {"keys": [], "values": [], "progress": [], "raised": "", "limit": ""}
    for run in runs:
        made.expect(run, len(names))
        for name in names:

            async def work(key, run=run, name=name):
                await asyncio.sleep(0.01)
                seen["keys"].append([run, name, key])
                if (run, name) == tuple(dies):
                    raise ConnectionError(name)
                return {"of": [run, name], "number": len(seen["keys"])}

            try:
                seen["values"].append([run, name, await made.step(run, name, work)])
            except NotImplementedError:
                raise
            except ConnectionError:
                seen["raised"] += name
            except Exception as error:
                seen["values"].append([run, name, type(error).__name__])
            seen["progress"].append([run, *made.progress(run)])

    async def empty(key):
        return None

    for number in range(most + 3):
        try:
            await made.step("endless", f"step {number}", empty)
        except Exception as error:
            seen["limit"] = f"{type(error).__name__} {number}" if isinstance(error, ports.step_limit) else repr(error)
            break
    try:
        seen["old"] = "" if await made.step("endless", "step 0", empty) is None else "another value"
    except Exception as error:
        seen["old"] = type(error).__name__
    seen["endless"] = list(made.progress("endless"))
    return seen
