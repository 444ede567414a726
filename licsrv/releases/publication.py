"""What the vendor says of a version when publishing it, and what may not be said. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from licsrv.errors import InvalidRequestError
from licsrv.releases import versions
from licsrv.releases.versions import Scheme, Version

LONGEST_PRODUCT, LONGEST_VERSION, LONGEST_URL, LONGEST_NOTES = 128, 64, 2048, 16_000
LARGEST = 2**53 - 1  # what every JSON library reads without losing a byte
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LONGEST_WORD = {"channel": 32, "platform": 64}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL_TEXT = re.compile(r"[!-~]+")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Publication:
    """A version to be published.

    Args:
        minimum_version: Clients below it must take this version; None: no client must.
        rollout_percent: The share of devices that is offered it; can be changed later.
        published_at: Its publication date where that is not the moment of the command; one to come is waited for.
    """

    product_id: str
    version: str
    channel: str
    platform: str
    url: str
    size: int
    sha256: str
    minimum_version: str | None = None
    rollout_percent: int = 100
    notes_zh: str = ""
    notes_en: str = ""
    published_at: datetime | None = None


def require_sound(publication: Publication, scheme: Scheme) -> Version:
    """Refuse a publication that no client could use; return its version.

    Raises:
        InvalidRequestError: It has faults; all of them are named.
    """
    faults = [*_faults(publication)]
    if faults:
        raise InvalidRequestError(" ".join(faults), action="Nothing was published.")
    version = versions.parse(publication.version, scheme)
    if publication.minimum_version is not None and versions.parse(publication.minimum_version, scheme) > version:
        raise InvalidRequestError(
            "The minimum version is newer than the version itself: who took it would have to take it again.",
            action="Name a minimum version up to this one.",
        )
    return version


def _faults(publication: Publication) -> Iterator[str]:
    product = publication.product_id
    if not product.strip() or len(product) > LONGEST_PRODUCT or not product.isprintable():
        yield f"The product has 1 to {LONGEST_PRODUCT} printable characters."
    for text in (publication.version, publication.minimum_version or ""):
        if len(text) > LONGEST_VERSION:
            yield f"A version has at most {LONGEST_VERSION} characters."
    for name, word in (("channel", publication.channel), ("platform", publication.platform)):
        if len(word) > _LONGEST_WORD[name] or not _WORD.fullmatch(word):
            yield f"The {name} has 1 to {_LONGEST_WORD[name]} of the characters a-z 0-9 . _ - and none of . _ - first."
    if not 0 <= publication.rollout_percent <= 100:
        yield "The roll-out is 0 to 100 per cent."
    yield from _faults_of_file(publication)
    for notes in (publication.notes_zh, publication.notes_en):
        if len(notes) > LONGEST_NOTES or _UNSEEN.search(notes):
            yield f"Notes have at most {LONGEST_NOTES} characters, and of control characters only line ends and tabs."


def _faults_of_file(publication: Publication) -> Iterator[str]:
    if not is_https(publication.url):
        yield f"The URL begins with https://, names a host, and has at most {LONGEST_URL} printable ASCII characters."
    if not 1 <= publication.size <= LARGEST:
        yield f"The size is 1 to {LARGEST} bytes."
    if not _SHA256.fullmatch(publication.sha256):
        yield "The SHA-256 has 64 hexadecimal digits."


def is_https(url: str) -> bool:
    """Whether a client may be sent there: encrypted, and nothing in it that could deceive a reader of the address."""
    if len(url) > LONGEST_URL or not _URL_TEXT.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:  # a port or an address in brackets that is none
        return False
