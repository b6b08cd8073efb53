"""Stage 2, two writers: entities that are kept apart, and versions that nobody overwrites unseen.

In the order in which they are best solved. What they demand is in the briefing and in the stubs.
"""

import asyncio

import pytest
from grader.plugin import expect

pytestmark = pytest.mark.stage(2)


@pytest.mark.pattern("entity-decomposition")
def test_two_edits_of_one_document_both_hold(scene, incident):
    """Who changes the title does not undo who changes the label."""
    rng = scene.rng("edits")
    house = incident.House(scene, replicas=2)
    count = rng.randrange(6, 9)
    titles = [incident.title_of(rng) for _ in range(count)]

    async def play():
        paths = [
            f"/documents/{await house.add(incident.title_of(rng), incident.text_of(rng, 1), to=n % 2)}" for n in range(count)
        ]
        edits = []
        for at, path in enumerate(paths):
            title = house.send("PATCH", path, to=at % 2, json={"title": titles[at]})
            label = house.send("PATCH", path, to=1 - at % 2, json={"label": f"label {at}"})
            edits += await asyncio.gather(title, label)
        found = [await house.send("GET", path, to=0) for path in paths]
        await house.send("PATCH", paths[0], to=0, json={"label": ""})
        both = {"title": incident.title_of(rng), "label": "both at once"}
        await house.send("PATCH", paths[1], to=0, json=both)
        said = await house.send("GET", paths[1], to=1)
        return edits, found, await house.send("GET", paths[0], to=1), both, {name: said.body.get(name) for name in both}

    edits, found, emptied, both, said = house.run(play)
    refused = [answer for answer in edits if not answer.good]
    sees = f"{len(edits)} edits, two of each document at one moment, and {len(refused)} are refused"
    about = [f"PATCH {answer.path}" for answer in refused[:1]]
    expect("refused", len(refused), at_most=0, unit="edits", code="edit-refused", sees=sees, about=about)
    undone = [
        answer
        for at, answer in enumerate(found)
        if (answer.body.get("title"), answer.body.get("label")) != (titles[at], f"label {at}")
    ]
    sees = f"of {count} documents, the title and the label are changed at one moment, and {len(undone)} edits are undone"
    about = [f"PATCH {answer.path}" for answer in undone[:1]]
    expect("undone", len(undone), at_most=0, unit="edits", code="lost-update", sees=sees, about=about)
    told = [emptied.body.get("title"), emptied.body.get("label")]
    sees = f"a label is taken away (a PATCH with an empty one), and the document has {told}"
    expect("kept", int(told != [titles[0], ""]), at_most=0, unit="edits", code="lost-update", sees=sees, about="PATCH")
    sees = f"title and label are changed by one PATCH, {both}, and the document has {said}"
    expect("half", int(said != both), at_most=0, unit="edits", code="lost-update", sees=sees, about="PATCH")


@pytest.mark.pattern("entity-decomposition")
def test_two_processes_change_different_things(scene, incident, probes):
    """One process changes titles, another labels, of the same documents at the same moments."""
    rng = scene.rng("race")
    titles = [incident.title_of(rng) for _ in range(24)]
    house = incident.House(scene, replicas=2)

    async def play():
        one, other = house.replicas
        idents = await one.probe(probes.adds, titles)
        labels, renames = [["label", "new label"]] * len(idents), [["title", f"title {n}"] for n in range(len(idents))]
        missing = await asyncio.gather(
            one.probe(probes.changes, idents, labels), other.probe(probes.changes, idents, renames)
        )
        return sum(missing), await one.probe(probes.read, idents)

    missing, found = house.run(play)
    sees = f"two processes change {len(titles)} documents, and {missing} times one is told that there is none"
    expect("missing", missing, at_most=0, unit="edits", code="edit-refused", sees=sees, story=[(0.0, sees)])
    undone = [row for at, row in enumerate(found) if row != [f"title {at}", "new label"]]
    story = [(0.0, f"changed to “title …” and “new label”, and it is {row}") for row in undone]
    sees = f"of {len(titles)} documents the title and the label change at one moment, and {len(undone)} edits are undone"
    expect("undone", len(undone), at_most=0, unit="edits", code="lost-update", sees=sees, story=story)


@pytest.mark.pattern("entity-decomposition")
def test_a_new_title_does_not_touch_the_text(scene, incident, probes):
    """A rename writes a name, however long the text is."""
    rng = scene.rng("rename")
    titles = [incident.title_of(rng) for _ in range(3)]
    text = incident.text_of(rng, rng.randrange(300, 500))
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.rename, titles, text))
    story = [(0.0, f"a document of {len(text):,} letters is renamed and labelled"), (0.0, f"{seen['size']:,} are written")]
    told = [seen["changed"], seen["missing"], seen["found"], seen["text"]]
    due = [[True, True], False, [titles[1], "a label"], [1, text]]
    sees = f"a document is renamed and labelled, and there are its title and label {seen['found']}, or not its text"
    expect("wrong", int(told != due), at_most=0, code="lost-update", sees=sees, story=story)
    size = seen["size"]
    sees = f"a document of {len(text):,} letters gets a new title and a label, and {size:,} letters are written"
    expect("written", size, at_most=2000, unit="letters", code="whole-rewritten", sees=sees, story=story)


@pytest.mark.pattern("versioned-data")
def test_of_many_writers_one_succeeds(scene, incident):
    """Twenty put a text on one version: one succeeds, and the others are told."""
    rng = scene.rng("writers")
    house = incident.House(scene, replicas=2)
    texts = [incident.text_of(rng, 1) for _ in range(20)]

    async def play():
        path = f"/documents/{await house.add(incident.title_of(rng), incident.text_of(rng, 1))}"
        seen = await house.send("GET", path)
        etag = seen.headers.get("etag", "")
        blind = await house.send("PUT", f"{path}/text", json={"text": "written blindly"})
        unseen = [  # not the newest
            await house.send("PUT", f"{path}/text", json={"text": "written blindly"}, headers={"if-match": what})
            for what in ('"0"', '"2"', '"99"', '"-1"', '"one"', '""', "some words")
        ]
        unseen.append(await house.send("GET", f"{path}/text?version=2"))
        writers = [
            house.send("PUT", f"{path}/text", to=at % 2, json={"text": text}, headers={"if-match": etag})
            for at, text in enumerate(texts)
        ]
        writers, found = await asyncio.gather(*writers), await house.send("GET", path)
        return blind, unseen, etag, writers, found

    blind, unseen, etag, writers, found = house.run(play)
    sees = f"a text is overwritten by somebody who does not say which version he has seen: {blind.told}"
    expect("blind", int(blind.status != 428), at_most=0, code="written-blindly", sees=sees, about="PUT")
    told = [answer.status for answer in unseen]
    sees = f"a text of one version is overwritten by seven who name another, or none, and version 2 is asked for: {told}"
    off = int(not all(status in (400, 412) for status in told[:-1]) or told[-1] != 404)
    expect("unseen", off, at_most=0, code="written-blindly", sees=sees, about="PUT")
    won = [at for at, answer in enumerate(writers) if answer.good]
    sees = f"twenty have seen version {etag}, and put a text on it; {len(won)} are told that theirs is in force"
    expect("won", len(won), at_most=1, unit="writers", code="lost-update", sees=sees, about="PUT")
    expect("winners", len(won), at_least=1, unit="writers", code="nobody-writes", sees=sees, about="PUT")
    told = sum(answer.status == 412 for answer in writers)
    sees = f"nineteen of twenty come too late, and {told} are told so (412)"
    expect("told", told, at_least=len(texts) - 1, unit="writers", code="wrong-ending", sees=sees, about="PUT")
    right = (found.body.get("text"), found.body.get("version"), writers[won[0]].body.get("version"))
    sees = f"one writer succeeded, and in force is version {right[1]}, with another text than his, or another number"
    expect("not_in_force", int(right != (texts[won[0]], 2, 2)), at_most=0, code="lost-update", sees=sees, about="PUT")


@pytest.mark.pattern("versioned-data")
def test_of_two_replicas_one_succeeds(scene, incident, probes):
    """Two processes put a text on one version, at one moment: one succeeds."""
    rng = scene.rng("race")
    names = [f"document {rng.getrandbits(32)}" for _ in range(20)]
    house = incident.House(scene, replicas=2)

    async def play():
        one, other = house.replicas
        return [
            await asyncio.gather(one.probe(probes.puts, names, "one", newest), other.probe(probes.puts, names, "other", newest))
            for newest in (0, 1)
        ]

    for newest, (here, there) in enumerate(house.run(play)):
        both = [name for name in names if name in here and name in there]
        neither = [name for name in names if name not in here and name not in there]
        what = f"two put a text on version {newest} of a document at one moment, {len(names)} times;"
        story = [(0.0, f"{name}: both are told that their text is version {newest + 1}") for name in both]
        sees = f"{what} {len(both)} times both are told that it worked"
        expect("both_won", len(both), at_most=0, unit="documents", code="lost-update", sees=sees, story=story)
        story = [(0.0, f"{name}: both are told that there is a newer text") for name in neither]
        sees = f"{what} {len(neither)} times neither succeeds"
        expect("none_won", len(neither), at_most=0, unit="documents", code="nobody-writes", sees=sees, story=story)


@pytest.mark.pattern("versioned-data")
def test_every_version_can_be_read(scene, incident, probes):
    """A version, once written, is there for ever."""
    rng = scene.rng("versions")
    texts = [incident.text_of(rng, 1) for _ in range(rng.randrange(11, 14))]
    count = len(texts)
    house = incident.House(scene)
    seen = house.run(lambda: house.replicas[0].probe(probes.versions, texts))
    due = {
        "before the first there is": (None, seen["none"]),
        "they are numbered": (list(range(1, count + 1)), seen["numbers"]),
        "put on another than the newest": (["Conflict"] * 4, seen["conflicts"]),
        "another document begins with": (1, seen["other"]),
        "each can be read": ([[at, text] for at, text in enumerate(texts, 1)], seen["read"]),
        "the newest is": ([count, texts[-1]], seen["newest"]),
        "one that is to come is": (None, seen["beyond"]),
    }
    wrong = [f"{what}: {str(got)[:60]}" for what, (right, got) in due.items() if got != right]
    story = [(0.0, f"{what}: {str(got)[:60]}") for what, (_, got) in due.items()]
    sees = f"of {count} versions, {wrong[0] if wrong else ''}"
    expect("wrong", len(wrong), at_most=0, code="version-lost", sees=sees, story=story)


@pytest.mark.pattern("versioned-data")
def test_an_old_answer_can_still_be_explained(scene, incident):
    """An answer shows the text that it was made from, whatever the text is today."""
    rng = scene.rng("answers")
    house = incident.House(scene, replicas=2, median=2.0)
    texts = [incident.text_of(rng, 1) for _ in range(3)]

    async def play():
        path = f"/documents/{await house.add(incident.title_of(rng), texts[0])}"
        question = {"document": path.rpartition("/")[2], "question": "What does the clause say?"}

        async def rewrite(number):
            await house.send("PUT", f"{path}/text", json={"text": texts[number]}, headers={"if-match": f'"{number}"'})

        await house.send("GET", path, to=1)
        asked = [await house.send("POST", "/ask", to=1, json=question)]
        await rewrite(1)
        asking = asyncio.create_task(house.send("POST", "/ask", to=1, json=question))
        await asyncio.sleep(1.0)  # the model is reading when the text changes
        await rewrite(2)
        asked.append(await asking)
        await house.replicas[0].restart()
        explained = [await house.send("GET", f"/answers/{answer.body.get('id')}") for answer in asked]
        return asked, explained, await house.send("GET", f"{path}/text?version=1"), await house.send("GET", f"{path}/text")

    asked, explained, old, new = house.run(play)
    unexplained = [at for at, answer in enumerate(explained) if answer.body.get("text") != texts[at]]
    sees = f"2 answers were given, the text changed, and {len(unexplained)} of them are explained with a text not theirs"
    about = [f"GET {explained[at].path}" for at in unexplained[:1]]
    expect("unexplained", len(unexplained), at_most=0, unit="answers", code="unexplained", sees=sees, about=about)
    numbers = [answer.body.get("version") for answer in asked]
    sees = f"two answers are from versions 1 and 2, and say {numbers}"
    expect("wrong_version", int(numbers != [1, 2]), at_most=0, code="unexplained", sees=sees, about="/ask")
    read = [(answer.body.get("version"), answer.body.get("text")) for answer in (old, new)]
    sees = f"version 1 and the newest, 3, are read, and there are {read[0][0]} and {read[1][0]}, or other texts"
    expect("not_read", int(read != [(1, texts[0]), (3, texts[2])]), at_most=0, code="version-lost", sees=sees, about="/text")


@pytest.mark.pattern("versioned-data")
def test_a_job_keeps_to_the_text_it_was_ordered_for(scene, incident):
    """A text that changes in the midst of a job is not half in its summary."""
    rng = scene.rng("jobs")
    house = incident.House(scene, median=2.0)
    texts = [incident.text_of(rng, 3) for _ in range(3)]

    async def play():
        document = await house.add(incident.title_of(rng), texts[2])

        async def rewrite(version, text):
            headers = {"if-match": f'"{version}"'}
            await house.send("PUT", f"/documents/{document}/text", json={"text": text}, headers=headers)

        await rewrite(1, texts[0])
        jobs = [await house.order(document, "one"), await house.order(document, "two")]  # the second may have to wait
        await asyncio.sleep(rng.uniform(2.5, 5.5))
        await rewrite(2, texts[1])
        again = await house.order(document, "one")
        jobs.append(await house.order(document, "three"))
        await house.replicas[0].restart()
        ends = [await house.end_of(job.body.get("id"), patience=150.0) for job in jobs]
        return again.body.get("id") == jobs[0].body.get("id"), ends

    same, (end, second, third) = house.run(play)
    sees = "a job is ordered again with its key, after the text has changed, and it is another job"
    expect("another", int(not same), at_most=0, unit="jobs", code="ordered-twice", sees=sees, about="POST /jobs")

    def parts_of(end):
        summary = incident.text_in(end, "result", "summary")
        return [sum(part.rstrip(".") in summary for part in text.split("\n\n")) for text in texts]

    parts = parts_of(end)
    about = ("POST /jobs", "PUT", f"GET {end.path}")
    sees = f"the text changes and the replica restarts in the midst of a job, which is {end.told} {end.body.get('status')!r}"
    expect("lost", int(end.body.get("status") != "done"), at_most=0, unit="jobs", code="job-lost", sees=sees, about=about)
    sees = f"of 3 sections the summary has {parts[0]} of the text that was ordered, and {parts[1]} of a later one"
    expect("torn", int(parts != [3, 0, 0]), at_most=0, unit="summaries", code="torn-summary", sees=sees, about=about)
    others = [parts_of(second), parts_of(third)]
    sees = f"a job that waited when the text changed, and one that was ordered then, have sections of the versions: {others}"
    off = int(others != [[3, 0, 0], [0, 3, 0]])
    expect("others", off, at_most=0, unit="summaries", code="torn-summary", sees=sees, about="POST /jobs")
