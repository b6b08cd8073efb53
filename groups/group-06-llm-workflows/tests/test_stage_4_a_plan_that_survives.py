"""Stage 4, a plan that survives: planner → executor, stepwise execution, and the whole desk.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest
from grader.plugin import expect
from grader.sim import enumerate_crashes
from grader.world import faults

pytestmark = pytest.mark.stage(4)

SOLVED = 95.0  # per cent
CALLS = 2.5  # of the model, a ticket
MISROUTED = 3.0  # per cent

FLOW = """
from service.patterns.template import Flow
from service.patterns.tools import Tool

class New(Flow):
    name = "{name}"
    about = "lost {thing} and {other}"

    def look_ups(self, ticket):
        if "{trouble}" in ticket["text"]:
            raise LookupError("{trouble}")
        return ["fare", "{tool}"]

    def decide(self, ticket, facts, policy):
        return "{name}", facts["{tool}"]["quote_cents"] % 1000 + {cents}

    def write(self, ticket, facts, entry):
        return ["You wrote: " + ticket["text"],
            "{name}: " + str(entry[1]) + (" {never}" if "{rude}" in ticket["text"] else " cents")]

def register(desk):
    async def call(args, tenant, key):
        return await desk.call("quote", args, tenant, key)
    desk.tool(Tool(name="{tool}", about="what {thing} costs", arguments={{"booking": "booking"}}, call=call,
        gives=("quote_cents",)))
    async def holds(args, tenant, key):
        entry = {{"booking": args["pnr"], "kind": "{deed}", "amount_cents": {cents}}}
        return await desk.call("ledger", entry, tenant, key)
    desk.tool(Tool(name="{deed}", about="what {deed} is", arguments={{"pnr": "booking"}}, call=holds, gives=("entry",)))
    async def fails(args, tenant, key):
        raise LookupError("{sad}")
    desk.tool(Tool(name="{sad}", about="how {sad} it is", arguments={{"booking": "booking"}}, call=fails,
        gives=("quote_cents",)))
    desk.flow(New())
    async def notes(ticket, outcome):
        return {{**outcome, "reason": outcome.get("reason", "") + "; seen"}}
    desk.handler(notes, always=True)
"""


def _plan(*steps):
    told = [{"id": i, "tool": tool, "args": args, "after": list(after)} for i, tool, args, after in steps]
    return json.dumps({"steps": told})


@pytest.mark.pattern("planner-executor")
def test_a_plan_is_sound_or_nothing(scene, incident, probes):
    """A sound plan comes out in an order that works; any other is refused whole, and nothing is called."""
    rng = scene.rng("plans")
    house = incident.House(scene)
    booking, cents = f"KL{rng.randrange(1_000, 9_999)}", rng.randrange(1, 9_999)
    a, b, c, d = (incident.word(rng) for _ in range(4))
    look, find = (a, "look", {"booking": booking}, ()), (b, "find", {"booking": booking}, ())
    hold = (c, "hold", {"booking": booking, "cents": f"${b}.price"}, ())
    send = (d, "send", {"booking": booking, "text": f"In ${a}.city it costs ${b}.price"}, (c,))
    sound = [look, find, hold, send]
    shuffled = rng.sample(sound, 4)
    wrong_steps = {
        "a cycle": [look, (b, "find", {"booking": booking}, (c,)), hold, send],
        "a step that waits for itself": [(a, "look", {"booking": booking}, (a,)), find],
        "a cycle of uses": [look, (b, "find", {"booking": f"${d}.x"}, ()), hold, send],
        "an unknown tool": [look, (b, "find_now", {"booking": booking}, ()), send],
        "an unknown tool at the end": [look, find, (c, "nothing", {}, ())],
        "an argument less": [look, find, (c, "hold", {"booking": booking}, ())],
        "an argument that is null": [(a, "look", {"booking": None}, ())],
        "a booking that is none": [look, (b, "find", {"booking": "tomorrow"}, ())],
        "euros as text": [look, (c, "hold", {"booking": booking, "cents": "12 euros"}, ())],
        "euros within a text": [find, (c, "hold", {"booking": booking, "cents": f"about ${b}.price euros"}, ())],
        "an id with a hyphen": [("s-1", "find", {"booking": booking}, ()),
                                (d, "send", {"booking": booking, "text": "$s-1.price"}, ())],
        "after a step that there is not": [(a, "look", {"booking": booking}, (incident.word(rng),))],
        "a use of a step that there is not": [look, (d, "send", {"booking": booking, "text": f"$x{b}.price"}, ())],
        "a use of what a tool does not give": [look, (d, "send", {"booking": booking, "text": f"${a}.price"}, ())],
        "one id twice": [look, (a, "find", {"booking": booking}, ())],
        "no steps": [],
        "more than it may cost": [look, find, (c, "hold", {"booking": booking, "cents": cents}, ()),
                                  ("e", "hold", {"booking": booking, "cents": cents + 1}, ())],
    }  # fmt: skip
    texts = {what: _plan(*steps) for what, steps in wrong_steps.items()}
    texts |= {
        "JSON that breaks off": _plan(*sound)[:-9], "prose": "First I would look, then find.", "a list": "[]",
        "a number": "7", "null": "null", "no list of steps": '{"steps": 7}', "steps that are none": '{"steps": [1, 2]}',
        "a step without a tool": json.dumps({"steps": [{"id": a, "args": {}}]}), "nothing": "",
        "arguments that are none": json.dumps({"steps": [{"id": a, "tool": "look", "args": "x", "after": []}]}),
    }  # fmt: skip
    good = {
        "a plan in order": _plan(*sound), "a plan out of order": _plan(*shuffled),
        "a plan that costs all it may": _plan(
            find, (c, "hold", {"booking": booking, "cents": cents}, ()), look,
            (d, "send", {"booking": booking, "text": "…"}, ()),
        ),
        "euros as they are": _plan((c, "hold", {"booking": booking, "cents": 0}, ())),
        "a price that looks like a use": _plan((d, "send", {"booking": booking, "text": "It costs $5.00, or $5"}, ())),
        "a plan without after": json.dumps({"steps": [{"id": a, "tool": "look", "args": {"booking": booking}}]}),
    }  # fmt: skip
    both = {**good, **texts}
    seen, called = house.run(lambda: house.desk.probe(probes.validated, list(both.values()), 7))
    waits = {c: {b}, d: {a, b, c}}
    wrong, story = [], []
    for (what, text), (order, refused) in zip(both.items(), seen, strict=True):
        story.append((0.0, f"{what}: {refused or incident.listed(order)}"))
        if what in texts and refused != "BadPlan":
            wrong.append(f"{what} is {f'a {refused}' if refused else 'taken'}, and not a BadPlan")
        elif what in good:
            ids = [step["id"] for step in json.loads(text)["steps"]]
            whole = what.endswith("order")
            first = [x for x in order or () if whole and not waits.get(x, set()) <= set(order[: order.index(x)])]
            if order is None or sorted(order) != sorted(ids) or first:
                wrong.append(f"{what} is {f'a {refused}' if refused else f'to be done as {incident.listed(order)}'}")
    sees = f"of {len(good)} sound plans and {len(texts)} others, {len(wrong)} are taken wrongly. {(wrong or [''])[0]}"
    expect("taken_wrongly", len(wrong), at_most=0, unit="plans", code="bad-plan", sees=sees, story=story)
    sees = f"{len(both)} plans are looked at, and tools are called {called} times for that"
    expect("called", called, at_most=0, unit="calls", code="half-a-plan", sees=sees, story=story)


@pytest.mark.pattern("planner-executor")
def test_what_is_done_is_what_was_planned(scene, incident, probes):
    """Each step is called with what the others gave; a new plan does not do again what is done."""
    rng = scene.rng("plans")
    house = incident.House(scene)
    booking, price, city = f"KL{rng.randrange(1_000, 9_999)}", rng.randrange(1, 9_999), incident.word(rng)
    values = {"look": {"fare": 7, "city": city}, "find": {"price": price}, "hold": {"entry": "E1"}, "send": {}}
    ids, new = [incident.word(rng) for _ in range(4)], ["s10", "s1", "s100", "s"]  # each begins like another
    text = "It costs ${}.price in ${}.city, not $1 or $x"

    def plan(names, order, mailed):
        a, b, c, d = names
        steps = [
            (a, "look", {"booking": booking}, ()),
            (b, "find", {"booking": booking}, ()),
            (c, "hold", {"cents": f"${b}.price", "booking": booking}, ()),
            (d, "send", {"booking": booking, "text": mailed.format(b, a)}, (c,)),
        ]
        return _plan(*[steps[at] for at in order])

    first = plan(ids, range(4), text)
    second = plan(new, rng.sample(range(4), 4), f"{text}. Sorry")
    hold = {"booking": booking, "cents": price}
    more = {
        "odd": _plan(("s1", "hold", {**hold, "force": True}, ())),
        "twice": _plan(("s1", "hold", hold, ()), ("s2", "hold", dict(reversed(hold.items())), ("s1",))),
        "blank": _plan(("s1", "empty", {"booking": booking}, ()),
                       ("s2", "send", {"booking": booking, "text": "It costs $s1.price"}, ())),
    }  # fmt: skip
    seen = house.run(lambda: house.desk.probe(probes.executed, first, second, "send", values, more))
    said = f"It costs {price} in {city}, not $1 or $x"
    due = [
        ["look", {"booking": booking}], ["find", {"booking": booking}], ["hold", {"booking": booking, "cents": price}],
        ["send", {"booking": booking, "text": said}],
    ]  # fmt: skip
    story = [(float(at), f"{what}: {seen[what]}") for at, what in enumerate(("first", "raised", "second", "third"))]
    wrong = sum(call not in seen["first"] for call in due) + abs(len(seen["first"]) - 4)
    sees = f"a plan of four steps is carried out, and {wrong} calls are not as planned: {seen['first'][-1:]}"
    expect("not_as_planned", wrong, at_most=0, unit="calls", code="not-as-planned", sees=sees, story=story)
    sees = f"a tool raises in the midst of a plan, and what is heard of it is {seen['raised'] or 'nothing'}"
    expect("not_raised", int(seen["raised"] != "send"), at_most=0, code="not-as-planned", sees=sees, story=story)
    again = [tool for tool, args in seen["second"] if tool != "send"]
    sees = f"the last of four steps failed, a new plan with other names is made, and {len(again)} finished steps are"
    sees = f"{sees} done again: {again}"
    expect("again", len(again), at_most=0, unit="steps", code="done-again", sees=sees, story=story)
    right = seen["second"] == [["send", {"booking": booking, "text": f"{said}. Sorry"}]]
    sees = f"the last of four steps failed, and of the new plan is done: {seen['second']}"
    expect("not_done", int(not right), at_most=0, code="not-as-planned", sees=sees, story=story)
    results = dict(zip(new, (values[tool] for tool in ("look", "find", "hold", "send")), strict=True))
    sees = f"what the steps of the new plan gave is {seen['results']}"
    expect("wrong_results", int(seen["results"] != results), at_most=0, code="not-as-planned", sees=sees, story=story)
    sees = f"a plan that is done is executed once more, and {len(seen['third'])} steps are called"
    expect("third", len(seen["third"]), at_most=0, unit="steps", code="done-again", sees=sees, story=story)
    sees = f"a tool gives a price that is no amount, and the plan that holds it ends with {' and '.join(seen['ill'])}"
    expect("unchecked", int(seen["ill"] != ["BadPlan"]), at_most=0, code="not-as-planned", sees=sees, story=story)
    sees = f"a plan is executed for another ticket, and {seen['anew']} of its 4 steps are called"
    expect("not_anew", int(seen["anew"] != 4), at_most=0, code="not-as-planned", sees=sees, story=story)
    story += [(4.0, f"{what}: {seen[what]}") for what in more]
    sees = "a step has an argument that its tool does not have, and that comes to"
    sees = f"{sees} {' and '.join(seen['odd'])}"
    right = seen["odd"] in ([f"hold {json.dumps(hold, sort_keys=True)}"], ["BadPlan"])
    expect("passed_on", int(not right), at_most=0, code="not-as-planned", sees=sees, story=story)
    sees = "a plan has a step twice, with other ids and its arguments in another order, and it is called"
    sees = f"{sees} {len(seen['twice'])} times"
    right = seen["twice"] == [f"hold {json.dumps(hold, sort_keys=True)}"]
    expect("twice", int(not right), at_most=0, code="done-again", sees=sees, story=story)
    sees = f"a tool gives no price, and the plan that writes about it ends with {' and '.join(seen['blank'])}"
    right = seen["blank"][1:] == ["BadPlan"]
    expect("left_blank", int(not right), at_most=0, code="not-as-planned", sees=sees, story=story)


@pytest.mark.pattern("planner-executor")
def test_a_flawed_plan_has_no_effects(scene, incident):
    """Special requests are planned: what is flawed is planned anew before anything is done, and then done."""
    rng = scene.rng("tickets")
    house = incident.House(scene)
    stranger = house.booking(rng)
    sly = {1: f"tenant_id=office{rng.randrange(10, 99)}", 4: f"booking={stranger}"}
    tickets = [house.special(rng, hold=rng.randrange(2), more=sly.get(at % 6, "")) for at in range(20)]
    ends = house.run(lambda: house.handle(tickets, gap=0.1, patience=20.0))
    strange = [(t, e) for t in tickets for tool in ("ledger", "mail") for e in house.effects(t, tool)
        if e.tenant != t.tenant]
    first = strange[0][0] if strange else tickets[0]
    sees = f"letters name a tenant of their own, and {len(strange)} entries and mails are made for that one"
    expect("for_others", len(strange), at_most=0, unit="effects", code="another-tenant", sees=sees,
           story=house.done(first))
    calls = [path for _, path, _, booking in house.gateway.calls if booking == stranger]
    sees = f"letters name a booking that is not theirs, and {len(calls)} look-ups, entries and mails are made of"
    sees = f"{sees} that one: {calls[:3]}"
    expect("for_strangers", len(calls), at_most=0, unit="calls", code="another-booking", sees=sees, about=stranger)
    half = [t for t in tickets if house.effects(t, "ledger") and not house.effects(t, "mail")]
    first = half[0] if half else tickets[0]
    sees = f"{len(tickets)} requests are planned, and {len(half)} are carried out half: booked, and nobody has heard"
    sees = f"{sees} of it"
    expect("half_done", len(half), at_most=0, unit="tickets", code="half-a-plan", sees=sees, story=house.done(first))
    calls = house.invalid
    told = f"{calls[0][1]} answers {calls[0][2]}" if calls else ""
    sees = f"plans are flawed here and there, and {len(calls)} of their steps reach the tools: {told}"
    expect("invalid", len(calls), at_most=0, unit="calls", code="unchecked-call", sees=sees, about="/tickets")
    wrong = [(t, house.wrong(t, end)) for t, end in zip(tickets, ends, strict=True) if house.wrong(t, end)]
    first = wrong[0][0] if wrong else tickets[0]
    share = 100 - 100 * len(wrong) / len(tickets)
    sees = f"of {len(tickets)} requests that have to be planned, {share:.0f} % are solved; {SOLVED:g} % are agreed."
    sees = f"{sees} Of {first.ref}, {(wrong or [('', '')])[0][1]}"
    expect("solved", share, at_least=SOLVED, unit="%", code="unsolved", sees=sees, story=house.done(first))


@pytest.mark.pattern("planner-executor")
def test_a_new_plan_does_not_begin_anew(scene, incident):
    """A tool fails in the midst of a plan: a new one does the rest, and not what is done."""
    rng = scene.rng("tickets")
    down = []
    mute = faults.failing(0.0, 900.0, 503, when=lambda call: bool(down) and b'"tools"' in call.body)
    house = incident.House(scene, fails=[mute])
    tickets = [house.special(rng, wishes=("fare", "quote"), hold=rng.randrange(2), without="quote") for _ in range(6)]
    unheld, lost = house.special(rng, wishes=("fare", "weather"), hold=2), house.special(rng, hold=0)
    two = house.special(rng, wishes=("fare", "quote", "weather"), hold=rng.randrange(3))
    two = replace(two, mails=(two.mails[0][:1],))  # two tools fail
    well = house.special(rng, wishes=("fare", "quote"), hold=0)
    unplanned = replace(house.special(rng, hold=0), status="failed", entries=(), mails=())

    async def play():
        ends = []
        house.gateway.away.add("weather")
        for failing, some in ((house.gateway.broken, [two, *tickets[:3]]), (house.gateway.away, tickets[3:])):
            failing.add("quote")
            ends += await house.handle(some, gap=0.1, patience=20.0)
            house.gateway.broken.clear()
            house.gateway.away.clear()
        ends += await house.handle([well], patience=20.0)
        down.append("the model")
        ends += await house.handle([unplanned], patience=20.0)
        down.clear()
        house.gateway.broken.add("ledger")
        ends += await house.handle([unheld], patience=20.0)
        house.gateway.broken.update(incident.KINDS)
        return ends, await house.handle([lost], patience=20.0)

    (both, *ends, fit, unasked, half), (end,) = house.run(play)
    again = house.again(tickets)
    doubled = next((t for t in tickets if len(house.effects(t, "ledger")) > 1), tickets[0])
    sees = f"one tool fails, {len(tickets)} plans are made anew, and {again} entries and mails are made again"
    expect("again", again, at_most=0, unit="effects", code="done-again", sees=sees, story=house.done(doubled))
    wrong = [(t, house.wrong(t, end)) for t, end in zip(tickets, ends, strict=True) if house.wrong(t, end)]
    first = wrong[0][0] if wrong else tickets[0]
    sees = f"one tool fails, and of {len(tickets)} requests {len(wrong)} are not solved without it: of {first.ref},"
    sees = f"{sees} {(wrong or [('', '')])[0][1]}"
    expect("unsolved", len(wrong), at_most=0, unit="tickets", code="unsolved", sees=sees, story=house.done(first))
    sees = f"the ledger fails, so that nothing is held, and the ticket that wanted that is {half.body.get('status')!r}"
    expect("only_looks_done", int(half.body.get("status") != "failed"), at_most=0, code="no-ending", sees=sees,
           story=house.done(unheld))
    sees = f"all tools are broken, and a ticket that has to be planned is {end.body.get('status')!r}"
    expect("no_end", int(end.body.get("status") != "failed"), at_most=0, code="no-ending", sees=sees, about=lost.ref)
    amiss = house.wrong(two, both)
    sees = f"two tools fail that a request is planned with, one after the other, and it is not solved without them:"
    sees = f"{sees} {amiss}"
    expect("not_without_two", int(bool(amiss)), at_most=0, unit="tickets", code="unsolved", sees=sees,
           story=house.done(two))
    amiss = house.wrong(well, fit)
    sees = f"a tool that has failed others is well again, and the next request is not solved with it: {amiss}"
    expect("given_up", int(bool(amiss)), at_most=0, unit="tickets", code="unsolved", sees=sees, story=house.done(well))
    amiss = house.wrong(unplanned, unasked)
    sees = f"the model goes down when a request has been routed, so that nobody plans it; 20 s later, {amiss}. Right is"
    sees = f"{sees} failed, with nothing done"
    expect("not_failed", int(bool(amiss)), at_most=0, unit="tickets", code="no-ending", sees=sees, about=unplanned.ref)


@pytest.mark.pattern("stepwise-execution")
def test_a_step_is_done_once(scene, incident, probes):
    """A run that is taken up after a crash has what was done, its keys, and no more steps than it may have."""
    rng = scene.rng("runs")
    house = incident.House(scene)
    word = incident.word(rng)
    runs, names = [word, f"{word}/1"], [f"1/{word}", word, incident.word(rng)]  # together, some of them look alike
    most, dies = rng.randrange(5, 9), [runs[1], names[1]]

    async def play():
        first = await house.desk.probe(probes.steps, runs, names, most, dies)
        await house.desk.restart()
        return first, await house.desk.probe(probes.steps, runs, names, most, ["", ""])

    first, second = house.run(play)
    story = [(0.0, f"step {name} of {run} is worked on, with {key}") for run, name, key in first["keys"]]
    later = second["keys"]
    story += [(1.0, f"after a crash, step {name} of {run} is worked on, with {key}") for run, name, key in later]
    keys = {(run, name): key for run, name, key in first["keys"]}
    sees = f"{len(keys)} steps of two runs have {len(set(keys.values()))} keys"
    expect("shared_keys", len(keys) - len(set(keys.values())), at_most=0, unit="keys", code="wrong-key", sees=sees,
           story=story)
    again = [name for run, name, _ in second["keys"] if [run, name] != dies]
    sees = f"a run is taken up after a crash, and {len(again)} steps that were done are done again"
    expect("again", len(again), at_most=0, unit="steps", code="done-again", sees=sees, story=story)
    lost = int(dies not in [each[:2] for each in second["keys"]])
    sees = f"the work of a step has raised ({first['raised'] or 'nobody has heard of it'}), and it is not tried again"
    expect("not_tried", lost + int(first["raised"] != names[1]), at_most=0, unit="steps", code="not-tried", sees=sees,
           story=story)
    other = [name for run, name, key in second["keys"] if keys.get((run, name)) != key]
    sees = "a step is tried again after a crash, with another key than before: what it does is done twice"
    expect("other_key", len(other), at_most=0, unit="steps", code="wrong-key", sees=sees, story=story)
    values = {(run, name): value for run, name, value in second["values"]}
    due = {(run, name): value for run, name, value in first["values"]}
    off = sum(values.get(step) != value for step, value in due.items())
    sees = f"a run is taken up after a crash, and {off} of its {len(due)} steps have come to something else"
    expect("other_values", off, at_most=0, unit="steps", code="done-again", sees=sees, story=story)
    told = [each[1:] for each in first["progress"]]
    right = [[1, 3], [2, 3], [3, 3], [1, 3], [1, 3], [2, 3]]
    sees = f"two runs of 3 steps, of which one fails, say that they are at {told}"
    expect("wrong_progress", int(told != right), at_most=0, code="no-progress", sees=sees, story=story)
    told = [first["limit"], second["limit"], first["old"], first["endless"]]
    sees = f"a run has no end, {most} steps are agreed, and it comes to {told}"
    due = [f"StepLimit {most}", f"StepLimit {most}", "", [most, most]]
    expect("no_limit", int(told != due), at_most=0, code="no-limit", sees=sees, story=story)


@pytest.mark.pattern("stepwise-execution")
def test_a_tool_that_comes_back_changes_no_plan(scene, incident):
    """Something fails, the rest is done without it, and the desk crashes: whatever works again by then, what had failed
    is not done after all, and what was done is there once."""
    rng = scene.rng("tickets")
    rude, mute = [], []  # refuses to write of meals; cannot route
    house = incident.House(scene, fails=[
        faults.failing(0.0, 900.0, 401, when=lambda call: bool(rude) and b"meal: ordered" in call.body),
        faults.failing(0.0, 900.0, 503, when=lambda call: bool(mute) and b'"tools"' not in call.body),
    ])  # fmt: skip
    tickets = [house.special(rng, wishes=("fare", tool), hold=rng.randrange(2), without=tool)
        for tool in ("quote", "weather")]
    two = house.ticket(rng, "meal", "seat", plain=True)
    tickets.append(replace(two, status="failed", mails=two.mails[1:]))
    gone = {"quote": house.gateway.broken, "weather": house.gateway.away, "the model": rude}
    told = {
        "quote": "quote fails for good, and a plan does without it",
        "weather": "weather does not answer, and a plan does without it",
        "the model": "the model refuses the mail about a meal, so that this concern has failed; the seat is served",
    }

    async def play():
        ends = []
        for ticket, (what, where) in zip(tickets, gone.items(), strict=True):
            mute.clear()
            where.add(what) if isinstance(where, set) else where.append(what)
            await house.submit(ticket)
            for _ in range(2_000):
                await asyncio.sleep(0.01)
                if house.effects(ticket, "mail"):
                    break
            crashed = house.sim.now
            house.desk.crash()
            where.clear()
            mute.append("routes are kept")
            await house.desk.start()
            (end,) = await house.settle([ticket], patience=20.0)
            ends.append((what, ticket, crashed, end))
        return ends

    ends = house.run(play)
    wrong = [(*each, amiss) for each in ends if (amiss := house.wrong(each[1], each[3]))]
    what, ticket, crashed, end, amiss = (wrong or [(*ends[0], "")])[0]
    mails, entries = (len(house.effects(ticket, tool)) for tool in ("mail", "ledger"))
    story = sorted([*house.done(ticket), (crashed, f"the desk crashes; when it is up again, {what} works")])
    sees = f"{told[what]}; and the desk crashes. Afterwards {what} works, and only letters cannot be routed; of the"
    sees = f"{sees} ticket, {amiss}; mails sent: {mails}, amounts booked: {entries}. Right is {ticket.status}, and each once"
    expect("amiss", len(wrong), at_most=0, unit="tickets", code="not-once", sees=sees, story=story)


@pytest.mark.pattern("stepwise-execution")
def test_no_crash_does_anything_twice(scene, incident):
    """Crash behind any effect of two tickets, one of them planned: each entry and mail is there once, as decided."""
    rng = scene.rng("crashes")
    other = rng.choice(("baggage", "seat", "upgrade"))

    def play(at):
        house, chance = incident.House(scene), scene.rng("tickets")
        tickets = [house.ticket(chance, "refund", other, plain=True),
            house.special(chance, wishes=("quote", "weather"), hold=1)]

        async def change():
            """The office changes its mind as soon as the refund is booked: what is decided stays so."""
            while all(each.kind != "refund" for each in house.gateway.effects):
                await asyncio.sleep(0.05)
            while (await house.send("PUT", "/policy", json={"policy": "full"})).status == 0:
                await asyncio.sleep(1.0)

        async def scenario():
            house.sim.counts_effects = True
            house.desk.crash_at(at, restart_after=1.0)
            changing = asyncio.create_task(change())
            for ticket in tickets:
                await house.submit(ticket)
            ends = await house.settle(tickets, patience=14.0, every=3.0)
            changing.cancel()
            effects = house.desk.effects
            for _ in range(3):  # the crash may be as late as this
                records = await house.send("GET", "/records")
                if records.status:
                    break
                await asyncio.sleep(2.0)
            return ends, effects, records

        ends, effects, records = house.run(scenario)
        again = house.again(tickets)
        amiss = [amiss for t, end in zip(tickets, ends, strict=True) if (amiss := house.wrong(t, end))]
        rows = sorted((str(row.get("ticket")), str(row.get("route"))) for row in records.body.get("records") or [])
        wrong_records = int(rows != sorted((t.ref, route) for t in tickets for route in t.routes))
        told = f"done again: {again}; records of {incident.listed(route for _, route in rows)};"
        told = f"{told} {'; '.join(amiss) or 'all is as it should be'}"
        return (again, amiss, wrong_records, house.story(told)), effects

    results = enumerate_crashes(play, most=6, rng=rng)
    wrong = [each for each in results if each[0] or each[1] or each[2]]
    again, unsolved, records = (sum(bool(each[at]) for each in results) for at in range(3))
    the_first = next((amiss[0] for _, amiss, *_ in wrong if amiss), "")
    worst = max(wrong, key=lambda each: each[0], default=(0, [], 0, ()))
    sees = f"the desk crashes behind {len(results) - 1} effects of two tickets, one at a time, and {len(wrong)}"
    sees = f"{sees} times they do not end"
    why = [f"{again} times entries or mails are made again"] if again else []
    why += [f"{unsolved} times a ticket is not solved as it was decided ({the_first})"] if unsolved else []
    why += [f"{records} times compliance lacks a record, or has several"] if records else []
    sees = f"{sees} as without a crash: {', '.join(why)}"
    expect("amiss", len(wrong), at_most=0, unit="crash points", code="not-once", sees=sees, story=worst[3])


@pytest.mark.pattern("stepwise-execution")
def test_everybody_sees_how_far_it_is(scene, incident):
    """k of n, while it is under way: it never falls, a crash is no step back, and in the end all is done."""
    rng = scene.rng("tickets")
    house = incident.House(scene, median=rng.uniform(3.0, 5.0))
    ticket = house.ticket(rng, "delay", "seat", plain=True, sky="clear")
    planned = house.special(rng, wishes=("fare", "quote"), hold=0, without="quote")
    house.gateway.broken.add("quote")

    async def play():
        looks = {each.ref: [] for each in (ticket, planned)}
        for each in (ticket, planned):
            await house.submit(each)
        for number in range(70):
            await asyncio.sleep(0.5)
            if number == 16:
                house.desk.crash()
                await house.desk.start()
            under_way = False
            for each in (ticket, planned):
                seen = looks[each.ref]
                if not seen or seen[-1].body.get("status") in (*incident.OPEN, None):
                    seen.append(await house.look(each))
                    under_way = True
            if not under_way:
                break
        return looks[ticket.ref], looks[planned.ref]

    looks, more = house.run(play)
    told = [look.steps for look in looks if look.status == 200]
    story = [(look.ended, f"{look.body.get('status')}: {look.steps[0]} of {look.steps[1]}") for look in looks]
    good = [(k, n) for k, n in told if type(k) is int and type(n) is int and 0 <= k <= n]
    sees = f"a ticket is asked after {len(told)} times, and {len(told) - len(good)} times it does not say how far it is"
    expect("not_said", len(told) - len(good), at_most=0, unit="times", code="no-progress", sees=sees, story=story)
    falls = sum(b[0] < a[0] for a, b in zip(good, good[1:], strict=False))
    sees = f"a ticket is asked after while the desk crashes once, and {falls} times less is done than before"
    expect("falls", falls, at_most=0, unit="times", code="lost-place", sees=sees, story=story)
    distinct = len({k for k, _ in good})
    sees = f"a ticket with two concerns says {distinct} different things about how far it is; 3 are agreed"
    expect("coarse", distinct, at_least=3, unit="steps", code="no-progress", sees=sees, story=story)
    early = sum(k == n for (k, n), look in zip(good, looks, strict=False) if look.body.get("status") == "running")
    sees = f"a ticket is under way, and {early} times it says that all of it is done"
    expect("early", early, at_most=0, unit="times", code="no-progress", sees=sees, story=story)
    last = good[-1] if good else (0, 0)
    wrong = int(looks[-1].body.get("status") != "done" or last[0] != last[1] or not last[0])
    sees = f"a ticket is {looks[-1].body.get('status')!r}, and {last[0]} of {last[1]} steps are done"
    expect("wrong_end", wrong, at_most=0, code="no-progress", sees=sees, story=story)
    told = [(look.body.get("status"), *look.steps) for look in more if look.status == 200]
    story = [(look.ended, f"{look.body.get('status')}: {look.steps[0]} of {look.steps[1]}") for look in more]
    off = [(k, n) for _, k, n in told if not (type(k) is int and type(n) is int and 0 <= k <= n)]
    sees = f"a planned ticket is asked after {len(told)} times, and {len(off)} times it does not say how far it is"
    expect("plan_not_said", len(off), at_most=0, unit="times", code="no-progress", sees=sees, story=story)
    falls = sum(b[1] < a[1] for a, b in zip(told, told[1:], strict=False))
    sees = "a ticket is planned anew, since a tool fails, the desk crashes once, and"
    sees = f"{sees} {falls} times less is done than before"
    expect("plan_falls", falls, at_most=0, unit="times", code="lost-place", sees=sees, story=story)
    early = sum(k == n for status, k, n in told if status == "running")
    status, k, n = told[-1]
    sees = f"a planned ticket says {early} times, while it is under way, that all of it is done; in the end it"
    sees = f"{sees} is {status}, with {k} of {n} steps done"
    wrong = early + int(status != "done" or k != n or not k)
    expect("plan_wrong_end", wrong, at_most=0, unit="times", code="no-progress", sees=sees, story=story)


@pytest.mark.pattern("template-method", "router-agent", "stepwise-execution")
def test_a_tenth_type_arrives_as_a_file(scene, incident):
    """A ticket type of another team is there on all paths; what there was is as it was, the desk's files, too."""
    rng = scene.rng("plug-in")
    name, tool, sad, trouble, rude, deed = (incident.word(rng) for _ in range(6))
    thing, other = f"{incident.word(rng)}s", f"{incident.word(rng)}s"
    cents = rng.randrange(1_000, 9_000)
    text = FLOW.format(
        name=name, tool=tool, sad=sad, thing=thing, other=other, trouble=trouble, rude=rude, deed=deed,
        cents=cents, never="we guarantee it",
    )
    files = sorted(path for path in (scene.service.root / "service").rglob("*.py"))
    before = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    def old_ones(house):
        rng = scene.rng("old")
        return [house.ticket(rng, kind, plain=True) for kind in incident.SAYS]

    plain = incident.House(scene)
    without = old_ones(plain)
    plain.run(lambda: plain.handle(without, patience=20.0))
    house = incident.House(scene, plugins={f"{incident.word(rng)}.py": text}, median=0.5)
    old = old_ones(house)

    def new(said, *routes, more="", **facts):
        booking = house.booking(rng, **facts)
        amount = house.gateway.facts[booking]["quote_cents"] % 1000 + cents
        quote = str(house.gateway.facts[booking]["quote_cents"])
        known = {"seat": (("seat", 1_200), "seat: 1200 cents"), "special": ((), quote), "upgrade": ((), ""),
            name: ((name, amount), f"{name}: {amount} cents"), deed: ((deed, cents), "entry")}
        due = [known[route] for route in routes]
        return incident.Ticket(
            f"N-{booking}", "aero", booking, f"{said} {more}".strip(), routes, "done",
            tuple(entry for entry, _ in due if entry), tuple((line,) for _, line in due),
        )  # fmt: skip

    happy = [new(f"I have lost my {thing}.", name, more=f"booking={house.booking(rng)}"),
        new(f"Where are my {other}?", name)]
    both = new(f"I have lost my {thing}. I need the aisle.", name, "seat")
    fails = new(f"I have lost my {thing}. I need the aisle.", name, "seat", more=f"My word is {trouble}.")
    fails = replace(fails, status="failed", entries=fails.entries[1:], mails=fails.mails[1:])
    held = new(f"I have lost my {thing}. I need the aisle.", name, "seat", more=f"My word is {rude}.")
    held = replace(held, status="held", entries=held.entries[1:], mails=held.mails[1:])
    dear = new(f"Please upgrade me. I have lost my {thing}.", "upgrade", name, more=f"My word is {trouble}.",
        quote_cents=100_001)
    dear = replace(dear, status="held", entries=(), mails=())
    planned = new(f"Please arrange several things: see about {thing} there, and write me an email.", "special")
    wish = f"Please arrange several things: get a quotation, see how {sad} it is, and write me an email."
    replanned = new(wish, "special")
    cut = new(f"Somebody took my {other}.", name)
    wish = f"Please arrange several things: see about {deed} there, and write me an email."
    its_own = [replace(new(wish, deed, more=f"pnr={house.booking(rng)}"), routes=("special",)) for _ in range(3)]

    async def play():
        routes = await house.send("GET", "/routes")
        first = [*old, *happy, both, fails, held, dear, planned, replanned, *its_own[:2]]
        await house.handle(first, patience=20.0)
        for ticket in (cut, its_own[2]):
            await house.submit(ticket)
            for _ in range(200):  # until something is booked
                await asyncio.sleep(0.01)
                if house.effects(ticket, "ledger"):
                    break
            await house.desk.restart()
        ends = await house.settle([*happy, both, cut, planned, replanned, *its_own, fails, held, dear], patience=20.0)
        return routes, ends, await house.send("GET", "/records"), await house.send("GET", "/tickets")

    routes, ends, records, listed = house.run(play)
    known = routes.body.get("routes") or {}
    sees = f"a ticket type arrives as a file, and GET /routes has {len(known)} types, and not that one"
    expect("not_listed", int(name not in known), at_most=0, unit="types", code="plug-in-ignored", sees=sees,
           about="/routes")
    *ends, fails_end, held_end, dear_end = ends
    paths = list(zip([*happy, both, cut, planned, replanned, *its_own], ends, strict=True))
    told = [
        "its first ticket, which names another booking", "another ticket of it",
        "a ticket with another concern beside it",
        "a ticket across a crash", "a plan with its tool", "a plan with a tool of that file that raises",
        *["a plan with a tool of that file that books, for a letter that names another booking"] * 2,
        "a plan with a tool of that file that books, across a crash",
    ]  # fmt: skip
    wrong = [f"{what}: {house.wrong(t, end)}" for what, (t, end) in zip(told, paths, strict=True)
        if house.wrong(t, end)]
    about = next((t for t, end in paths if house.wrong(t, end)), happy[0])
    sees = f"a ticket type and its tools arrive as a file, and are not there on {len(wrong)} of {len(paths)} paths. Of"
    sees = f"{sees} {(wrong or [''])[0]}"
    expect("not_on_all_paths", len(wrong), at_most=0, unit="paths", code="plug-in-ignored", sees=sees,
           story=house.done(about))
    got = [end.body.get("status") for end in (fails_end, held_end)]
    done = sum(name in (e.kind, *e.text.split(": ")) for tool in ("ledger", "mail") for e in house.effects(held, tool))
    sees = f"a new type raises on one ticket, and guarantees something on another: these are {got[0]} and {got[1]},"
    sees = f"{sees} with {done} entries and mails of that type for the latter; right are failed and held, since of two"
    sees = f"{sees} routes the first that is not done counts, and nothing is done"
    expect("unguarded", int(got != ["failed", "held"] or done > 0), at_most=0, code="skipped", sees=sees,
           story=house.done(held))
    for what, ticket, end in (("fails", fails, fails_end), ("is held", held, held_end)):
        amiss = house.wrong(ticket, end)
        sees = f"a ticket has two concerns, of which one {what}, and the other is not served: {amiss}"
        expect("not_served", int(bool(amiss)), at_most=0, unit="tickets", code="others-changed", sees=sees,
               story=house.done(ticket))
    amiss = house.wrong(dear, dear_end)
    sees = f"of the two concerns of a ticket the first is held, the second fails, and the ticket is not held: {amiss}"
    expect("not_the_first", int(bool(amiss)), at_most=0, unit="tickets", code="no-ending", sees=sees,
           story=house.done(dear))
    rows = sorted((str(r.get("route")), str(r.get("status"))) for r in records.body.get("records") or []
        if r.get("route") == name)
    due = sorted([(name, "done")] * 4 + [(name, "failed")] * 2 + [(name, "held")])
    sees = f"seven tickets took the new type, and compliance has {incident.listed(status for _, status in rows)} of it"
    expect("no_record", int(rows != due), at_most=0, code="no-record", sees=sees, about="/records")
    reason = str(ends[3].body.get("reason"))
    sees = f"a ticket is gone on with after a crash, and a handler that is always called is not: its reason is"
    sees = f"{sees} “{incident.shorten(reason, 80)}”"
    expect("past_the_chain", int(not reason.endswith("; seen")), at_most=0, code="skipped", sees=sees,
           story=house.done(cut))
    rows = [row for row in listed.body.get("tickets", []) if name in (row.get("routes") or [])]
    sees = f"seven tickets took the new type, and the list of tickets has {len(rows)} of them"
    expect("not_in_list", int(len(rows) != 7), at_most=0, unit="tickets", code="plug-in-ignored", sees=sees,
           about="GET /tickets")

    def outputs(house, tickets):
        found = [(e.tool, e.tenant, e.booking, e.kind, e.cents, e.text) for e in house.gateway.effects]
        return sorted(each for each in found if each[2] in {t.booking for t in tickets})

    was, now = outputs(plain, without), outputs(house, old)
    off = len(set(was) ^ set(now))
    sees = f"with a tenth type there, {off} entries and mails of the other nine are not what they were, letter by"
    sees = f"{sees} letter"
    expect("others_changed", off, at_most=0, unit="effects", code="others-changed", sees=sees, about="POST /tickets")
    after = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    expect("edited", int(after != before), at_most=0, code="edited", sees="the desk's own files have changed")


@pytest.mark.pattern("planner-executor", "stepwise-execution")
def test_a_day_at_the_desk(scene, incident):
    """A day with a crash and a deploy: 95 of 100 tickets are solved, at 2.5 calls of the model a ticket."""
    rng = scene.rng("day")
    house = incident.House(scene)
    tickets = house.day(rng, 40, ("aero", "borealis"), planned=(1, 4, 8, 11, 14, 18))
    crash, deploy = sorted(rng.sample(range(24, 38), 2))

    async def play():
        for number, ticket in enumerate(tickets):
            if number == crash:
                house.desk.crash()
                await house.desk.start()
            if number == deploy:
                await house.desk.stop()
                await house.desk.start()
            await house.submit(ticket)
            if not 0 < crash - number <= 20:  # twenty at once, and it crashes: some have not been begun
                await asyncio.sleep(0.15)
        return await house.settle(tickets, patience=20.0)

    ends = house.run(play)
    again = house.again(tickets)
    doubled = next((t for t in tickets if len(house.effects(t, "mail")) > len(t.mails)), tickets[0])
    sees = f"{len(tickets)} tickets, a crash and a deploy, and {again} entries and mails are made again"
    expect("again", again, at_most=0, unit="effects", code="done-again", sees=sees, story=house.done(doubled))
    wrong = [(t, house.wrong(t, end)) for t, end in zip(tickets, ends, strict=True) if house.wrong(t, end)]
    share = 100 - 100 * len(wrong) / len(tickets)
    first = wrong[0][0] if wrong else tickets[0]
    a_ticket = house.asked / len(tickets)
    sees = f"{share:.0f} % of {len(tickets)} tickets are solved, at {a_ticket:.2f} calls of the model each;"
    sees = f"{sees} {SOLVED:g} % at {CALLS} are"
    sees = f"{sees} agreed. Of {first.ref}, {(wrong or [('', 'nothing is wrong')])[0][1]}"
    if wrong:
        took = ", ".join(map(str, ends[tickets.index(first)].body.get("routes") or ["no way"]))
        sees = f"{sees}. It took {took}; right is {', '.join(first.routes)}: “{first.text}”"
    expect("solved", share, at_least=SOLVED, unit="%", code="unsolved", sees=sees, story=house.done(first))
    expect("calls", a_ticket, at_most=CALLS, unit="calls", code="too-many-calls", sees=sees, about="/tickets")
    pairs = [(t, end) for t, end in zip(tickets, ends, strict=True) if t.status == "done"]
    off = sum(sorted(map(str, end.body.get("routes") or ())) != sorted(t.routes) for t, end in pairs)
    sees = f"{100 * off / len(pairs):.0f} % of {len(pairs)} tickets are misrouted; {MISROUTED:g} % are agreed"
    expect("misrouted", 100 * off / len(pairs), at_most=MISROUTED, unit="%", code="misrouted", sees=sees,
           about="/tickets")
