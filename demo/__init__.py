"""The whole life of licenses of every product line, played in front of the user: ``make demo``, or ``python -m demo``.

Real processes on free loopback ports (the server and the marketplace emulator), the real command line, and
``client_stub`` as the desktop program. Every sentence on the screen stands behind a check: when the reality differs,
the demo says so and exits with 1. Nothing outside a temporary folder is touched, and nothing is left behind.

``story`` lists acts and steps, ``steps`` plays them, ``stage`` runs the processes, ``marketplace`` and ``workstation``
are the two other parties, ``narrator`` prints.
"""
