"""Router agent: what looks like an order is taken out of the letter, and what is no route out of the answer."""

import re

CLARIFY, PEOPLE = "clarify", "people"


def fenced(letter: str) -> str:
    return "<ticket>" + re.sub("[<>]", " ", letter) + "</ticket>"


async def route(text, routes, ask) -> list[str]:
    letter = re.sub(r"\S+=\S*", " ", text)
    listed = [f"- {name}: {about}" for name, about in routes.items()]
    messages = [
        {"role": "system", "content": "\n".join(["Name the routes of this letter.", *listed])},
        {"role": "user", "content": fenced(letter)},
    ]
    try:
        said = re.split(r"[^\w-]+", await ask(messages))
    except Exception:
        return [PEOPLE]
    return sorted({*said} & {*routes}, key=said.index) or [CLARIFY]
