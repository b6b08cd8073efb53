"""`learn` with a suite that answers what TOLD says: `python told.py WORDS…`.

SHIPPED is the folder of a made-up installed curriculum; without it, that is the clone. TOLD is a comma-separated list
of verdicts (the last stands for the rest), or `crash`, `ours`, or `slow`, which waits for a file named `go` in the
current folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from grader import curriculum
from grader.cli import main
from grader.curriculum import Group
from grader.outcome import GroupOutcome, TestOutcome, Verdict
from tests import workspaces


def run(group: Group, *, seed: int, on_test: Callable[[TestOutcome], None] = lambda _: None, **_: Any) -> GroupOutcome:
    told = os.environ.get("TOLD", "passed")
    if told == "crash":
        raise KeyError("a mistake\nof ours")
    if told == "ours":
        return GroupOutcome(group.id, seed, (), 0.1, ours="the suite did not run: no space left on device")
    if told == "slow":
        print("running", flush=True)
        deadline = time.monotonic() + 20
        while not Path("go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        told = "passed"
    outcome = workspaces.outcome(group.number, seed, *map(Verdict, told.split(",")))
    for test in outcome.tests:
        on_test(test)
        time.sleep(float(os.environ.get("PACE", "0")))
    return outcome


if __name__ == "__main__":
    if shipped := os.environ.get("SHIPPED"):
        curriculum._SHIPPED = Path(shipped)
    suite: Any = ModuleType("grader.suite")
    suite.run = run
    sys.modules["grader.suite"] = suite
    trigger: Any = ModuleType("grader.story.trigger")
    trigger.play = lambda group, **given: workspaces.incident(
        group.id, given["seed"], given["settings"], given["stage"]
    )
    trigger.play_all = lambda group, **given: (workspaces.incident(group.id, given["seed"], {}),) * 2
    sys.modules["grader.story.trigger"] = trigger
    prove: Any = ModuleType("grader.verify.prove")
    prove.prove = lambda course, group, **given: workspaces.proved(
        group.id, sound=os.environ.get("TOLD") != "failed", **given
    )
    prove.calibrate = lambda course, group, **given: workspaces.calibrated(group.id, **given)
    sys.modules["grader.verify.prove"] = prove
    main()
