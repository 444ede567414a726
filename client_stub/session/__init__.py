"""One program's license session: transport, check-ins, revocation list, configuration, events."""
