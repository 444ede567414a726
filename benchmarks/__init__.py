"""The benchmarks: what the service must reach, measured as ratios and figures on this machine.

``python -m benchmarks`` runs them all, ``python -m benchmarks heartbeat`` one; ``README.md`` says how to read them.
They start real processes on loopback and look at them from outside; nothing in ``licsrv`` knows of them.
"""
