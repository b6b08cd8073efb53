"""`learn completion`: the script by which a shell asks what may come next, and the answer when it does.

Both are typer's; `candidates.py` knows the groups, patterns and files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grader.cli.ending import Exit, Usage, say

_FIRST = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"}
"""What a script needs before it: in a zsh without a set-up there is nothing yet that could complete."""


def command(shell: str | None = None, *, as_json: bool = False) -> int:
    from grader.cli.candidates import SHELLS

    if shell is None:
        shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        known = f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
        what = f"there is no completion for “{shell}”, but for {known}" if shell else f"for which shell is it: {known}?"
        raise Usage(what, "learn completion bash")
    text = _FIRST.get(shell, "") + _script(shell)
    if as_json:
        from grader.report import machine

        result = machine.CompletionResult(shell=shell, script=text)
        say(machine.text(machine.Completion(exit=Exit.PASSED, result=result)))
        return Exit.PASSED
    say(text)
    return Exit.PASSED


def _script(shell: str) -> str:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    from grader.cli.line import ASKED

    return get_completion_script(prog_name="learn", complete_var=ASKED, shell=shell) + "\n"


def answer() -> int:
    """Answer a shell. Whatever is wrong, nothing is printed but words to choose from: somebody is typing."""
    from grader.cli.candidates import SHELLS
    from grader.cli.line import ASKED

    if os.environ[ASKED] not in {f"complete_{shell}" for shell in SHELLS}:
        return Exit.USAGE
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
    try:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        from grader.cli.app import app

        completion_init()
        app(args=[], prog_name="learn", standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.OURS
    except Exception:
        pass
    return Exit.OURS
