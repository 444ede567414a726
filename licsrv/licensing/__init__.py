"""Licenses, the devices that hold places on them, and the signed strings in which a license reaches a device.

This room knows no marketplace: callers that change a license pass plain facts.
"""
