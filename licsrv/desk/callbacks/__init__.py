"""The log of what the marketplace sent and what it was answered."""
