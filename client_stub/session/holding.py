"""What a running program holds: its license, as a string, as a file or as both, and what belongs to it. Values only.

A file is for working without network, a string for check-ins: it is the credential of a heartbeat. With both, the file
is the license in use, and the string brings the leases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from client_stub.machine.store import Record
from client_stub.session.transport import IssuedString
from client_stub.trust import verdict as verdicts
from client_stub.trust.claims import Lease, License
from client_stub.trust.devices import DeviceInfo

_EPOCH = datetime.fromtimestamp(0, UTC)
_END_OF_TIME = datetime(2999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Machine:
    """The device text that the program gave, and what it says."""

    info: str
    device: DeviceInfo


@dataclass(frozen=True)
class Holding:
    """A license that is believed on this machine; at least one of ``string`` and ``file`` is there."""

    machine: Machine
    record: Record
    string: License | None = None
    file: License | None = None
    lease: Lease | None = None

    @property
    def licenses(self) -> tuple[License, ...]:
        """The file and the string, as far as they are there."""
        return tuple(license for license in (self.file, self.string) if license is not None)

    @property
    def license(self) -> License:
        """The license in use."""
        return self.licenses[0]


def with_string(held: Holding | None, machine: Machine, string: License, issued: IssuedString, now: int) -> Holding:
    """Put a string that was just handed out into use; the very same string keeps its lease."""
    if held is not None and is_same_string(held.string, string):
        record, lease = replace(held.record, obtained_at=now), held.lease
    else:
        record, lease = Record(issued.license_string, obtained_at=now, highest_seen_at=0), None
    record = replace(
        record,
        refresh_after=None if issued.refresh_after is None else unix(issued.refresh_after),
        license_file=held.record.license_file if held else "",
    )
    return Holding(machine, record, string, file=held.file if held else None, lease=lease)


def without_file(holding: Holding) -> Holding:
    """Take the file out of use."""
    return replace(holding, record=replace(holding.record, license_file=""), file=None)


def with_file(held: Holding | None, machine: Machine, file: License, text: str, now: int) -> Holding:
    """Put a file into use; a string of the same license, and its lease, are kept."""
    if held is None or not is_same_license(held.string, file):
        held = Holding(machine, Record("", obtained_at=now, highest_seen_at=0))
    record = replace(held.record, license_file=text, obtained_at=now)
    return replace(held, machine=machine, record=record, file=file)


def youngest_signed(holding: Holding) -> int:
    """Return the moment of the youngest text that is held, in Unix seconds."""
    signed = [license.issued_at for license in holding.licenses]
    signed += [holding.lease.issued_at] if holding.lease else []
    return unix(max(signed))


def is_outdated(holding: Holding, now: datetime) -> bool:
    """True from ``refresh_after`` on, and when a lease has moved the end that a string or file itself still states."""
    refresh_after = holding.record.refresh_after
    if refresh_after is not None and now.timestamp() >= refresh_after:
        return True
    return any(verdicts.stated_end(license, holding.lease) != license.expires_at for license in holding.licenses)


def is_same_license(one: License | None, other: License | None) -> bool:
    """True when both are forms of one license of one issuer."""
    if one is None or other is None:
        return False
    return (one.issuer, one.license_id) == (other.issuer, other.license_id)


def is_same_string(one: License | None, other: License) -> bool:
    """True when both are the very same string."""
    return one is not None and (one.license_id, one.string_id) == (other.license_id, other.string_id)


def unix(moment: datetime) -> int:
    """Return whole seconds, kept inside what the store accepts whatever a desktop's clock claims."""
    return int(min(max(moment, _EPOCH), _END_OF_TIME).timestamp())
