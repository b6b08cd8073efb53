"""The author's side: what makes a group fit to ship.

`prove.py` runs what the eight proofs need (`bench.py`) and judges it (`proof.py`, `bounds.py`); `handed_in.py` reads
what the author wrote for it, `patch.py` its wrong fixes. `signature.py` tells a learner the belief behind a mistake
that is known, and `solution.py` what is to be learnt once all is solved. `shipped.py` and `pins.py` tell what ships
from what a learner made of it; `scaffold.py` begins a new group.
"""
