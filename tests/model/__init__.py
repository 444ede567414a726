"""A model of what must be true, and a machine that plays any order of events against the service and compares."""
