"""The incident, replayed on the service as it ships and on the learner's. How it looks is up to `report/trigger.py`."""

from __future__ import annotations

import dataclasses
import filecmp
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

from grader.curriculum import Group, Trouble
from grader.outcome import Act, Failure, Place, TriggerOutcome
from grader.sim import Forkserver, HostFailed, Service
from grader.story.sequence import steps
from grader.story.timeline import tell
from grader.world.incident import Incident
from grader.world.scene import Scene


class UnknownSetting(Trouble):
    """`--set` names what the incident does not have, or gives it what is no number."""


def play(
    group: Group, *, root: Path, pristine: Path, seed: int, stage: int, settings: dict[str, str]
) -> TriggerOutcome:
    """Replay the incident of a stage as `pristine`, the group's folder as it ships, has it. Raises UnknownSetting."""
    incidents = _incidents(pristine)
    shown = max((number for number in incidents if number <= stage), default=min(incidents))
    incident = _set(incidents[shown](), settings, f"learn trigger --stage {shown}")
    return _replay(group, incident, shown, incidents, root=root, pristine=pristine, seed=seed)


def play_all(group: Group, *, root: Path, pristine: Path, seed: int) -> tuple[TriggerOutcome, ...]:
    """Replay the incidents of all stages, as they are."""
    incidents = _incidents(pristine)
    return tuple(
        _replay(group, incident(), stage, incidents, root=root, pristine=pristine, seed=seed)
        for stage, incident in incidents.items()
    )


def _replay(
    group: Group,
    incident: Incident,
    stage: int,
    incidents: dict[int, type[Incident]],
    *,
    root: Path,
    pristine: Path,
    seed: int,
) -> TriggerOutcome:
    began = time.monotonic()
    forkserver = Forkserver.launch(seed, allowed=group.imports)
    try:
        names = {*group.own_files(root), *group.own_files(pristine)}
        changed = any(not _same(root / name, pristine / name) for name in names)
        broken = _act(incident, forkserver, group, pristine, seed)
        yours = _act(incident, forkserver, group, root, seed) if changed else broken
    finally:
        forkserver.close()
    return TriggerOutcome(
        group=group.id,
        seed=seed,
        stage=stage,
        title=incident.title,
        text=incident.text(),
        settings=dataclasses.asdict(incident),
        marks=incident.marks(),
        incidents={number: other.title for number, other in incidents.items()},
        broken=broken,
        yours=yours,
        changed=changed,
        varied=incident != type(incident)(),
        seconds=time.monotonic() - began,
    )


def _act(incident: Incident, forkserver: Forkserver, group: Group, root: Path, seed: int) -> Act:
    scene = Scene(forkserver, Service(root, group.app, dict(group.ports)), seed)
    try:
        act = incident.play(scene)
        return dataclasses.replace(act, story=tell(scene.tapes[-1]), steps=steps(scene.tapes[-1]))
    except HostFailed as error:
        where = tuple(Place(place.file, place.line, place.function) for place in error.places)
        return Act((), (), failure=Failure(error.kind, error.text, where, tell(scene.tapes[-1]), detail=error.detail))


def _set(incident: Incident, wanted: dict[str, str], command: str) -> Incident:
    """The incident, with what `--set` changes. "10x" is 10. `command` is what plays it as it is."""
    known = dataclasses.asdict(incident)
    changes = {}
    for name, value in wanted.items():
        if name not in known:
            raise UnknownSetting(
                f"the incident has no setting “{name}”: it has {', '.join(known)}", "learn trigger --help"
            )
        try:
            changes[name] = float(value.removesuffix("x"))
        except ValueError:
            mend = f"{command} --set {name}={known[name]:g}"
            raise UnknownSetting(f"“{value}” is no number for {name}", mend) from None
        if not 0 < changes[name] < 10_000:
            raise UnknownSetting(
                f"{name} has to be above 0 and below 10,000", f"{command} --set {name}={known[name]:g}"
            )
    try:
        return dataclasses.replace(incident, **changes)
    except ValueError as error:
        raise UnknownSetting(f"that makes no incident: {error}", command) from None


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _incidents(pristine: Path) -> dict[int, type[Incident]]:
    incidents: dict[int, type[Incident]] = _load(pristine / "incident.py").INCIDENTS
    return incidents


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("brownout_incident", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["brownout_incident"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
