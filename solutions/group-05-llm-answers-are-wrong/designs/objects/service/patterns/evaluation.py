"""RAG evaluation: is it better than yesterday, and if not, whose fault is it?"""

import re
from collections.abc import Mapping, Sequence
from typing import Any


def evaluate(runs: Sequence[Mapping[str, Any]], golden: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a system is worth, from what it has done and what would have been right.

    golden   {"id", "answer": euros, or None where there is no answer, "document": the one that has it, or None}
    runs     {"id", "status": "answered" or "abstained", "answer": text or None, "documents": those that were retrieved}

    The result:

    right, wrong, abstained   shares of the questions that have an answer (0.0 to 1.0; together 1.0)
    invented                  the share of the questions without an answer that were answered
    blame                     "retriever" if, of the questions with an answer that are not right, more lack the document
                              among what was retrieved than have it; "generator" if fewer do; None if as many, or none
    score                     a number by which systems are ranked, more is better: what is right adds to it; what is wrong or
                              invented costs more than having abstained. Who always abstains gets no more than who has 60 %
                              right and 10 % wrong, and invents nothing

    Right is an answer in which that amount stands, and no other ("180 euros" is not "80 euros"). A question without a run,
    or with a run that answers without an amount, is wrong if it has an answer. Runs of questions that are not in `golden`
    do not count. A share of nothing is 0.0.
    """
    results = [Result(due, next((run for run in runs if run["id"] == due["id"]), None)) for due in golden]
    asked = [each for each in results if each.due["answer"] is not None]
    others = [each for each in results if each.due["answer"] is None]
    shares = {end: sum(each.end == end for each in asked) / (len(asked) or 1) for end in ("right", "wrong", "abstained")}
    shares["invented"] = sum(each.answered for each in others) / (len(others) or 1)
    found = [each.found for each in asked if each.end != "right"]
    blame = {True: "generator", False: "retriever"}.get(sum(found) * 2 > len(found)) if sum(found) * 2 != len(found) else None
    score = 2 * shares["right"] + shares["abstained"] - 3 * shares["wrong"] - 3 * shares["invented"] - 1
    return {**shares, "blame": blame, "score": score}


class Result:
    """What one question came to."""

    def __init__(self, due: Mapping[str, Any], run: Mapping[str, Any] | None) -> None:
        self.due = due
        self.answered = run is not None and run["status"] == "answered"
        self.found = run is not None and due["document"] in run["documents"]
        said = re.findall(r"(\d+) euros\b", (run and run["answer"]) or "")
        if self.answered and {int(amount) for amount in said} == {due["answer"]}:
            self.end = "right"
        else:
            self.end = "abstained" if run is not None and not self.answered else "wrong"


def regressed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a system has become worse, from two results of `evaluate`: the share that is right has fallen by 10 points or
    more, or what is wrong or invented has grown by as much. Up to 5 points either way are what another sample of questions
    makes of the same system, and no alarm. In between, it is up to you.
    """
    changes = {name: after[name] - before[name] for name in ("right", "wrong", "invented")}
    return changes["right"] < -0.06 or changes["wrong"] > 0.06 or changes["invented"] > 0.06
