"""Small functions that run beside the service, and return plain values. What they should return is not in here."""

import asyncio
import time


# ------------------------------------------------------------------------------------------------ stage 1


async def naive(ports, question, passages, answers):
    """Ask the same again and again, while what is found and said changes; at the end nothing is found."""
    searched, prompts, turn = [], [], 0

    async def retrieve(asked):
        searched.append(asked)
        return [] if turn >= len(passages) else list(passages[turn])

    async def generate(prompt):
        prompts.append(prompt)
        return answers[turn] if turn < len(answers) else "The fee is 10 euros."

    said = []
    for turn in range(len(passages) + 1):
        said.append(await ports.answer(question, retrieve, generate))
    return {"said": said, "searched": searched, "prompts": prompts}


def chunks(ports, texts, most):
    """Each document's pieces."""
    seen = []
    for text in texts:
        try:
            found = ports.chunk(text, most)
        except NotImplementedError:
            raise
        except Exception as error:
            seen.append([{"text": repr(error), "start": 0, "end": 0, "header": "", "tokens": 0}])
            continue
        seen.append([
            {"text": each.text, "start": each.start, "end": each.end, "header": each.header, "tokens": ports.count(each.text)}
            for each in found
        ])  # fmt: skip
    return seen


def admitted(ports, cases):
    """For each region, day and metadata, whether the document holds."""
    return [bool(ports.admits(where, when)(dict(metadata))) for where, when, metadata in cases]


# ------------------------------------------------------------------------------------------------ stage 2


def fused(ports, cases):
    """The order of each pair of scorings."""
    return [list(ports.fuse(dict(dense), dict(lexical))) for dense, lexical in cases]


async def stages(ports, cases):
    """Search rankings of several sizes, with a second stage that turns them round: what it was given, and the result."""
    seen = []
    for ranked, n, k in cases:
        given = []

        async def refine(idents):
            given.append(list(idents))
            return list(reversed(idents))

        seen.append({"found": list(await ports.search(list(ranked), refine, n=n, k=k)), "given": given})
    return seen


async def reranked(ports, cases):
    """Rerank with a reranker that answers as told: what comes back, what it was asked, and how long it took."""
    seen = []
    for question, passages, answer, wait in cases:
        asked = []

        async def call(*what):
            asked.append([what[0], list(what[1])])
            await asyncio.sleep(wait)
            if answer == "raises":
                raise RuntimeError("the reranker is down")
            return [dict(row) for row in answer] if isinstance(answer, list) else answer

        began = time.monotonic()
        try:
            found = [[ident, score] for ident, score in await ports.rerank(question, [tuple(each) for each in passages], call)]
        except NotImplementedError:
            raise
        except Exception as error:
            found = [["an error", repr(error)]]
        seen.append({"found": found, "asked": asked, "took": time.monotonic() - began})
    return seen


# ------------------------------------------------------------------------------------------------ stage 3


def rooms(ports, cases):
    return [ports.room(window, reserve, list(messages)) for window, reserve, messages in cases]


def packed(ports, cases):
    return [list(ports.pack(list(passages), budget)) for passages, budget in cases]


def compressed(ports, cases):
    return [list(ports.compress(list(sentences), list(scores), most)) for sentences, scores, most in cases]


# ------------------------------------------------------------------------------------------------ stage 4


def verified(ports, cases):
    """For each question, answer and passages: what of it stands, and where."""
    seen = []
    for question, said, passages in cases:
        found = ports.verify(question, said, dict(passages))
        seen.append(None if found is None else [found.text, list(found.citations)])
    return seen


def screened(ports, tenant, passages, floor):
    found = ports.screen(tenant, [dict(each) for each in passages], floor)
    return {"kept": list(found.kept), "dropped": dict(found.dropped), "conflicts": [list(pair) for pair in found.conflicts]}


# ------------------------------------------------------------------------------------------------ stage 5


def evaluated(ports, systems, golden):
    """Each system's result; and at the end, what comes of nothing at all."""
    cases = [*((runs, golden) for runs in systems), ([], [])]
    return [dict(ports.evaluate([dict(run) for run in runs], [dict(due) for due in some])) for runs, some in cases]


def compared(ports, pairs):
    """For each pair of systems, whether the second is worse."""
    return [
        bool(ports.regressed(ports.evaluate(before, asked), ports.evaluate(after, other)))
        for before, asked, after, other in pairs
    ]
