"""Graceful degradation: what can still be said when nobody can be asked, and said to be just that."""


class Fallback:
    """Answers without asking anybody: the last good answer to the same question, or else a rule.

    `rules` is text with one rule a line. At most `size` questions are remembered; the latest is always among them.
    """

    def __init__(self, rules: str, size: int = 1000) -> None:
        raise NotImplementedError("Fallback in service/patterns/degradation.py")

    def remember(self, question: str, answer: str) -> None:
        """`answer` is a good answer to `question`, made now."""
        raise NotImplementedError("Fallback.remember in service/patterns/degradation.py")

    def instead(self, question: str) -> tuple[str, float | None]:
        """The last good answer to this question, and how many seconds ago it was made, whatever the machine's clock says.

        If there is none: the rule that has most words in common with the question, in capitals or not, and None.
        """
        raise NotImplementedError("Fallback.instead in service/patterns/degradation.py")
