"""Seeded conversations in which much goes wrong, on a virtual clock, and what has to hold of each: `python -m chaos`.

- plan: what one number stands for: providers, what the user does, what goes wrong and when.
- far_side: the providers of a call, mocks and emulated vendors.
- caller: the user: a microphone, a listener, tools, and the deeds of the plan.
- record, listener: what an application and a listener came to know of a call.
- laws: what has to hold of it.
- run: one call from its number to its verdict; many: a number of them, in processes.
- kill: the same on real sockets and by the real clock, with vendors that are processes and are killed.
"""

import os

# There is a process for each core already: threads of the arithmetic would only stand in each other's way.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
