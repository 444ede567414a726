"""Accounts, sessions and tokens as staff and programs see them."""
