"""The command `learn`.

`line.py` makes words a call, `app.py` declares the lines to typer, `ending.py` makes of whatever happened an exit code
and one line. Each command is a module of its own, which calls and prints; no logic.
"""

import sys  # and nothing from a file: a Ctrl-C in the midst of that would be a traceback


def main() -> None:
    """The entry point of `learn`."""
    try:
        from grader.cli.line import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    if code == 130:
        try:
            from grader.cli.ending import interrupted

            interrupted()
        except Exception:  # Ctrl-C has left a module half imported
            pass
    sys.exit(code)
