"""Small made-up workspaces to test the commands on, and suites that answer what they are told to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from grader.outcome import Failure, GroupOutcome, Metric, Place, TestOutcome, Verdict

SHIPPED = {
    "README.md": """\
# The kettle boils over

At 09:14 the tea room of *Skylark* stopped answering. **Nobody** got tea; `GET /tea` hung.

## Evidence

| what | before | during |
|---|---:|---:|
| p99 of `/tea` | 40 ms | 12 400 ms |
| cups | 100 % | 0 % |

1. Read `service/app.py`.
2. Fill the stubs:
   - `Lid`
   - `Whistle`

> Water that waits is not water that boils.

```python
async def tea() -> str:
    return "hot"
```
""",
    "service/app.py": "def create_app():\n    return None\n",
    "service/patterns/lid.py": "class Lid:\n    pass\n",
    "service/patterns/whistle.py": "class Whistle:\n    pass\n",
}

HINTS = """\
[lid]
symptom = "Steam leaves while the water waits."
mechanism = "A lid bounds what may leave."
shape = "with Lid(kettle): ..."
[whistle]
symptom = "Nobody knows that it boils."
mechanism = "Someone must be told."
shape = "Whistle(kettle).blow()"
"""


def add_group(workspace: Path, number: int, title: str, prerequisites: Sequence[str] = ()) -> Path:
    """Write a group with two stages of one pattern each."""
    folder = workspace / "groups" / f"group-{number:02}-kettle"
    for name, text in SHIPPED.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    (folder / "hints.toml").write_text(HINTS, "utf-8")
    pins = "\n".join(f'"{name}" = "{hashlib.sha256(text.encode()).hexdigest()}"' for name, text in SHIPPED.items())
    (folder / "group.toml").write_text(
        f"""\
id = "group-{number}"
number = {number}
title = "{title}"
app = "service.app:create_app"
files = ["service/**/*.py"]
imports = ["fastapi"]
prerequisites = {list(prerequisites)}
minutes = 60
[ports]
lid = "service.patterns.lid:Lid"
[[stages]]
number = 1
title = "steam everywhere"
minutes = 20
patterns = ["lid"]
[[stages]]
number = 2
title = "nobody hears it boil"
minutes = 40
patterns = ["whistle"]
[patterns.lid]
title = "Lid"
stub = "service/patterns/lid.py"
[patterns.whistle]
title = "Whistle"
stub = "service/patterns/whistle.py"
[bounds.tea_p99]
at_most = 0.05
unit = "s"
[shipped]
{pins}
""",
        "utf-8",
    )
    return folder


def outcome(number: int, seed: int, *verdicts: Verdict) -> GroupOutcome:
    """A run of five tests: a sanity test, two of the lid, two of the whistle. The last verdict stands for the rest."""
    tests = []
    titles = (
        "tea is tea",
        "steam stays in",
        "a cold kettle has no steam",
        "everyone hears it",
        "nobody hears it twice",
    )
    for index, title in enumerate(titles):
        verdict = verdicts[min(index, len(verdicts) - 1)]
        stage = (index + 1) // 2
        tests.append(
            TestOutcome(
                id=f"test_kettle.py::test_{index}",
                title=title,
                stage=stage,
                patterns=((), ("lid",), ("whistle",))[stage],
                verdict=verdict,
                seconds=0.1,
                metrics=(Metric("tea_p99", 12.4, 0.05, "at_most", "s", "steam"),),
                failure=None if verdict is Verdict.PASSED else failure(index, verdict),
            )
        )
    return GroupOutcome(f"group-{number}", seed, tuple(tests), 1.5)


def failure(index: int, verdict: Verdict) -> Failure:
    return Failure(
        code=f"steam-{index}",
        sees=f"p99 of /tea is 12.4 s, at most 0.05 s ({verdict.value} {index})",
        where=(Place("service/app.py", 41 + index, "tea"),),
        story=("00:01.2  cup 1 asks for tea", "00:13.6  cup 1 is still dry"),
        detail="NameError: kettle",
    )
