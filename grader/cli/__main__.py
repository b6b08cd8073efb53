"""`python -m grader.cli` is `learn`."""

from grader.cli import main

main()
