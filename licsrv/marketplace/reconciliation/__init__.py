"""Where this server and the marketplace say different things about a license, and how that is repaired."""
