"""Everything that happened to a license: its sources, their titles, and how they become one list."""
