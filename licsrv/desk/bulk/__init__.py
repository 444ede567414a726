"""Bulk work: one action on up to a hundred thousand listed licenses, tried dry, approved, and carried out in groups."""
