"""Programs for the terminal: the CAD demonstration and the license check."""
