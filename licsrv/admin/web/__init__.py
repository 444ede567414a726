"""The console under ``/admin``: pages for people on top of the operations that programs use, and nothing besides.

A page asks the same operations, through the same checks, as a program does; it holds no rule and no SQL.
"""
