"""What `learn serve` has of a group: its neighbours on an everyday, and what to try. Each has its own everyday.py:

    def everyday(scene: Scene, incident: ModuleType) -> Everyday:      # `incident`: the group's incident.py

It builds the house as the incident does, on a `scene` in real time (`live.py`), with everyday data and no faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import NamedTuple


class Try(NamedTuple):
    """Something to type in a shell, and what it shows.

    In `line`, `$service` stands for the service's URL, and `$llm` for what the variable LLM_URL has; `$$` is a dollar.
    """

    line: str
    shows: str

    def at(self, service: str, urls: Mapping[str, str]) -> Try:
        """With the URLs that are in use."""
        names = {name.removesuffix("_URL").lower(): url for name, url in urls.items()}
        return Try(Template(self.line).substitute(names, service=service), self.shows)


@dataclass(frozen=True)
class Everyday:
    """`urls`: the environment variable by which the service finds a neighbour -> that one's name on the network."""

    urls: Mapping[str, str] = field(default_factory=dict)
    tries: tuple[Try, ...] = ()
