"""Skylark's document assistant."""
