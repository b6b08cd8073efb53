"""What is tried against a grader, as submissions for the group in `target.py`; `test_attacks.py` has them judged."""
