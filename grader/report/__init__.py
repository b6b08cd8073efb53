"""Outcomes as people and programs read them: the terminal, and JSON. Nothing is decided here."""
