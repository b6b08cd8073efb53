"""Everything that enters the learner's process. Imports nothing of ours but `grader.wire`.

None of it is trusted by the verdict: the learner's code shares this process and may overwrite any of it. A service that
does so lies only to itself, since what counts is what the simulation sees from outside.
"""
