"""A service that runs for real, as a screen: what runs where, what to try, and a line for whatever happens then."""

from __future__ import annotations

from grader.curriculum import Group
from grader.host import live
from grader.report.ink import Ink, clean
from grader.serve import Down, Event, Place, Saved, Up, Waits
from grader.world.live import Called

_NAME = 13


def begun(group: Group, place: Place, ink: Ink, *, reload: bool) -> str:
    """It listens for the first time."""
    rows = [("your service", place.url, "in a browser: /docs")]
    for variable, url in place.neighbours.items():
        levers = "the provider: see its levers at /-/" if url == place.provider else ""
        rows.append((variable, url, levers))
    rows.append(("DATA_DIR", f".learn/serve/{group.folder}/", "outlives it; --fresh empties it"))
    lines = ["", ink.bold(f"Group {group.number} · {group.title}, for real"), ""]
    for name, what, more in rows:
        lines += _row(name, what, more, ink)
    lines += ["", ink.bold("Try it, in another terminal")]
    for each in place.tries:
        lines += ["", f"  {ink.dim(f'# {each.shows}')}"]
        lines += [f"  {ink.command(line)}" for line in each.line.splitlines()]
    end = f"Ctrl-C ends it. {'A save starts it again' if reload else 'Saves do not start it again'}."
    return "\n".join([*lines, "", ink.dim(f"{end} Requests are told below."), ""]) + "\n"


def _row(name: str, what: str, more: str, ink: Ink) -> list[str]:
    first = f"  {name:<{_NAME}} {what}"
    if not more:
        return [first]
    if len(first) + 2 + len(more) < ink.width:
        return [f"{first}  {ink.dim(more)}"]
    return [first, f"  {'':<{_NAME}} {ink.dim(more)}"]


def told(event: Event, ink: Ink) -> str:
    """One line for what happens later."""
    match event:
        case Up():
            return f"{ink.good(ink.symbol('ok'))} {ink.bold('up again')}\n"
        case Down(why):
            return does_not_start(why, ink, waits=event.waits)
        case Waits(seconds):
            why = f"not up after {seconds:g} s: its lifespan waits for something, or this machine is busy"
            return f"{ink.bad(ink.symbol('bad'))} Your service is {why}.\n"
        case Saved(files):
            return f"{ink.symbol('here')} {ink.bold('saved')} {', '.join(map(clean, files))}\n"
        case Called(neighbour, method, path, status, seconds):
            who, arrow = neighbour.partition(".")[0], "→" if ink.unicode else ">"
            return f"{live.line(f'{arrow} {who}', method, clean(path), status, seconds)}\n"


def does_not_start(why: str, ink: Ink, *, waits: bool = False) -> str:
    """The service is not there. Its traceback stands above."""
    more = " Mend it and save: it is started again." if waits else ""
    return f"{ink.bad(ink.symbol('bad'))} Your service does not run: {clean(why)}.{more}\n"
