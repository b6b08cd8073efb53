"""RAG evaluation: is it better than yesterday, and if not, whose fault is it?"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_AMOUNT = re.compile(r"(\d+) euros\b")


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
    known = {run["id"]: run for run in runs}
    seen = Counter({"right": 0, "wrong": 0, "abstained": 0, "invented": 0})
    lacking = having = 0
    for due in golden:
        run = known.get(due["id"])
        answered = run is not None and run["status"] == "answered"
        if due["answer"] is None:
            seen["invented"] += answered
            continue
        if answered and set(_AMOUNT.findall(run["answer"] or "")) == {str(due["answer"])}:
            seen["right"] += 1
            continue
        seen["wrong" if answered or run is None else "abstained"] += 1
        found = run is not None and due["document"] in run["documents"]
        having, lacking = having + found, lacking + (not found)
    answerable = sum(due["answer"] is not None for due in golden)
    shares = {name: seen[name] / max(1, answerable) for name in ("right", "wrong", "abstained")}
    shares["invented"] = seen["invented"] / max(1, len(golden) - answerable)
    blame = "retriever" if lacking > having else "generator" if having > lacking else None
    score = shares["right"] - 2 * (shares["wrong"] + shares["invented"])
    return {**shares, "blame": blame, "score": score}


def regressed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a system has become worse, from two results of `evaluate`: the share that is right has fallen by 10 points or
    more, or what is wrong or invented has grown by as much. Up to 5 points either way are what another sample of questions
    makes of the same system, and no alarm. In between, it is up to you.
    """
    worse = [before["right"] - after["right"], after["wrong"] - before["wrong"], after["invented"] - before["invented"]]
    return max(worse) > 0.075
