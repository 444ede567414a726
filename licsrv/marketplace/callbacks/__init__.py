"""Callbacks of the marketplace: verified, read by product line, carried out once, answered."""
