"""ISCDesk, the vendor's desktop client between the software and the marketplace, over HTTP instead of a local DLL.

The real transport between the SDK and ISCDesk is not published; the routes here are the project's own, the events
that come out of them are the published ones.
"""
