"""Graceful degradation: what can still be said when nobody can be asked, and said to be just that."""

import re
import time
from collections import OrderedDict


class Fallback:
    """Answers without asking anybody: the last good answer to the same question, or else a rule.

    `rules` is text with one rule a line. At most `size` questions are remembered; the latest is always among them.
    """

    def __init__(self, rules: str, size: int = 1000) -> None:
        self._rules = rules.strip().splitlines()
        self._size = size
        self._good: OrderedDict[str, tuple[str, float]] = OrderedDict()  # question -> answer, when

    def remember(self, question: str, answer: str) -> None:
        """`answer` is a good answer to `question`, made now."""
        self._good[question] = answer, time.monotonic()
        self._good.move_to_end(question)
        if len(self._good) > self._size:
            self._good.popitem(last=False)

    def instead(self, question: str) -> tuple[str, float | None]:
        """The last good answer to this question, and how many seconds ago it was made, whatever the machine's clock says.

        If there is none: the rule that has most words in common with the question, in capitals or not, and None.
        """
        if question in self._good:
            answer, made = self._good[question]
            return answer, time.monotonic() - made
        asked = _words(question)
        return max(self._rules, key=lambda rule: len(asked & _words(rule))), None


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
