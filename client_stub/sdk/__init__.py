"""The vendor SDK's calls, directly against the license server or through ISCDesk."""
