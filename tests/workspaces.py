"""Small made-up workspaces to test the commands on, and suites that answer what they are told to."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grader.curriculum import Group, read_group
from grader.outcome import (
    Act,
    Failure,
    Figure,
    GroupOutcome,
    Metric,
    Place,
    Series,
    Step,
    TestOutcome,
    TriggerOutcome,
    Verdict,
)
from grader.verify import pins
from grader.verify.bounds import Calibration, Distance, Nearest
from grader.verify.proof import GroupProof, Proof

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
    """Write a group with two stages of one pattern each, into a workspace that carries its own curriculum."""
    (workspace / "grader").mkdir(parents=True, exist_ok=True)
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


def add_package(folder: Path) -> Path:
    """Write a curriculum of groups 1 and 2, with a solution of the first, as an installed package has it."""
    for number, title in ((1, "The kettle boils over"), (2, "The cup is filled twice")):
        pins.write(add_group(folder, number, title))
    (folder / "grader").rmdir()
    shutil.copytree(Path(__file__).parents[1] / "templates", folder / "templates")
    solution = folder / "solutions" / "group-01-kettle"
    shutil.copytree(folder / "groups" / "group-01-kettle" / "service", solution / "reference" / "service")
    (solution / "NOTES.md").write_text("A lid costs a lid.\n", "utf-8")
    return folder


def change(package: Path, number: int, files: Mapping[str, str | None]) -> None:
    """Another version of a group: these files are other or new, or gone where there is no text. Pins go with them."""
    group = package / "groups" / f"group-{number:02}-kettle"
    for name, text in files.items():
        if text is None:
            (group / name).unlink()
        else:
            (group / name).parent.mkdir(parents=True, exist_ok=True)
            (group / name).write_text(text, "utf-8")
    pins.write(group)


LOOK = """\
import pytest

from grader.plugin import expect

pytestmark = pytest.mark.stage(1)


def test_look(scene):
    \"\"\"What its second life is told of itself.\"\"\"
    sim = scene.simulation()
    host = sim.host("one", scene.service, disk="disk")

    async def play():
        await host.start()
        await host.request("GET", "/look")
        await host.restart()
        return (await host.request("GET", "/look")).body.decode()

    expect("seen", 1, at_most=0, code="seen", sees=sim.run(play()))
"""


def add_group_that_looks(workspace: Path) -> Group:
    """A group with one test: its service is started twice, and the test fails with what GET /look answers then."""
    folder = add_group(workspace, 1, "The kettle looks around")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_look.py").write_text(LOOK, "utf-8")
    (folder / "service" / "__init__.py").touch()
    return read_group(folder / "group.toml")


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
        damage=("1 of 9 cups is dry",),
        broken="00:01.2  every cup is filled",
        shortest="2 of 9 cups are enough",
        steps=(Step(1.2, "call", "client", "kettle", "GET /tea"), Step(2.0, "still", "kettle", "", "app.py:42", 11.6)),
    )


def incident(group: str, seed: int, settings: dict[str, float], stage: int = 1) -> TriggerOutcome:
    """An incident that is over on the learner's service."""
    hot, cold = (
        Act(
            (Series("steam", "litres", (0.0, value, None, value / 2)),),
            (Figure("tea, p99", value, "s", 0.05, "at_most"),),
            ("00:01.2  cup 1 asks for tea",),
            (Step(1.2, "call", "client", "kettle", "GET /tea"), Step(2.0, "still", "kettle", "", "app.py:42", value)),
        )
        for value in (12.4, 0.04)
    )
    return TriggerOutcome(
        group=group,
        seed=seed,
        stage=stage,
        title="Steam",
        text="It boils.",
        settings=settings or {"heat": 2.0},
        marks=((1.0, "it boils"),),
        broken=hot,
        yours=cold,
        changed=True,
        varied=bool(settings),
        incidents={1: "Steam", 2: "A flood"},
        seconds=0.2,
    )


def proved(
    group: str, *, sound: bool, quick: bool, seed: int | None, on_step: Callable[[int, int], None]
) -> GroupProof:
    """A proof of two rows, the second of which is not part of the quick one."""
    on_step(1, 2)
    first = 1 if seed is None else seed
    findings = () if sound else ("test_1: it passes as it ships",)
    rows = (
        Proof(1, "broken for the right reason", sound, {"failed": 4, "seeds": 1}, findings),
        Proof(7, "fast", None if quick else True, {} if quick else {"s at most": 2.5}),
    )
    return GroupProof(group, quick, tuple(range(first, first + (1 if quick else 25))), rows, 3.0, ("a note",))


def calibrated(group: str, *, seeds: Sequence[int], on_step: Callable[[int, int], None]) -> Calibration:
    """Two bounds, of which the second has no room."""
    on_step(1, 1)
    right = Nearest(0.04, 0.05, 0.2, "reference", 1, 0.01)
    near = Nearest(0.0499, 0.05, 0.002, "threads", 2, 0.5)
    wrong = Nearest(12.4, 0.05, 247.0, "boil-over", 1, 3.0)
    both = ("tests/test_kettle.py::test_1", "at_most", "s", "steam")
    distances = tuple(
        Distance(both[0], name, *both[1:], nearest, wrong, (9.0, 15.0), False)
        for name, nearest in (("tea_p99", right), ("tea_worst", near))
    )
    return Calibration(group, tuple(seeds), distances, 4.0)
