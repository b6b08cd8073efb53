"""Skylark's claims desk: a service of group 6."""
