"""A workspace laid out or brought up to date, and what changed in the curriculum, in words."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from grader.report.ink import Ink, clean
from grader.workspace import Changes, GroupChanges, Laid, reset_of

_INDENT = 12  # columns before what is said of a group
_FEW, _MANY = 4, 8  # files that are named, of more


def screen(laid: Laid, folder: str, ink: Ink) -> str:
    """What `learn init` did; `folder` as one would type it."""
    was = f" (was {laid.was})" if laid.was not in ("", laid.version) else ""
    if laid.fresh:
        where = "here" if folder == "." else f"in {clean(folder).rstrip('/')}/"
        rows = [f"{_ok(ink)} A workspace {where}: {laid.groups} groups of Brownout {laid.version}.", ""]
        steps = [("learn", "where you are"), ("learn next", "the first briefing")]
        steps = steps if folder == "." else [(f"cd {shlex.quote(clean(folder))}", ""), *steps]
        width = max(len(command) for command, _ in steps)
        heads = [ink.bold("Next"), *["    "] * len(steps)]
        rows += [
            f"{head}   {ink.command(command)}{' ' * (width - len(command) + 3)}{purpose}".rstrip()
            for head, (command, purpose) in zip(heads, steps, strict=False)
        ]
        return "\n".join(rows) + "\n"
    rows = [f"{_ok(ink)} This workspace is up to date with Brownout {laid.version}{was}."]
    for label, names in (("new", laid.added), ("updated", laid.updated), ("gone", laid.removed)):
        head = label
        for folder, files in _by_folder(names).items():
            rows += _listed(head, files, _MANY, ink, f"{folder}/: " if folder else "")
            head = ""
    if laid.yours:
        rows += ["", f"{ink.warn('!')} Another one ships, but you edited yours, so it is as you left it:"]
        rows += [f"  {name}" for name in laid.yours]
        rows += [ink.dim("  The new one, with a copy of yours kept:"), f"    {ink.command(laid.mend)}"]
    return "\n".join(rows) + "\n"


def changed(changes: Changes, upgrade: str, ink: Ink) -> list[str]:
    """What changed since the learner was last told; `upgrade` is the command to a later version."""
    if changes.older:
        said = f"This is Brownout {changes.version}, and {changes.was} was here before."
        return [f"{ink.warn('!')} {said} Run: {ink.command(upgrade)}"]
    was = f" (was {changes.was})" if changes.was != changes.version else ": the groups have changed"
    rows = [ink.bold(f"Brownout {changes.version}{was}")]
    for one in changes.groups:
        rows += _of_group(one, ink)
    if not changes.groups:
        rows.append("  Nothing in the groups has changed.")
    if changes.behind:
        rows.append(f"  {ink.command('learn init')}  brings it here; what you edited stays as it is")
    return rows


def _of_group(one: GroupChanges, ink: Ink) -> Iterator[str]:
    label = f"group {one.number}"
    if one.kind == "new":
        yield from _row(label, "is new", ink)
    elif one.kind == "gone":
        yield from _row(label, "is gone; your files stay", ink)
    others = [file for file in one.changed if file not in one.yours]
    if others:
        yield from _listed(label, others, _FEW, ink, "changed: ")
        label = ""
    if one.removed:
        yield from _listed(label, one.removed, _FEW, ink, "gone: ")
        label = ""
    for file in one.yours:
        yield from _row(label, f"{file} changed; you edited yours, so it is untouched. The new one:", ink)
        yield " " * _INDENT + ink.command(reset_of(one.id, file))
        label = ""


def _listed(label: str, names: Sequence[str], most: int, ink: Ink, before: str = "") -> Iterator[str]:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    if names:
        yield from _row(label, f"{before}{', '.join(names[:most])}{rest}", ink)


def _by_folder(names: Sequence[str]) -> dict[str, list[str]]:
    """Files of the workspace by the folder of their group; the folder is empty for those at the top."""
    found: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition("/")
        group, _, file = rest.partition("/")
        found.setdefault(f"{kind}/{group}" if file else "", []).append(file or name)
    return found


def _row(label: str, text: str, ink: Ink) -> Iterator[str]:
    """One entry, wrapped below itself."""
    head = f"  {label:<{_INDENT - 2}}"
    yield from textwrap.wrap(
        text,
        ink.width,
        initial_indent=head,
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _ok(ink: Ink) -> str:
    return ink.good(ink.symbol("ok"))
