"""Outbox rows as staff and programs see them."""
