"""The steps, act by act.

Of an authorization code's life: ``purchase``, ``everyday``, ``trouble``, ``ending``; then ``online``, ``files``,
``old_line`` (License 1.0), ``notification``, ``versions``, and ``final_checks``.
"""
