"""Heartbeats: a device checks in and gets a signed lease; its first use of a day is reported where use is counted."""
