"""The manifest: what is offered to a client as signed text. Pure.

The client downloads from the address in it, so only the vendor may state the address, the size and the digest of the
file. ``client_stub`` reads manifests with code of its own, on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from licsrv.licensing.issuing import strings
from licsrv.licensing.signing import SigningKey, seconds

LIFETIME = timedelta(hours=24)
"""How long an answer counts. The nonce makes it fresh; the end bounds what a program without nonces believes."""


@dataclass(frozen=True)
class Manifest:
    """What a manifest says. It answers one question of one client, so that an old answer cannot be shown again.

    Args:
        product: The product's id or its name: the one by which the client asked for it.
        running: The version that the client said it runs.
        nonce: The client's random; None where it sent none.
    """

    issuer: str
    product: str
    version: str
    channel: str
    platform: str
    url: str
    sha256: str
    size: int
    forced: bool
    published_at: datetime
    issued_at: datetime
    running: str
    nonce: str | None

    def claims(self) -> dict[str, Any]:
        """Return the claims; moments are whole Unix seconds."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "product": self.product,
            "version": self.version,
            "channel": self.channel,
            "platform": self.platform,
            "url": self.url,
            "sha256": self.sha256,
            "size": self.size,
            "forced": self.forced,
            "published_at": seconds(self.published_at),
            "iat": seconds(self.issued_at),
            "exp": seconds(self.issued_at + LIFETIME),
            "running": self.running,
        }
        return claims if self.nonce is None else claims | {"nonce": self.nonce}


def sign(manifest: Manifest, *, key: SigningKey) -> str:
    """Return a manifest as JWS compact serialization, ``typ`` ``release+jwt``.

    Args:
        manifest: What it says.
        key: One whose purpose is releases.
    """
    return key.sign(strings.payload(manifest.claims()))
