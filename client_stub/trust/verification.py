"""Decide whether a license (string or file), a lease or a manifest is believed, by pinned keys and the arguments.

Three witnesses: server, emulator and this client each implement verification on their own, on purpose. Do not replace
this module by an import.

Pure. Every function either returns a value or raises one ``VerificationError``, whatever the bytes are. What the
program may do with a believed license and an older lease is decided in ``verdict``.

Times: a license is valid from ``nbf - LEEWAY`` (inclusive) to ``exp + LEEWAY`` (exclusive), a lease to
``exp + LEEWAY`` (exclusive). Five minutes is what unsynchronised desktop clocks are commonly allowed (Kerberos uses
the same).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from client_stub.trust import devices, license_files, releases, tokens
from client_stub.trust.claims import Lease, License, read_lease, read_license
from client_stub.trust.device_match import DeviceMatch
from client_stub.trust.errors import (
    DeviceMismatchError,
    ExpiredError,
    ForeignLeaseError,
    LeaseEndedError,
    NeedsSeatError,
    NonceMismatchError,
    NotYetValidError,
    WrongIssuerError,
    WrongProductError,
)
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.releases import Release
from client_stub.trust.tokens import Token

Expected = str | tuple[str, ...] | None
"""The product that a program takes: its id, or several ids and names; None takes any."""
LEEWAY = timedelta(minutes=5)
CLOCK_ERROR = timedelta(hours=24)
"""How far a desktop's clock may be off where a nonce proves freshness anyway."""


@dataclass(frozen=True)
class Freshness:
    """The question for new versions to which a manifest has to be the answer."""

    nonce: str
    running: str
    now: datetime


def verify_license(
    text: str | bytes,
    keys: PinnedKeys,
    *,
    device_info: str,
    now: datetime,
    issuer: str | None = None,
    product: Expected = None,
    takes_seats: bool = False,
) -> License:
    """Believe a license string on this machine at this moment, or say why not.

    1. The token is well-formed, of type ``license+jwt`` and signed with a pinned license key (``tokens.open_token``).
    2. The claims are complete.
    3. Issuer and product are the expected ones, where an expectation is given. A product is known by what its
       licenses sign for ever (``product``), by its present name (``name``) and by others (``aka``).
    4. The device is the one that the license was issued for.
    5. The license has begun and has not ended.
    6. It is not floating, unless the program takes seats (``takes_seats``: it asks the ``verdict``, which demands one).

    Raises:
        VerificationError: The first step that fails.
    """
    believed = authenticate_license(text, keys, issuer=issuer, product=product)  # 1-3
    check_device(believed, device_info)  # 4
    _check_span(believed, now)  # 5
    _check_floating(believed, takes_seats)  # 6
    return believed


def authenticate_license(
    text: str | bytes, keys: PinnedKeys, *, issuer: str | None = None, product: Expected = None
) -> License:
    """Take steps 1 to 3 of ``verify_license``: who issued it and for what, but not where and when it is used."""
    return _expected(tokens.open_token(text, tokens.LICENSE, keys), issuer, product)


def verify_license_file(
    raw: bytes,
    keys: PinnedKeys,
    *,
    device_info: str,
    now: datetime,
    issuer: str | None = None,
    product: Expected = None,
    require_both: bool = False,
    takes_seats: bool = False,
) -> License:
    """Believe a license file on this machine at this moment, or say why not.

    1. The file is whole, to the byte, and its signatures are good (``license_files.open_file``); by default of every
       kind that a license key is pinned for, with ``require_both`` both EdDSA and ML-DSA-65.
    2. to 6. as for a string (``verify_license``).

    Raises:
        VerificationError: The first step that fails.
    """
    believed = authenticate_license_file(raw, keys, issuer=issuer, product=product, require_both=require_both)  # 1-3
    check_device(believed, device_info)  # 4
    _check_span(believed, now)  # 5
    _check_floating(believed, takes_seats)  # 6
    return believed


def authenticate_license_file(
    raw: bytes,
    keys: PinnedKeys,
    *,
    issuer: str | None = None,
    product: Expected = None,
    require_both: bool = False,
) -> License:
    """Take steps 1 to 3 of ``verify_license_file``: who issued it and for what, but not where and when it is used."""
    return _expected(license_files.open_file(raw, keys, require_both=require_both), issuer, product)


def check_device(license: License, device_info: str) -> DeviceMatch:
    """Take step 4 of ``verify_license``, and return how the parts compare.

    Raises:
        InvalidDeviceInfoError: The device text cannot be read.
        DeviceMismatchError: It is another machine; holds the comparison.
    """
    match = license.binding.compare(devices.parse(device_info))
    if not match.is_same_machine:
        raise DeviceMismatchError(match)
    return match


def verify_lease(text: str | bytes, keys: PinnedKeys, *, license: License, nonce: str, now: datetime) -> Lease:
    """Believe the answer to a heartbeat, or say why not. A lease may well say that the license is revoked.

    1. The token is well-formed, of type ``lease+jwt`` and signed with a pinned lease key (``tokens.open_token``).
    2. The claims are complete.
    3. It belongs to this license string: the same ``iss``, ``sub`` and ``jti``.
    4. It answers this very question: the nonce is ours.
    5. It has not ended. That it begins later than ``now`` is no reason to refuse: step 4 proves that it is fresh, so
       it is this computer's clock that is wrong.

    Raises:
        VerificationError: The first step that fails.
    """
    lease = authenticate_lease(text, keys, license=license, nonce=nonce)  # 1-4
    if now - LEEWAY >= lease.expires_at:  # 5
        raise LeaseEndedError("The lease was not renewed in time.")
    return lease


def authenticate_lease(text: str | bytes, keys: PinnedKeys, *, license: License, nonce: str) -> Lease:
    """Take steps 1 to 4 of ``verify_lease``: for leases that are read back later, or with a clock that is in doubt."""
    lease = read_lease(tokens.open_token(text, tokens.LEASE, keys))  # 1, 2
    owner = (license.issuer, license.license_id, license.string_id)
    if (lease.issuer, lease.license_id, lease.string_id) != owner:  # 3
        raise ForeignLeaseError("The lease belongs to another license.")
    if not hmac.compare_digest(lease.nonce.encode(), nonce.encode()):  # 4
        raise NonceMismatchError("The lease does not answer the question that was asked.")
    return lease


def verify_release(
    text: str | bytes,
    keys: PinnedKeys,
    *,
    product: str,
    channel: str,
    platform: str,
    issuer: str | None = None,
    freshness: Freshness | None = None,
) -> Release:
    """Believe a manifest as the answer to a question for new versions, or say why not.

    1. The token is well-formed, of type ``release+jwt`` and signed with a pinned release key (``tokens.open_token``).
    2. The claims are complete.
    3. It is about this program, on this channel and platform, and from the expected issuer where one is given.
    4. It answers this very question: our nonce, our running version, not over, and what it offers is newer. Without
       this step (``freshness`` is None) an old manifest, signed and all, can be shown again.

    Raises:
        VerificationError: The first step that fails.
    """
    release = releases.read_release(tokens.open_token(text, releases.MANIFEST, keys))  # 1, 2
    if issuer is not None and release.issuer != issuer:  # 3
        raise WrongIssuerError("The manifest was issued by another issuer.")
    if (release.product, release.channel, release.platform) != (product, channel, platform):
        raise WrongProductError("The manifest is about another program, channel or platform.")
    if freshness is not None:  # 4
        _check_fresh(release, freshness)
    return release


def _check_fresh(release: Release, freshness: Freshness) -> None:
    if not hmac.compare_digest(release.nonce.encode(), freshness.nonce.encode()):
        raise NonceMismatchError("The manifest answers another question for new versions.")
    if release.expires_at is None or freshness.now - LEEWAY - CLOCK_ERROR >= release.expires_at:
        raise ExpiredError("The manifest is too old.")
    if release.running != freshness.running or releases.is_older_or_same(release.version, freshness.running):
        raise WrongProductError("The manifest offers no version that is newer than the one that runs.")


def names_of(product: Expected) -> tuple[str, ...]:
    """Return what a program expects as names; the first one is the one that it asks for."""
    if product is None:
        return ()
    return (product,) if isinstance(product, str) else tuple(product)


def _expected(token: Token, issuer: str | None, product: Expected) -> License:
    believed = read_license(token)  # 2
    if issuer is not None and believed.issuer != issuer:  # 3
        raise WrongIssuerError("The license was issued by another issuer.")
    is_unknown = believed.is_provisional and not believed.product  # until the marketplace answers; it ends soon
    if product is not None and believed.all_names.isdisjoint(names_of(product)) and not is_unknown:
        raise WrongProductError("The license is for another product.")
    return believed


def _check_span(license: License, now: datetime) -> None:
    if now + LEEWAY < license.not_before:
        raise NotYetValidError("The license begins later than this computer's clock says.")
    if license.expires_at is not None and now - LEEWAY >= license.expires_at:
        raise ExpiredError("The license has expired.")


def _check_floating(license: License, takes_seats: bool) -> None:
    if license.is_floating and not takes_seats:
        raise NeedsSeatError(
            "The license is floating: each running program needs a seat, which this one does not take."
        )
