"""What scenarios are made of: the simulated LLM provider, its faults, and the traffic of clients.

All of it is trusted, and runs in the simulation's virtual time. The engine lives in `sim/`; nothing here touches a
learner's process.
"""
