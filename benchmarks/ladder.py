"""Group 5, rung by rung: what becomes of a morning's questions as one pattern after the other is added. A plain script.

    python benchmarks/ladder.py 1 2 3 4 5        # seeds

A rung is the reference without the patterns that are above it: the patches `without-….patch`, one over the other. The
first is the service as it ships. In percent: right, wrong and abstained of the questions with an answer, invented of
those without; and the tokens that the reader reads for a question.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from grader.curriculum import Group, read_groups
from grader.plugin import load
from grader.sim import Forkserver, Service
from grader.verify import patch
from grader.world.scene import Scene

ROOT = Path(__file__).parents[1]

RUNGS = (
    ("chunks", ("chunked-retrieval",)),
    ("what holds", ("metadata-first-retrieval",)),
    ("hybrid", ("hybrid-retrieval",)),
    ("reranked", ("multi-stage-retrieval", "re-ranking")),
    ("three passages", ("context-budgeting",)),
    ("compressed", ("compression",)),
    ("told to use nothing else", ()),
    ("verified", ("grounded-generation",)),
    ("screened", ("retrieval-guardrails",)),
)

LONE = (
    ("all but what holds", ("metadata-first-retrieval",)),
    ("nor screened", ("metadata-first-retrieval", "retrieval-guardrails")),
)
"""All of them, without these: the incident, with every check but the right one."""


def main() -> None:
    group = read_groups(ROOT)["group-5"]
    seeds = [int(word) for word in sys.argv[1:]] or [1, 2, 3, 4, 5]
    with tempfile.TemporaryDirectory() as folder:
        services = [("as it ships", group.path), *_rungs(group, Path(folder))]
        for name, patterns in LONE:
            services.append((name, _without(group, Path(folder) / name.replace(" ", "-"), [*patterns])))
        for name, root in services:
            for seed in seeds:
                print(f"{name:26} {_figures(group, root, seed)}", flush=True)


def _rungs(group: Group, folder: Path) -> list[tuple[str, Path]]:
    made = []
    for at, (name, _) in enumerate(RUNGS):
        above = [pattern for _, patterns in RUNGS[at + 1 :] for pattern in patterns]
        root = _without(group, folder / f"rung-{at}", above)
        if "context-budgeting" in above:
            _edit(root / "service" / "settings.py", "passages: int = 3", "passages: int = 8")
        if "told to use nothing else" in [rung for rung, _ in RUNGS[at + 1 :]]:
            _edit(root / "service" / "assistant.py", "question only from the passages below", "question")
        made.append((name, root))
    return made


def _without(group: Group, root: Path, patterns: list[str]) -> Path:
    """The reference without these patterns."""
    solutions = group.root / "solutions" / group.folder
    shutil.copytree(solutions / "reference", root, ignore=shutil.ignore_patterns("__pycache__"))
    for number, pattern in enumerate(patterns):
        found = patch.read((solutions / "wrong" / f"without-{pattern}.patch").read_text())
        patch.apply(found, root, root.with_name(f"{root.name}-{number}"))
        shutil.rmtree(root)
        root.with_name(f"{root.name}-{number}").rename(root)
    return root


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if old not in text:
        sys.exit(f"{file.name} has no {old!r} any more")
    file.write_text(text.replace(old, new))


def _figures(group: Group, root: Path, seed: int) -> str:
    incident = load(group.path / "incident.py")
    forkserver = Forkserver.launch(seed, allowed=group.imports)
    try:
        scene = Scene(forkserver, Service(root, group.app, dict(group.ports)), seed)
        house, ends = incident.morning(scene, incident.corpus_of(scene))
    finally:
        forkserver.close()
    shares = "  ".join(f"{end} {ends.percent(end):3.0f}" for end in ("right", "wrong", "abstained", "invented"))
    return f"seed {seed}:  {shares}   tokens {house.tokens(len(ends.asked)):4.0f}"


if __name__ == "__main__":
    main()
