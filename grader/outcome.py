"""What happened: plain data that the plug-in makes, the suite collects, and reports show.

No I/O and no decisions live here. Seconds are real unless a name says virtual.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Verdict(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"  # the production failure is still there
    TODO = "todo"  # an untouched stub was reached
    LEARNER_ERROR = "learner-error"  # their code raised, or could not be loaded
    LIMIT = "limit"  # time, memory, output: Failure.code says which
    TAMPERED = "tampered"
    OURS = "ours"  # a fault of the grader; never counted as the learner's


UNREADABLE = "unreadable"
"""The code of a failure in which a suite could not make out what the service has answered."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the learner's, relative to the group's folder."""

    file: str
    line: int
    function: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure against its bound. `relation` is "at_most" or "at_least"."""

    name: str
    value: float
    bound: float
    relation: str
    unit: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a sequence drawing. `at` and `seconds` are virtual."""

    at: float
    kind: str  # "call", "answer", "failed": from source to target; "still": source's event loop stands still; "note"
    source: str  # who: "client", a host, a peer; "" for a note about the outside
    target: str
    text: str  # of "still": the line that holds the loop
    seconds: float = 0.0  # of "still": for how long


@dataclass(frozen=True, slots=True)
class Failure:
    """A red test explained as an incident."""

    code: str  # short and stable: "loop-blocked", "import-error", "limit-time"
    sees: str  # production sees ...
    where: tuple[Place, ...] = ()
    story: tuple[str, ...] = ()  # at most 12 lines, already formatted
    next: str = ""  # the hint to ask for, the command that replays
    detail: str = ""  # a traceback of the learner's, or of ours
    printed: tuple[str, ...] = ()  # the last lines that the service printed or logged
    damage: tuple[str, ...] = ()  # what it cost, in the whole test: seconds, requests, money
    broken: str = ""  # of what always has to hold, what the story breaks first
    shortest: str = ""  # what the story's history is made of, if it is a shorter one than the test's
    steps: tuple[Step, ...] = ()  # the story as a sequence: who called whom


@dataclass(frozen=True, slots=True)
class TestOutcome:
    __test__: ClassVar[bool] = False  # no test class, whatever pytest thinks of its name

    id: str  # "test_stage1_one_slow_answer.py::test_health_answers"
    title: str  # first line of the test's docstring
    stage: int  # 0: sanity
    patterns: tuple[str, ...]
    verdict: Verdict
    seconds: float
    metrics: tuple[Metric, ...] = ()
    failure: Failure | None = None
    digest: str = ""  # SHA-256 of its tapes: equal for two runs of one service and one seed


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One run of one group's suite. `tests` are in the order of the suite; `ours` is set when the run itself broke."""

    group: str  # "group-1"
    seed: int
    tests: tuple[TestOutcome, ...]
    seconds: float
    ours: str = ""
    unconfined: str = ""  # why it ran outside the sandbox, if it did


@dataclass(frozen=True, slots=True)
class Series:
    """A curve over virtual time: one value for each second, None where nothing was measured.

    Series of one unit are drawn to one scale: they are there to be compared.
    """

    name: str
    unit: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each row, of counts that add up: what became of what. Rows are drawn to one scale.

    Of `parts`, four at most, the first is what is wanted, and the last does no harm.
    """

    name: str
    unit: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]  # a label, and a count for each part


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of an incident, and its target. `relation` is "at_most" or "at_least"; a value of None is never."""

    name: str
    value: float | None
    unit: str
    target: float
    relation: str

    @property
    def reached(self) -> bool:
        if self.value is None:
            return False
        return self.value <= self.target if self.relation == "at_most" else self.value >= self.target


@dataclass(frozen=True, slots=True)
class Act:
    """What an incident did to one service."""

    series: tuple[Series, ...]
    figures: tuple[Figure, ...]
    story: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()  # the story as a sequence
    failure: Failure | None = None  # the service could not be played with at all
    bars: tuple[Bars, ...] = ()


@dataclass(frozen=True, slots=True)
class TriggerOutcome:
    """An incident, replayed on the service as it ships (`broken`) and on the learner's (`yours`).

    `marks` are the moments that the pictures show: virtual seconds and a label. `settings` are all that can be set.
    `incidents` are the titles of all that the group has, by stage.
    """

    group: str
    seed: int
    stage: int  # whose incident it is
    title: str
    text: str
    settings: dict[str, float]
    marks: tuple[tuple[float, str], ...]
    broken: Act
    yours: Act
    changed: bool  # the learner's files differ from the shipped ones
    varied: bool  # its settings were changed
    incidents: dict[int, str]
    seconds: float  # real
