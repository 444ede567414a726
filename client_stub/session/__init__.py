"""One program's license session: configuration, transport, check-ins, revocation list, verdict, events."""

from client_stub.session.session import NONCE_BYTES, CheckIn, LicenseSession

__all__ = ["NONCE_BYTES", "CheckIn", "LicenseSession"]
