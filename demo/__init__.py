"""The whole life of licenses of every product line, played in front of the user: ``make demo``, or ``python -m demo``.

Real processes on free loopback ports (the server and the marketplace emulator), the real command line, and
``client_stub`` as the desktop program. A check precedes every sentence on the screen: when reality differs, the demo
says so and exits with 1. It works in a temporary folder and leaves nothing behind.

``story`` lists acts and steps, ``steps`` plays them, ``stage`` runs the processes, ``marketplace`` and ``workstation``
are the two other parties, ``narrator`` prints.
"""
