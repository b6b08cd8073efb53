"""Feedback loop: a thumb becomes a case, by way of somebody who looks; and no case becomes an answer."""

import sqlite3
from collections.abc import Mapping, Sequence


class Feedback:
    """Votes, what people have made of them, and the golden cases. In the file; make the tables that you need."""

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Feedback in service/patterns/feedback.py")

    def vote(self, run: str, user: str, up: bool, asked: dict, answer: str) -> None:
        """A user's thumb on a run. `asked`: {"booking", "question"}. His last one on a run counts."""
        raise NotImplementedError("Feedback.vote in service/patterns/feedback.py")

    def score(self) -> float | None:
        """How satisfied users are, 0 to 1: the mean over users of the share of their votes that are up, so that who
        votes a hundred times counts like anybody else. None without votes."""
        raise NotImplementedError("Feedback.score in service/patterns/feedback.py")

    def queue(self) -> list[str]:
        """The runs that somebody should look at: with a thumb down, and not looked at yet. First those that most users
        voted down."""
        raise NotImplementedError("Feedback.queue in service/patterns/feedback.py")

    def review(self, run: str, expected: str, slice: str) -> str:
        """Somebody has looked: this should have been answered. Keeps a golden case, and gives its id. A question on one
        booking that is the same but for capitals and white space is the same case: it is there once, as it was reviewed
        last, and has one id, always."""
        raise NotImplementedError("Feedback.review in service/patterns/feedback.py")

    def golden(self) -> list[dict]:
        """[{"id", "slice", "booking", "question", "expected"}]: the cases."""
        raise NotImplementedError("Feedback.golden in service/patterns/feedback.py")

    def examples(self, most: int, beside: Sequence[Mapping[str, str]] = ()) -> list[dict]:
        """[{"question", "answer"}] for prompts: of runs with more thumbs up than down, each question once. What a
        golden case asks, of whatever booking, in whatever capitals and white space, is none of them: it would be known
        by heart. `beside`: golden cases that are kept elsewhere, {"question", …}.
        """
        raise NotImplementedError("Feedback.examples in service/patterns/feedback.py")
