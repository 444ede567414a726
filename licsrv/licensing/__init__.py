"""Licenses, the devices that hold places on them, and the signed strings in which a license reaches a device.

This room knows nothing of any marketplace: whoever changes a license tells it plain facts.
"""
