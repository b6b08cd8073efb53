"""The command lines, declared to typer: arguments, options, help. What a command does is in the module of its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.candidates import files, groups, open_groups, parts, patterns, shells, solved_groups, tests
from grader.cli.ending import PipeClosed, Usage
from grader.cli.line import Call

GroupName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=open_groups,
        metavar="GROUP",
        help="2, group-2, or its folder. Without it: the one you are in, or the current one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON (grader/report/schema.json says how).")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Replay the run with this seed.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Play with the incident: latency=10x.")
]
StageNumber = Annotated[
    int | None, typer.Option("--stage", metavar="N", min=1, help="The incident of this stage. Without it: of yours.")
]
Html = Annotated[bool, typer.Option("--html", help="Also as a page, which stands alone.")]
TestName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=tests, metavar="TEST", help="Such as test_health_answers. Without it: the first that is red."
    ),
]
All = Annotated[bool, typer.Option("--all", help="Show every stage and every failure.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="One test after the other, up to the first red; breakpoint() works.")
]
PatternName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=patterns, metavar="PATTERN", help="Such as timeout. Without it: the first that is red."
    ),
]
FileName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=files, metavar="FILE", help="Such as service/app.py. Without it: all that you changed."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="One seed, and no timing: what every `make test` proves.")]
FirstSeed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="The first seed. Default: 1; quick: random.")
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", min=1, max=1000, help="How many seeds.")]
AnyGroupName = Annotated[
    str | None,
    typer.Argument(autocompletion=groups, metavar="GROUP", help="2, group-2, or its folder. Without it: every group."),
]
SolvedName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=solved_groups,
        metavar="GROUP",
        help="2, group-2, or its folder. Without it: the last that passed.",
    ),
]
PartName = Annotated[
    str | None,
    typer.Argument(
        autocompletion=parts,
        metavar="FILE",
        help="Such as service/app.py, or a mistake's name: that line by line, and no more.",
    ),
]
Shell = Annotated[
    str | None, typer.Argument(autocompletion=shells, metavar="SHELL", help="Without it: that of $SHELL.")
]
NewFolder = Annotated[
    str | None,
    typer.Argument(metavar="DIR", help="Such as brownout. Without it: the workspace you are in, or this folder."),
]
NewNumber = Annotated[str | None, typer.Argument(metavar="NUMBER", help="Such as 13.")]
NewTitle = Annotated[str | None, typer.Argument(metavar="TITLE", help="What hurts: “Queues overflow”.")]
Handed = Annotated[
    list[Path], typer.Argument(metavar="PATH…", help="Submissions, or folders of them: folders, archives, git clones.")
]
Graded = Annotated[
    str | None,
    typer.Option("--group", autocompletion=groups, metavar="GROUP", help="Of which group they are: group-2."),
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the reports go, and what is known so far.")]
Roster = Annotated[
    Path | None, typer.Option("--roster", metavar="CSV", help="Who should hand in: a column id, and perhaps name.")
]
PrivateTests = Annotated[
    Path | None, typer.Option("--tests", metavar="FOLDER", help="Tests of your own: test_*.py. No work sees them.")
]
WeightsFile = Annotated[
    Path | None, typer.Option("--weights", metavar="TOML", help="Points by pattern: timeout = 20. Without it: alike.")
]
BatchSeeds = Annotated[
    list[int] | None,
    typer.Option("--seed", metavar="N", min=0, help="The same for all; may be given again. Without it: one, drawn."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the batch in --out.")]
Regrade = Annotated[bool, typer.Option("--regrade", help="Judge all anew, and forget what is in --out.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask cluster: tcp://… (extra “cluster”).")
]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Without a sandbox: they can read and change anything here.")]
Port = Annotated[
    int | None,
    typer.Option("--port", metavar="N", min=1, max=65535, help="Where it listens. Without it: 8000, or the next free."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Empty its data folder first.")]
NoReload = Annotated[
    bool, typer.Option("--no-reload", help="In one process, for a debugger; a save does not start it again.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def parse(words: Sequence[str]) -> int:
    """Parse the words and carry out the command. Raises Usage for words that mean nothing."""
    try:
        code = app(args=list(words), prog_name="learn", standalone_mode=False)
    except typer.TyperException as error:
        raise Usage(error.format_message().rstrip("."), "learn --help") from None
    except SystemExit:  # what typer makes of a help text that nobody reads to its end
        raise PipeClosed from None
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def status(context: typer.Context, as_json: Json = False) -> int:
    """Learn production patterns by outage: trigger it, feel it, fix it, prove it.

    Without a command: where you are, and the next step.
    """
    if context.invoked_subcommand is None:
        return Call("status", (), {"as_json": as_json})()
    if as_json:
        raise Usage("--json comes after the command", f"learn {context.invoked_subcommand} --json")
    return 0


@app.command()
def init(folder: NewFolder = None, as_json: Json = False) -> int:
    """Make a workspace, or bring one up to date."""
    from grader.cli.init import command

    return command(folder, as_json=as_json)


@app.command()
def next(group: GroupName = None, as_json: Json = False) -> int:  # noqa: A001
    """The briefing, and what to do now."""
    from grader.cli.next import command

    return command(group, as_json=as_json)


@app.command()
def trigger(
    group: GroupName = None,
    stage: StageNumber = None,
    seed: Seed = None,
    settings: Settings = None,
    html: Html = False,
    as_json: Json = False,
) -> int:
    """Replay the incident on your code."""
    from grader.cli.trigger import command

    return command(group, stage=stage, seed=seed, settings=settings or (), html=html, as_json=as_json)


@app.command()
def check(
    group: GroupName = None, show_all: All = False, debug: Debug = False, seed: Seed = None, as_json: Json = False
) -> int:
    """Run the tests; a pass opens the next group."""
    from grader.cli.check import command

    return command(group, seed=seed, show_all=show_all, debug=debug, as_json=as_json)


@app.command()
def story(
    group: GroupName = None, test: TestName = None, seed: Seed = None, html: Html = False, as_json: Json = False
) -> int:
    """A red test as an incident, drawn."""
    from grader.cli.story import command

    return command(group, test, seed=seed, html=html, as_json=as_json)


@app.command()
def watch(group: GroupName = None, seed: Seed = None, as_json: Json = False) -> int:
    """Check again as you save; keys for the rest."""
    from grader.cli.watch import command

    return command(group, seed=seed, as_json=as_json)


@app.command()
def serve(
    group: GroupName = None,
    port: Port = None,
    fresh: Fresh = False,
    no_reload: NoReload = False,
    as_json: Json = False,
) -> int:
    """Run your service for real, with its neighbours beside it."""
    from grader.cli.serve import command

    return command(group, port=port, fresh=fresh, no_reload=no_reload, as_json=as_json)


@app.command()
def hint(group: GroupName = None, pattern: PatternName = None, as_json: Json = False) -> int:
    """One step further each time."""
    from grader.cli.hint import command

    return command(group, pattern, as_json=as_json)


@app.command()
def reset(group: GroupName = None, file: FileName = None, yes: Yes = False, as_json: Json = False) -> int:
    """Back to the start; asks, and keeps a copy."""
    from grader.cli.reset import command

    return command(group, file, yes=yes, as_json=as_json)


@app.command()
def solution(group: SolvedName = None, part: PartName = None, as_json: Json = False) -> int:
    """Once it passed: the reference beside yours, others' mistakes, the trade-offs."""
    from grader.cli.solution import command

    return command(group, part, as_json=as_json)


@app.command()
def grade(
    paths: Handed,
    group: Graded = None,
    out: Out = Path("report"),
    roster: Roster = None,
    tests: PrivateTests = None,
    weights: WeightsFile = None,
    seeds: BatchSeeds = None,
    resume: Resume = False,
    regrade: Regrade = False,
    scheduler: Scheduler = None,
    unsafe: Unsafe = False,
    as_json: Json = False,
) -> int:
    """Grade submissions that nobody trusts, in a sandbox."""
    from grader.cli.grade import command

    return command(
        paths,
        group=group,
        out=out,
        roster=roster,
        private=tests,
        weights=weights,
        seeds=seeds or (),
        resume=resume,
        regrade=regrade,
        unsafe=unsafe,
        scheduler=scheduler,
        as_json=as_json,
    )


@app.command()
def verify(group: AnyGroupName = None, quick: Quick = False, seed: FirstSeed = None, as_json: Json = False) -> int:
    """For authors: prove that a group is sound."""
    from grader.cli.verify import command

    return command(group, quick=quick, seed=seed, as_json=as_json)


@app.command()
def calibrate(group: AnyGroupName = None, seeds: Seeds = 5, as_json: Json = False) -> int:
    """For authors: how far every variant lies from every bound."""
    from grader.cli.calibrate import command

    return command(group, seeds=seeds, as_json=as_json)


@app.command()
def new(number: NewNumber = None, title: NewTitle = None, as_json: Json = False) -> int:
    """For authors: begin a group."""
    from grader.cli.new import command

    return command(number, title, as_json=as_json)


@app.command()
def completion(shell: Shell = None, as_json: Json = False) -> int:
    """Completion for your shell: bash, zsh or fish."""
    from grader.cli.completion import command

    return command(shell, as_json=as_json)
