"""Brownout: learn production patterns by outage. The program behind `learn`."""
