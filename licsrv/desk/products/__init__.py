"""Products: their names, places and features."""
