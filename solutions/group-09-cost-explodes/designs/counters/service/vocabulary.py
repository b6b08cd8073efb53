"""The vocabularies of the provider's models, as it publishes them: with one, tokens are counted exactly."""

import re
from dataclasses import dataclass

import httpx

from service.settings import Settings


@dataclass(frozen=True)
class Vocabulary:
    """A run of letters is cut into pieces of at most `letters`, a run of digits into pieces of `digits`; every other
    visible character is one token. Each message of a chat adds `message` tokens. It takes 40 MB."""

    model: str
    letters: int
    digits: int
    message: int

    def count(self, text: str) -> int:
        """The tokens of a text."""
        return len(re.findall(rf"[^\W\d_]{{1,{self.letters}}}|\d{{1,{self.digits}}}|[^\w\s]|_", text))

    def count_messages(self, messages: list[dict]) -> int:
        """The tokens of the messages of a chat."""
        return sum(self.count(message["content"]) + self.message for message in messages)


def download(model: str) -> Vocabulary:
    """A model's vocabulary. It takes seconds, and blocks: call it in a thread. Raises httpx.HTTPError."""
    reply = httpx.get(f"{Settings.from_env().models_url}/vocabularies/{model}", timeout=30.0)
    reply.raise_for_status()
    told = reply.json()
    return Vocabulary(model, told["letters"], told["digits"], told["message"])
