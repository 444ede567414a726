"""Releases: the versions that the vendor has published, and which of them a client is offered or must take."""
