"""Example: what the pattern is for, in one line."""


def greeting(name: str) -> str:
    """Greet `name` at once: "Hello, Ada!". A stub's docstring is a contract, and has a test of its own."""
    return f"Hello, {name}!"
