"""Stage 3, one tenant, everybody's capacity: quota enforcement.

In the order in which they are best solved. What they demand is in the briefing and in the stub.
"""

import asyncio

import pytest

from grader.plugin import expect

pytestmark = [pytest.mark.stage(3), pytest.mark.pattern("quota-enforcement")]


def test_fifty_at_once_and_ten_get_in(scene, incident):
    """Fifty come at once, at two replicas, to a quota of ten."""
    rng = scene.rng("fifty")
    house = incident.House(scene, replicas=2)
    tenant, other = incident.word(rng), incident.word(rng)
    quota = rng.randrange(8, 12)

    async def play():
        await house.agree(tenant, other, quota=quota)
        chats = [house.chat(tenant, incident.question(rng), to=n % 2) for n in range(50)]
        return await asyncio.gather(*chats, house.chat(other, incident.question(rng)))

    *answers, others = house.run(play)
    good = sum(answer.status == 200 for answer in answers)
    story = house.story(tenant)
    sees = f"fifty questions come at once to a quota of {quota}, and {good} are let in"
    expect("let_in", good, at_most=quota, unit="questions", code="over-quota", sees=sees, about="/chat", story=story)
    expect("let_in_too_few", good, at_least=quota, unit="questions", code="under-quota", sees=sees, about="/chat", story=story)
    calls = len(house.calls(tenant))
    sees = f"{quota} questions are let in, and {calls} calls reach the provider"
    expect("calls", calls, at_most=quota, unit="calls", code="over-quota", sees=sees, about="/chat", story=story)
    odd = [answer.told for answer in answers if answer.status not in (200, 429)]
    sees = f"{len(odd)} questions beyond the quota are not answered 429, but {', '.join(odd[:3])}"
    expect("wrong_status", len(odd), at_most=0, unit="answers", code="wrong-status", sees=sees, about="/chat", story=story)
    silent = sum(answer.wait is None or not 1 <= answer.wait <= 61 for answer in answers if answer.status == 429)
    sees = f"{silent} questions are answered 429, and not told in how many seconds to come again"
    expect("silent", silent, at_most=0, unit="answers", code="no-retry-after", sees=sees, about="/chat", story=story)
    sees = f"another tenant asks one question, within its quota, and is answered {others.told}"
    expect("other_refused", int(others.status != 200), at_most=0, code="hurts-others", sees=sees, about="/chat", story=house.story(other))


def test_there_is_no_second_burst_at_the_edge(scene, incident):
    """A full minute's worth before the minute ends, and another after it: no 60 seconds have more than the quota."""
    rng = scene.rng("edge")
    house = incident.House(scene)
    tenant = incident.word(rng)
    quota = rng.randrange(6, 10)
    first = rng.uniform(53.0, 57.0)

    async def burst(at):
        await house.sim.until(at)
        return await asyncio.gather(*(house.chat(tenant, incident.question(rng)) for _ in range(quota)))

    async def play():
        await house.agree(tenant, quota=quota)
        return [await burst(at) for at in (first, 60.0 + rng.uniform(0.5, 2.0), 90.0, first + 66.0)]

    bursts = house.run(play)
    most = house.most_in(60.0, (entry.arrived for entry in house.calls(tenant)))
    sees = f"a quota is {quota} calls in any 60 s, and the provider sees {most} of them within 60 s"
    expect("most", most, at_most=quota, unit="calls", code="over-quota", sees=sees, about="/chat", story=house.story(tenant))
    early = sum(answer.status == 200 for answer in bursts[0])
    sees = f"a tenant that has asked nothing before asks {quota} questions, its quota, and {early} are let in"
    expect("first", early, at_least=quota, unit="questions", code="under-quota", sees=sees, about="/chat", story=house.story(tenant))
    late = sum(answer.status == 200 for answer in bursts[-1])
    sees = f"66 s after a burst of {quota} questions, which was the quota, there is another, and {late} of it are let in"
    expect("last", late, at_least=quota, unit="questions", code="under-quota", sees=sees, about="/chat", story=house.story(tenant))


def test_retry_after_is_true(scene, incident):
    """Who comes when he was told to gets in, and he was not told to come much later."""
    rng = scene.rng("retry-after")
    house = incident.House(scene, replicas=2)
    tenant, other = incident.word(rng), incident.word(rng)
    moments = [20.0 + rng.uniform(0.0, 4.0), 28.0 + rng.uniform(0.0, 8.0), 40.0 + rng.uniform(0.0, 8.0)]

    async def play():
        await house.agree(tenant, other, quota=len(moments))
        for to in range(2):  # the vocabularies are there
            await house.chat(other, incident.question(rng), to=to)
        let_in = []
        for at in moments:
            await house.sim.until(at)
            let_in.append(await house.chat(tenant, incident.question(rng)))
        told = []
        for number in range(2):
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            answer = await house.chat(tenant, incident.question(rng), to=1)
            for _ in range(3):  # who is turned away does not count
                await house.chat(tenant, incident.question(rng), to=1)
            wait = answer.wait
            await house.sim.until(answer.asked + (30.0 if wait is None else min(wait, 100.0)) + 0.05)
            told.append((answer, moments[number] + 60.0, await house.chat(tenant, incident.question(rng), to=number)))
        return let_in, told

    let_in, told = house.run(play)
    bad = sum(answer.status != 200 for answer in let_in)
    sees = f"{len(let_in)} questions are within the quota, and {bad} are not answered"
    expect("refused", bad, at_most=0, unit="questions", code="under-quota", sees=sees, about="/chat", story=house.story(tenant))
    for answer, free, later in told:
        over = int(answer.status != 429)
        sees = f"{len(moments)} of {len(moments)} questions are used up, and one more is answered {answer.told}"
        expect("over", over, at_most=0, unit="questions", code="over-quota", sees=sees, about="/chat", story=house.story(tenant))
        wait = answer.wait
        due = free - answer.asked
        sees = f"there is room in {due:.1f} s, and the answer says {'nothing' if wait is None else f'{wait:.0f} s'}"
        late = 1e3 if wait is None else wait - due
        expect("late", late, at_most=2.0, unit="s", code="wrong-retry-after", sees=sees, about="/chat", story=house.story(tenant))
        sees = f"somebody was told to come again in {wait or 0:.0f} s, did, and is answered {later.told}"
        expect("turned_away", int(later.status != 200), at_most=0, code="wrong-retry-after", sees=sees, about="/chat", story=house.story(tenant))


def test_work_behind_requests_waits_its_turn(scene, incident):
    """A digest is no way around the quota, and a restart is none; and yet it gets done."""
    rng = scene.rng("jobs")
    house = incident.House(scene, replicas=2)
    tenant, other = incident.word(rng), incident.word(rng)
    quota = rng.randrange(5, 8)

    async def play():
        await house.agree(tenant, other, quota=quota)
        for to in range(2):  # the vocabularies are there
            await house.chat(other, incident.question(rng), to=to)
        sections = [incident.document(rng, tenant, 12) for _ in range(quota + 2)]
        begun = await house.begin(tenant, "/digests", {"sections": sections}, to=1)
        research = await house.begin(tenant, "/research", {"question": incident.question(rng), "steps": quota - 2}, to=1)
        await asyncio.sleep(12.0)
        house.replicas[0].crash()
        await house.replicas[0].start()
        chats = [await house.chat(tenant, incident.question(rng)) for _ in range(3)]
        return chats, await house.ends(tenant, begun.run, research.run, patience=280.0, to=1)

    chats, ends = house.run(play)
    most = house.most_in(60.0, (entry.arrived for entry in house.calls(tenant)))
    sees = f"a quota is {quota} calls in any 60 s; a digest and a research make {most} of them within 60 s"
    expect("most", most, at_most=quota, unit="calls", code="over-quota", sees=sees, about=("/digests", "/research"), story=house.story(tenant))
    over = sum(answer.status == 200 for answer in chats)
    sees = f"a digest has used up the quota, a replica is restarted, and it lets in {over} of 3 questions"
    expect("over", over, at_most=0, unit="questions", code="over-quota", sees=sees, about=("/digests", "/research"), story=house.story(tenant))
    sees = f"a digest and a research of {2 * quota} calls, {quota} a minute: minutes later, they are {' and '.join(ends)}"
    expect("not_done", sum(end != "done" for end in ends), at_most=0, unit="runs", code="never-done", sees=sees, about=("/digests", "/research"), story=house.story(tenant))


def test_documents_count_too(scene, incident):
    """A document is one of the quota, though many go in one call."""
    rng = scene.rng("documents")
    house = incident.House(scene, replicas=2)
    tenant, tag, quota = incident.word(rng), incident.word(rng), rng.randrange(4, 7)

    async def play():
        await house.agree(tenant, quota=quota)
        texts = [incident.document(rng, tag, 12) for _ in range(quota + 3)]
        await asyncio.gather(*(house.begin(tenant, "/documents", {"text": text}, to=to) for to, text in enumerate(texts)))
        await asyncio.sleep(8.0)
        chat = await house.chat(tenant, incident.question(rng))
        await house.sim.until(50.0)
        return chat

    chat = house.run(play)
    embedded = sum(call.prompt.count(tag) for call in house.calls())
    sees = f"{quota + 3} documents come at once to a quota of {quota}, and {embedded} are embedded within a minute"
    expect("embedded", embedded, at_most=quota, unit="documents", code="over-quota", sees=sees, about="/documents", story=house.story(tenant))
    expect("embedded_too_few", embedded, at_least=quota, unit="documents", code="under-quota", sees=sees, about="/documents", story=house.story(tenant))
    sees = f"documents have used up the quota, and a question is answered {chat.told}"
    expect("over", int(chat.status != 429), at_most=0, code="over-quota", sees=sees, about="/chat", story=house.story(tenant))


def test_a_noisy_tenant_hurts_nobody(scene, incident):
    """A script that has gone wrong asks without end; the others are answered as ever."""
    rng = scene.rng("noise")
    house = incident.House(scene, replicas=2, median=1.2, slots=8)
    noisy, *others = [incident.word(rng) for _ in range(4)]
    quota, begins, asked = 20, 10.0, 48

    async def at(moment, who, to):
        await house.sim.until(moment)
        return await house.chat(who, incident.question(rng), to=to, timeout=30.0)

    async def play():
        await house.agree(noisy, *others, quota=quota)
        await asyncio.gather(*(house.chat(others[0], incident.question(rng), to=to) for to in range(2)))
        body = {"sections": [incident.document(rng, noisy, 12) for _ in range(40)]}
        noise = [at(begins + number / 8, noisy, number) for number in range(asked)]
        visits = [at(begins + 1.0 + 4.0 * number + place, who, number) for number in range(6) for place, who in enumerate(others)]
        digests = [house.begin(noisy, "/digests", body, to=to) for to in range(2)]
        await house.sim.until(begins)
        answers, *_ = await asyncio.gather(asyncio.gather(*visits), asyncio.gather(*noise), *digests)
        return answers

    answers = house.run(play)
    good = [answer for answer in answers if answer.status == 200 and answer.ended - answer.asked <= 10.0]
    share = 100 * len(good) / len(answers)
    slowest = max(answer.ended - answer.asked for answer in answers)
    sees = f"one tenant asks without end, and {share:.0f} % of the others' questions are answered within 10 s; the slowest takes {slowest:.0f} s"
    expect("others", share, at_least=99.0, unit="%", code="hurts-others", sees=sees, about="/chat", story=house.story(others[0]))
    calls = [entry.arrived for entry in house.calls(noisy)]
    most = house.most_in(60.0, calls)
    sees = f"the noisy tenant's quota is {quota} calls in any 60 s, and it has {most}"
    expect("most", most, at_most=quota, unit="calls", code="over-quota", sees=sees, about="/chat", story=house.story(noisy))
    sees = f"the noisy tenant may have {quota} calls, wants more, and gets {most}"
    expect("least", most, at_least=0.9 * quota, unit="calls", code="under-quota", sees=sees, about="/chat", story=house.story(noisy))
