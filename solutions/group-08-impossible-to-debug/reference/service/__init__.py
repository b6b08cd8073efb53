"""Skylark's answer desk: a service of group 8."""
