"""Many submissions: what was handed in, who judges it where, what is kept of it, and what it is worth.

Nothing here prints, and nothing of a submission's runs in this process.
"""
