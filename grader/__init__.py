"""Brownout: learn production patterns by outage. The program behind `learn`."""

__version__ = "0.1.0"
