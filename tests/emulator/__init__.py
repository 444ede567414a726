"""Tests of the marketplace emulator: as strict as those of the service, since the service is tested against it."""
