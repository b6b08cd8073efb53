"""Graceful degradation: what can still be said when nobody can be asked, and said to be just that."""

import re
import time


class Fallback:
    """Answers without asking anybody: the last good answer to the same question, or else a rule.

    `rules` is text with one rule a line. At most `size` questions are remembered; the latest is always among them.
    """

    def __init__(self, rules: str, size: int = 1000) -> None:
        self.rules = [(rule, set(re.findall(r"\w{3,}", rule.lower()))) for rule in rules.splitlines() if rule.strip()]
        self.size = size
        self.answers: dict[str, tuple[str, float]] = {}

    def remember(self, question: str, answer: str) -> None:
        """`answer` is a good answer to `question`, made now."""
        self.answers.pop(question, None)
        self.answers[question] = answer, time.monotonic()
        while len(self.answers) > self.size:
            del self.answers[next(iter(self.answers))]

    def instead(self, question: str) -> tuple[str, float | None]:
        """The last good answer to this question, and how many seconds ago it was made, whatever the machine's clock says.

        If there is none: the rule that has most words in common with the question, in capitals or not, and None.
        """
        if question in self.answers:
            answer, made = self.answers[question]
            return answer, max(0.0, time.monotonic() - made)
        asked = set(re.findall(r"\w{3,}", question.lower()))
        return max(self.rules, key=lambda rule: len(rule[1] & asked))[0], None
