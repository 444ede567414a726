"""The audit as staff and programs read it."""
