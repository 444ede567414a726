"""Heartbeats: a device checks in and gets a signed lease; the first use of each day is told to whoever counts it."""
