"""The incident, replayed on the service as it ships and on the learner's. How it looks is up to `report/trigger.py`."""

from __future__ import annotations

import dataclasses
import filecmp
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.curriculum import Group, Trouble
from grader.outcome import Act, Failure, Place, TriggerOutcome
from grader.sim import Forkserver, HostFailed, Service
from grader.story.timeline import tell
from grader.world.scene import Scene


class UnknownSetting(Trouble):
    """`--set` names what the incident does not have, or gives it what is no number."""


def play(group: Group, *, root: Path, pristine: Path, seed: int, settings: dict[str, str]) -> TriggerOutcome:
    """Replay the incident of `pristine`, the group's folder as it ships. Raises UnknownSetting."""
    began = time.monotonic()
    incident = _load(pristine / "incident.py")
    chosen = _settings(incident, settings)
    forkserver = Forkserver.launch(seed)
    try:
        names = {*group.own_files(root), *group.own_files(pristine)}
        changed = any(not _same(root / name, pristine / name) for name in names)
        broken = _act(incident, chosen, forkserver, group, pristine, seed)
        yours = _act(incident, chosen, forkserver, group, root, seed) if changed else broken
    finally:
        forkserver.close()
    return TriggerOutcome(
        group=group.id,
        seed=seed,
        title=incident.TITLE,
        text=incident.text(chosen),
        settings=dataclasses.asdict(chosen),
        marks=incident.marks(chosen),
        broken=broken,
        yours=yours,
        changed=changed,
        seconds=time.monotonic() - began,
    )


def _act(incident: ModuleType, settings: Any, forkserver: Forkserver, group: Group, root: Path, seed: int) -> Act:
    scene = Scene(forkserver, Service(root, group.app, dict(group.ports)), seed)
    try:
        act: Act = incident.play(scene, settings)
        return dataclasses.replace(act, story=tell(scene.tapes[-1]))
    except HostFailed as error:
        where = tuple(Place(place.file, place.line, place.function) for place in error.places)
        return Act((), (), failure=Failure(error.kind, error.text, where, tell(scene.tapes[-1]), detail=error.detail))


def _settings(incident: ModuleType, wanted: dict[str, str]) -> Any:
    """The incident's settings, with what `--set` changes. "10x" is 10."""
    defaults = incident.Settings()
    known = dataclasses.asdict(defaults)
    changes = {}
    for name, value in wanted.items():
        if name not in known:
            raise UnknownSetting(
                f"the incident has no setting “{name}”: it has {', '.join(known)}", "learn trigger --help"
            )
        try:
            changes[name] = float(value.removesuffix("x"))
        except ValueError:
            mend = f"learn trigger --set {name}={known[name]:g}"
            raise UnknownSetting(f"“{value}” is no number for {name}", mend) from None
        if not 0 < changes[name] < 10_000:
            raise UnknownSetting(
                f"{name} has to be above 0 and below 10,000", f"learn trigger --set {name}={known[name]:g}"
            )
    try:
        return dataclasses.replace(defaults, **changes)
    except ValueError as error:
        raise UnknownSetting(f"that makes no incident: {error}", "learn trigger") from None


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("brownout_incident", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["brownout_incident"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
