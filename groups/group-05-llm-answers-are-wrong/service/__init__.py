"""Skylark's assistant for fare policies."""
