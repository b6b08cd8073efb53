"""Stage 4, three sources, and things that must go: one shape for all, and what is deleted.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from grader.plugin import expect
from grader.sim import enumerate_crashes

pytestmark = pytest.mark.stage(4)

DAYS = 30
GONE = (404, 410)
SLIPPERY = [cents for cents in range(1, 5000) if int(float(f"{cents / 100:.2f}") * 100) != cents]
TWICE = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # in Berlin, the two hours from here on have one name


def bookings(rng, count):
    """[source, raw, the booking that it is]: numbers that all sources use, odd cents, and the hour that comes twice."""
    made = []
    for at in range(count):
        source = ("web", "partner", "counter")[at % 3]
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(86_400 * 300))
        if at < 6:
            moment = TWICE + timedelta(seconds=rng.randrange(3600) + 3600 * (at // 3))
        cents, number = rng.choice(SLIPPERY), 1000 + at // 3
        extra = {"seat": f"{rng.randrange(40)}A", "source": "a travel agency", "extra": [at]} if rng.random() < 0.6 else {}
        extra |= {"bags": 0, "note": "", "vip": False, "agent": None} if rng.random() < 0.5 else {}
        euros = f"{cents / 100:.2f}"
        if source == "web":
            local = moment.astimezone(timezone(timedelta(hours=rng.randrange(-8, 9))))
            raw = {"id": number, "amount": euros, "time": local.isoformat()}
        elif source == "partner":
            raw = {"ref": str(number), "amount_cents": cents, "epoch": int(moment.timestamp())}
        else:
            local = moment.astimezone(ZoneInfo("Europe/Berlin"))
            raw = {"no": number, "amount": euros.replace(".", ","), "dst": bool(local.dst())}
            raw["local"] = local.strftime("%Y-%m-%d %H:%M:%S")
        booking = [f"{source}:{number}", source, cents, moment.strftime("%Y-%m-%dT%H:%M:%SZ"), extra]
        made.append([source, raw | extra, booking])
    return made


@pytest.mark.pattern("canonical-data-model")
def test_three_sources_have_one_shape(scene, incident, probes):
    """Cents, UTC and ids of their own, whoever sends; and a fourth source is one function."""
    rng = scene.rng("bookings")
    made = bookings(rng, 18)
    good = {source: raw for source, raw, _ in made}
    fields = {"web": ("id", "amount", "time"), "partner": ("ref", "amount_cents", "epoch")}
    fields["counter"] = ("no", "amount", "local", "dst")
    nonsense = [["nobody", good["web"]]]
    for name, some in fields.items():
        for missing in some:
            nonsense.append([name, {field: value for field, value in good[name].items() if field != missing}])
    nonsense += [["web", good["web"] | {"amount": odd}] for odd in ("12.345", "nan", "", None)]
    nonsense += [["partner", good["partner"] | {"amount_cents": odd}] for odd in (12.7, "1230.5", "many")]
    nonsense += [["counter", good["counter"] | {"amount": "12,345"}], ["partner", good["partner"] | {"epoch": "now"}]]
    nonsense += [["web", good["web"] | {"amount": "twelve"}], ["web", good["web"] | {"time": "2026-03-01T10:30:00"}]]
    nonsense += [["partner", good["partner"] | {"amount_cents": None}], ["counter", good["counter"] | {"local": "noon"}]]
    source = f"kiosk {rng.randrange(100)}"
    house = incident.House(scene)
    raws = [[name, raw] for name, raw, _ in made]
    seen = house.run(lambda: house.replicas[0].probe(probes.canonical, raws, nonsense, source))
    names = ("id", "source", "amount_cents", "at", "extra")
    wrong, story = [], []
    for (name, raw, booking), got in zip(made, seen["seen"], strict=True):
        for field, right, value in zip(names, booking, got, strict=True):
            if right != value:
                wrong.append(f"{name} sends {raw}: {field} is {value!r}, and should be {right!r}")
    story += [(0.0, text) for text in wrong[:4]]
    sees = f"of {len(made)} bookings, {len(wrong)} fields are wrong: {wrong[0] if wrong else ''}"
    expect("wrong_fields", len(wrong), at_most=0, unit="fields", code="wrong-booking", sees=sees, story=story)
    taken = [[given, got] for given, got in zip(nonsense, seen["refused"], strict=True) if got != "Unmappable"]
    story = [(0.0, f"{name} sends {raw}, which is {got}") for (name, raw), got in taken]
    sees = f"of {len(nonsense)} bookings that make no sense, {len(taken)} are taken"
    expect("nonsense", len(taken), at_most=0, unit="bookings", code="nonsense-taken", sees=sees, story=story)
    own = [[f"{source}:one", source, 700, "2026-01-05T09:00:00Z", {"plug": True}], "Unmappable"]
    story = [(0.0, f"{source!r} is registered, and its bookings are {seen['own']}")]
    sees = f"a fourth source is registered, and what it sends comes to {seen['own']}"
    expect("fourth", int(seen["own"] != own), at_most=0, code="closed", sees=sees, story=story)


@pytest.mark.pattern("canonical-data-model")
def test_the_list_does_not_care_who_sent_it(scene, incident):
    """All bookings in one list, by time, and one sum; what is sent again is one booking."""
    rng = scene.rng("bookings")
    house = incident.House(scene, replicas=2)
    made = bookings(rng, 9)

    async def play():
        sent = [await house.send("POST", f"/bookings/{name}", to=at % 2, json=raw) for at, (name, raw, _) in enumerate(made)]
        again = [await house.send("POST", f"/bookings/{made[0][0]}", to=1, json=made[0][1])]
        odd = [await house.send("POST", "/bookings/web", json=raw) for raw in ({"id": 1}, {"id": 2, "amount": [], "time": 3})]
        odd.append(await house.send("POST", "/bookings/web", body=b"{", headers={"content-type": "application/json"}))
        await house.replicas[0].restart()
        return sent + again, odd, await house.send("GET", "/bookings")

    sent, odd, listed = house.run(play)
    refused = [answer.told for answer in sent if not answer.good]
    sees = f"{len(sent)} bookings are sent, and {len(refused)} are refused: {refused[:1]}"
    expect("refused", len(refused), at_most=0, unit="bookings", code="refused", sees=sees, about="POST")
    taken = sum(not 400 <= answer.status < 500 for answer in odd)
    sees = f"bookings that make no sense are answered {[answer.told for answer in odd]}"
    expect("nonsense", taken, at_most=0, unit="bookings", code="nonsense-taken", sees=sees, about="POST")
    found = listed.body.get("bookings")
    found = [row if isinstance(row, dict) else {} for row in found] if isinstance(found, list) else []
    idents = [row.get("id") for row in found]
    due = [booking for *_, booking in sorted(made, key=lambda each: (each[2][3], each[2][0]))]
    sees = f"{len(made)} bookings, one of them sent twice, and the list ({listed.told}) has {len(idents)}, or others"
    off = int(sorted(map(str, idents)) != sorted(booking[0] for booking in due))
    expect("not_listed", off, at_most=0, code="wrong-list", sees=sees, about="GET /bookings")
    names = ("id", "source", "amount_cents", "at", "extra")
    shapes = {booking[0]: dict(zip(names, booking, strict=True)) for *_, booking in made}
    odd = [row for row in [*found, *(answer.body for answer in sent)] if row != shapes.get(str(row.get("id")))]
    sees = f"of the bookings that are answered and listed, {len(odd)} are not as they were sent: {str(odd[:1]):.120}"
    expect("other_shape", len(odd), at_most=0, unit="bookings", code="wrong-booking", sees=sees, about="/bookings")
    moments = [str(row.get("at")) for row in found]
    sees = f"the bookings are listed by time, and these are the moments: {moments[:3]}"
    expect("disorder", int(moments != [booking[3] for booking in due]), at_most=0, code="wrong-list", sees=sees, about="GET")
    total = sum(booking[2] for booking in due)
    sees = f"the bookings come to {total} cents, and the sum says {listed.body.get('total_cents')!r}"
    off = int(listed.body.get("total_cents") != total)
    expect("wrong_sum", off, at_most=0, code="wrong-list", sees=sees, about="GET /bookings")


async def _furnish(house, incident, rng):
    """A document with a label, a summary and an answer: {what: path}, all its words, and those it had before."""
    titles, labels = [incident.title_of(rng) for _ in range(2)], [f"label {rng.getrandbits(40)}" for _ in range(2)]
    text, question = incident.text_of(rng, 2), f"What does clause {rng.getrandbits(40)} say?"
    document = await house.add(titles[0], text)
    await house.send("PATCH", f"/documents/{document}", json={"label": labels[0]})
    await house.send("PATCH", f"/documents/{document}", json={"label": labels[1], "title": titles[1]})
    asked = await house.send("POST", "/ask", json={"document": document, "question": question})
    job = await house.order(document, f"order of {document}")
    await house.end_of(job.body.get("id"), patience=60.0)
    paths = {
        "the document": f"/documents/{document}",
        "its text": f"/documents/{document}/text",
        "its summary": f"/jobs/{job.body.get('id')}",
        "an answer from it": f"/answers/{asked.body.get('id')}",
    }
    return document, paths, [titles[1], labels[1], question, *text.split("\n\n")], [titles[0], labels[0]]


@pytest.mark.pattern("soft-delete")
def test_what_is_deleted_is_nowhere(scene, incident):
    """A deleted document is gone from every path; restored, it is as it was."""
    rng = scene.rng("documents")
    house = incident.House(scene, replicas=2)

    async def play():
        await house.add(incident.title_of(rng), incident.text_of(rng, 1))
        document, paths, words, _ = await _furnish(house, incident, rng)
        paths["its first text"] = f"{paths['its text']}?version=1"
        for path in paths.values():  # the other replica has seen it, too
            await house.send("GET", path, to=1)
        whole = {what: await house.send("GET", path) for what, path in paths.items()}
        living = await house.send("POST", f"/documents/{document}/restore")
        deleted = await house.send("DELETE", paths["the document"])
        later = {what: await house.send("GET", path, to=1) for what, path in paths.items()}
        later["it, to be deleted again"] = await house.send("DELETE", paths["the document"])
        later["its job, ordered again"] = await house.order(document, f"order of {document}")
        later["it, to be restored though it is not deleted"] = living
        later["an edit"] = await house.send("PATCH", paths["the document"], json={"label": "x"})
        headers = {"if-match": '"1"'}
        later["a new text"] = await house.send("PUT", paths["its text"], json={"text": "x"}, headers=headers)
        asked = {"document": document, "question": "What now?"}
        later["a question"] = await house.send("POST", "/ask", json=asked)
        later["a new job"] = await house.order(document, "another")
        listed = await house.send("GET", "/documents")
        restored = await house.send("POST", f"/documents/{document}/restore")
        again = {what: await house.send("GET", path) for what, path in paths.items()}
        history = await house.send("GET", f"{paths['the document']}/history")
        return whole, deleted, later, listed, restored, again, words, history

    whole, deleted, later, listed, restored, again, words, history = house.run(play)
    sees = f"a document is deleted, and that is answered {deleted.told}"
    expect("not_deleted", int(not deleted.good), at_most=0, code="still-there", sees=sees, about="DELETE")
    there = [what for what, answer in later.items() if answer.good]
    about = ["DELETE", *(f"{later[what].method} {later[what].path}" for what in there[:1])]
    sees = f"a document is deleted, and {', '.join(there)}: answered as if nothing had been"
    expect("still_there", len(there), at_most=0, unit="paths", code="still-there", sees=sees, about=about)
    told = {what: answer.told for what, answer in later.items() if answer.status not in GONE}
    sees = f"a document is deleted, and instead of 404 there is {told}"
    expect("wrong_status", len(told), at_most=0, unit="paths", code="wrong-ending", sees=sees, about="DELETE")
    rows = listed.body.get("documents")
    titles = [row.get("title") if isinstance(row, dict) else row for row in rows] if isinstance(rows, list) else []
    sees = f"of two documents one is deleted; the list has {len(titles)}, and counts {listed.body.get('count')!r}"
    off = int(words[0] in titles or len(titles) != 1 or listed.body.get("count") != 1)
    expect("still_listed", off, at_most=0, code="still-there", sees=sees, about="GET /documents")
    sees = f"a document was deleted a moment ago, and is to be restored: {restored.told}"
    expect("not_restored", int(not restored.good), at_most=0, code="not-restored", sees=sees, about="/restore")
    changed = [what for what in whole if again[what].body != whole[what].body or not whole[what].body]
    sees = f"a document was deleted and restored, and {', '.join(changed)} is not as it was"
    expect("changed", len(changed), at_most=0, unit="paths", code="not-restored", sees=sees, about="/restore")
    kinds = [event.get("kind") for event in history.body.get("events", [])]
    due = ["created", "edited", "edited", "asked", "summarised", "deleted", "restored"]
    sees = f"a document was deleted once, and restored once, and its history says {kinds} instead of {due}"
    off = int(kinds != due)
    expect("no_event", off, at_most=0, code="no-history", sees=sees, about="/history")


@pytest.mark.pattern("soft-delete")
def test_its_title_is_free(scene, incident):
    """The title of a deleted document can be given again, and then it cannot come back."""
    rng = scene.rng("titles")
    house = incident.House(scene)
    title = incident.title_of(rng)
    texts = [incident.text_of(rng, 1) for _ in range(2)]

    async def play():
        old = await house.add(title, texts[0])
        await house.send("DELETE", f"/documents/{old}")
        new = await house.send("POST", "/documents", json={"title": title, "text": texts[1]})
        restored = await house.send("POST", f"/documents/{old}/restore")
        found = await house.send("GET", f"/documents/{new.body.get('id')}")
        await house.send("DELETE", f"/documents/{new.body.get('id')}")
        late = await house.send("POST", f"/documents/{old}/restore")
        old_one = await house.send("GET", f"/documents/{old}")
        return new, restored, found, late, old_one

    new, restored, found, late, old = house.run(play)
    sees = f"a document was deleted, and its title is given to a new one: {new.told}"
    expect("not_free", int(new.status != 201), at_most=0, code="title-taken", sees=sees, about="POST /documents")
    sees = f"a document is to be restored, whose title another has by now: {restored.told}"
    expect("wrong_status", int(restored.status != 409), at_most=0, code="not-restored", sees=sees, about="/restore")
    wrong = int(found.body.get("text") != texts[1] or not late.good or old.body.get("text") != texts[0])
    sees = f"two documents had one title, one after the other, and the first is now {old.told}, the second was {found.told}"
    expect("mixed_up", wrong, at_most=0, code="not-restored", sees=sees, about="/restore")


@pytest.mark.pattern("soft-delete")
def test_after_thirty_days_nothing_is_left(scene, incident):
    """A purge takes what is 30 days old, to the second, and leaves no word of it."""
    rng = scene.rng("documents")
    house = incident.House(scene)
    replica = house.replicas[0]

    async def play():
        purged, _, words, before = await _furnish(house, incident, rng)
        kept, kept_paths, kept_words, _ = await _furnish(house, incident, rng)
        words += before
        second = incident.text_of(rng, 200)  # a second version, over some pages, and a job that was never done
        put = {"json": {"text": second}, "headers": {"if-match": '"1"'}}
        await house.send("PUT", f"/documents/{purged}/text", **put)
        words += second.split("\n\n")
        other, _, other_words, before = await _furnish(house, incident, rng)
        words += other_words + before
        usage = await house.send("GET", "/usage")
        await house.order(purged, "never done")
        for document in (kept, purged, other):
            await house.send("DELETE", f"/documents/{document}")
        deleted = house.sim.now
        await replica.stop()
        await house.sim.skip(seconds=DAYS * 86_400 - 1.0 - (house.sim.now - deleted))
        await replica.start()
        early = await house.send("POST", "/purge")
        twice = await house.send("DELETE", f"/documents/{purged}")  # it is deleted: that is no new beginning
        restored = await house.send("POST", f"/documents/{kept}/restore")
        whole = [(await house.send("GET", path)).status for path in kept_paths.values()]
        ordered = await house.order(kept, f"order of {kept}")  # as it was a month ago
        await asyncio.sleep(2.0)
        tardy = await house.send("POST", f"/documents/{other}/restore")
        late = await house.send("POST", "/purge")
        await house.send("DELETE", f"/documents/{kept}")  # from here on, it is thirty days again
        again = await house.send("POST", "/purge")
        await house.send("POST", f"/documents/{kept}/restore")
        back = await house.send("POST", f"/documents/{purged}/restore")
        await house.send("POST", "/usage/rebuild")
        used = await house.send("GET", "/usage")
        history = await house.send("GET", f"/documents/{purged}/history")
        await replica.stop()
        found = house.on_disk(*words)
        missing = len(kept_words) - len(house.on_disk(*kept_words))
        stays = [used.body.get(document) for document in (purged, other)] == [usage.body.get(d) for d in (purged, other)]
        same = ordered.good and f"/jobs/{ordered.body.get('id')}" == kept_paths["its summary"]
        ends = early, twice, restored, tardy, late, again, back
        return [purged, other], ends, history, found, missing, stays, used, whole, same

    purged, ends, history, found, missing, stays, used, whole, same = house.run(play)
    early, twice, restored, tardy, late, again, back = ends
    sees = f"a second before 30 days are over, a purge is answered {early.told}, and takes {early.body.get('purged')!r}"
    expect("early", int(early.body.get("purged") != []), at_most=0, code="purged-early", sees=sees, about="/purge")
    sees = f"a second before 30 days are over, a document is to be restored: {restored.told}"
    expect("not_restored", int(not restored.good), at_most=0, code="not-restored", sees=sees, about="/restore")
    sees = f"a document is restored after a month, and it, its text, its summary and its answer are {whole}"
    expect("not_whole", int(whole != [200] * 4), at_most=0, code="not-restored", sees=sees, about="/restore")
    sees = "a document is restored after a month, its job is ordered again with its key, and is another job"
    expect("another_job", int(not same), at_most=0, unit="jobs", code="ordered-twice", sees=sees, about="POST /jobs")
    sees = f"a document that is deleted is to be deleted again, and that is answered {twice.told}"
    expect("twice", int(twice.status not in GONE), at_most=0, code="still-there", sees=sees, about="DELETE")
    sees = f"a second after 30 days, before the purge, a document is to be restored: {tardy.told}"
    expect("tardy", int(tardy.status not in GONE), at_most=0, code="not-purged", sees=sees, about="/restore")
    sees = f"a second after 30 days, a purge is answered {late.told}, and takes {late.body.get('purged')!r}"
    taken = late.body.get("purged")
    off = int(not isinstance(taken, list) or sorted(taken) != sorted(purged))
    expect("late", off, at_most=0, code="not-purged", sees=sees, about="/purge")
    sees = f"what was purged is purged, and a second purge takes {again.body.get('purged')!r}"
    expect("again", int(again.body.get("purged") != []), at_most=0, code="not-purged", sees=sees, about="/purge")
    sees = f"two documents were purged, the usage is rebuilt, and is {used.body}"
    expect("usage_gone", int(not stays or not used.body), at_most=0, code="wrong-totals", sees=sees, about="/usage")
    sees = f"a document was purged, and is to be restored: {back.told}"
    expect("came_back", int(back.status not in GONE), at_most=0, code="not-purged", sees=sees, about="/restore")
    sees = f"a document was purged, and on the disk there is still {found[:1]}, and {max(0, len(found) - 1)} more"
    expect("left", len(found), at_most=0, unit="phrases", code="not-purged", sees=sees, about="/purge")
    events = history.body.get("events")
    kinds = [event.get("kind") for event in events if isinstance(event, dict)] if isinstance(events, list) else []
    sees = f"a document was purged, and its history ends with {kinds[-2:]}"
    wrong = int(kinds[:1] != ["created"] or kinds[-2:] != ["deleted", "purged"])
    expect("no_tombstone", wrong, at_most=0, code="no-history", sees=sees, about="/history")
    sees = f"a document was restored in time, and {missing} of its words are gone from the disk"
    expect("lost", missing, at_most=0, unit="phrases", code="purged-early", sees=sees, about="/purge")


@pytest.mark.pattern("soft-delete")
def test_no_crash_comes_between_a_deletion_and_its_event(scene, incident):
    """Crash behind every effect: what is deleted, restored and purged is in the history."""
    rng = scene.rng("deletions")
    title, text = incident.title_of(rng), incident.text_of(rng, 1)
    all_of_them = ["created", "deleted", "restored", "deleted", "purged"]

    def play(crash_at):
        house = incident.House(scene)
        replica = house.replicas[0]

        async def scenario():
            path = f"/documents/{await house.add(title, text)}"
            house.sim.counts_effects = True
            replica.crash_at(crash_at, restart_after=1.0)
            steps = [("DELETE", path), ("POST", f"{path}/restore"), ("DELETE", path), ("POST", "/purge")]
            answered = 1  # up to the crash
            for method, where in steps:
                if where == "/purge":
                    replica.set_wall_clock(31 * 86_400.0)
                if not (await house.send(method, where)).status:
                    break
                answered += 1
            await asyncio.sleep(2.0)
            effects = replica.effects
            found = await house.send("GET", path)
            if answered >= 4:  # the last step was the purge: it is done again, and then it is done
                await house.send("POST", "/purge")
            return answered, effects, found, await house.send("GET", f"{path}/history")

        answered, effects, found, history = house.run(scenario)
        events = history.body.get("events")
        kinds = [event.get("kind") for event in events if isinstance(event, dict)] if isinstance(events, list) else []
        due = all_of_them if answered >= 4 else all_of_them[: len(kinds)]
        gone = found.status in GONE
        right = kinds == due and answered <= len(kinds) <= answered + 1 and gone == (kinds[-1] in ("deleted", "purged"))
        told = f"the document is {found.told}, its history says {kinds or history.told}, and what happened is"
        told = f"{told} {all_of_them[: max(answered, min(len(kinds), answered + 1))]}"
        return (right, told, house.story(told)), effects

    results = enumerate_crashes(play, most=6, rng=rng)
    apart = [result for result in results if not result[0]]
    sees = f"in {len(apart)} of {len(results)} runs, all but one with a crash, a deletion and its event are apart: {(apart or [['', '']])[0][1]}"
    story = apart[0][2] if apart else ()
    expect("apart", len(apart), at_most=0, unit="crash points", code="no-history", sees=sees, story=story)


@pytest.mark.pattern("soft-delete")
def test_two_delete_at_one_moment(scene, incident):
    """Deleted, restored and purged at both replicas at one moment: each happens once."""
    rng = scene.rng("twice")
    house = incident.House(scene, replicas=2)
    count = 4

    async def both(method, path, **rest):
        return await asyncio.gather(*(house.send(method, path, to=to, **rest) for to in (0, 1)))

    async def play():
        idents = [await house.add(incident.title_of(rng), incident.text_of(rng, 1)) for _ in range(count)]
        for ident in idents:
            path = f"/documents/{ident}"
            await both("DELETE", path)
            await both("POST", f"{path}/restore")
            await house.send("DELETE", path)
        for replica in house.replicas:
            replica.set_wall_clock(31 * 86_400.0)
        purged = await both("POST", "/purge")
        histories = [await house.send("GET", f"/documents/{ident}/history") for ident in idents]
        raced = []
        for number in range(12):
            path = f"/documents/{await house.add(f'race {number}', 'A text.')}"
            put = {"json": {"text": "Another."}, "headers": {"if-match": '"1"'}}
            await asyncio.gather(house.send("DELETE", path, to=number % 2), house.send("PUT", f"{path}/text", to=1 - number % 2, **put))
            raced.append(await house.send("GET", f"{path}/history"))
        return purged, histories, raced

    purged, histories, raced = house.run(play)

    def kinds_of(history):
        events = history.body.get("events")
        return [event.get("kind") for event in events] if isinstance(events, list) else history.told

    due = ["created", "deleted", "restored", "deleted", "purged"]
    wrong = [kinds_of(history) for history in histories if kinds_of(history) != due]
    sees = f"{count} documents are deleted, restored and purged at both replicas at one moment, and {len(wrong)} histories say {wrong[:1]}"
    expect("twice", len(wrong), at_most=0, unit="histories", code="no-history", sees=sees, about="/history")
    named = sum(len(answer.body.get("purged") or []) for answer in purged)
    sees = f"{count} documents are purged at both replicas at one moment, and {named} ids are told"
    expect("told_twice", int(named != count), at_most=0, code="not-purged", sees=sees, about="/purge")
    late = [kinds_of(history) for history in raced if kinds_of(history)[-1:] != ["deleted"]]
    sees = f"12 documents are deleted and rewritten at one moment, and {len(late)} histories say {late[:1]}"
    expect("after_the_end", len(late), at_most=0, unit="histories", code="still-there", sees=sees, about="PUT")


@pytest.mark.pattern("soft-delete")
def test_a_deleted_document_holds_up_no_job(scene, incident):
    """A job whose document is deleted while it waits holds up nobody."""
    rng = scene.rng("jobs")
    house = incident.House(scene, median=rng.uniform(1.0, 2.0))

    async def play():
        documents = [await house.add(incident.title_of(rng), incident.text_of(rng, 2)) for _ in range(3)]
        jobs = [await house.order(document, "one") for document in documents]
        await house.send("DELETE", f"/documents/{documents[1]}")
        return await house.end_of(jobs[2].body.get("id"), patience=60.0)

    end = house.run(play)
    sees = f"three jobs are ordered, the document of the second is deleted, and the third is {end.body.get('status')!r}"
    wrong = int(end.body.get("status") != "done")
    expect("held_up", wrong, at_most=0, unit="jobs", code="job-lost", sees=sees, about=("DELETE", f"GET {end.path}"))
