"""Accounts, sessions, API tokens, roles, sign-in, second factor and lock-out."""
