"""The web console: pages over the desk's operations. It decides nothing."""
