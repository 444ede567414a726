"""The one box: whatever support has in hand leads to its licenses.

A license string, a file or a lease is judged; a raw fingerprint is hashed on its way in and neither stored nor logged;
anything else is looked up as a code, an id, an order, a device, or the beginning of a code, a customer or a device's
name; a code however it is spelled. Each look-up is bounded and goes by an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from licsrv.desk.licenses import reading, sentences, showing, store
from licsrv.desk.licenses.answers import DeviceLine, Hit, Judged, SearchAnswer
from licsrv.desk.licenses.reading import Presented
from licsrv.desk.view import View
from licsrv.licensing import fingerprints, lifecycle, spellings
from licsrv.licensing import store as licensing
from licsrv.licensing.issuing import strings
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.lifecycle import Status
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.platform.text_limits import is_storable
from licsrv.words import licenses as words
from licsrv.words.sentences import Sentence, moment

MOST = 20
LONGEST_TEXT = 80_000
_LONGEST_NAME = 200


@dataclass
class _Found:
    """What was found so far, best first; a license once, with everything that led to it."""

    by: dict[str, list[str]] = field(default_factory=dict)
    devices: dict[str, DeviceLine] = field(default_factory=dict)

    def add(self, how: str, license_ids: Sequence[str]) -> None:
        for license_id in license_ids:
            ways = self.by.setdefault(license_id, [])
            if how not in ways:
                ways.append(how)

    def add_devices(self, how: str, devices: Sequence[DeviceLine]) -> None:
        for device in devices:
            self.add(how, [device.license_id])
            self.devices.setdefault(device.license_id, device)

    def hits(self, session: Session, view: View) -> tuple[list[Hit], bool]:
        licenses = store.licenses(session, list(self.by)[:MOST])
        ordered = [licenses[license_id] for license_id in self.by if license_id in licenses]
        lines = showing.license_lines(session, ordered, view)
        hits = [Hit(license=line, found_by=self.by[line.id], device=self.devices.get(line.id)) for line in lines]
        return hits, len(self.by) > MOST


def search(session: Session, text: str, *, keyring: Keyring, view: View) -> SearchAnswer:
    """Return what a text leads to.

    Raises:
        InvalidRequestError: It looks like a fingerprint and is none.
    """
    presented = reading.read(text)
    if presented is not None:
        return _judge(session, presented, keyring, view=view)
    found = _Found()
    kind = "fingerprint" if text.count("|") == len(fingerprints.Part) - 1 else "text"
    if kind == "fingerprint":
        _by_fingerprint(session, text.strip(), keyring, found=found)
    elif is_storable(text) and 0 < len(text.strip()) <= _LONGEST_NAME:
        _by_text(session, text.strip(), found)
    hits, has_more = found.hits(session, view)
    return SearchAnswer(kind=kind, hits=hits, has_more=has_more)


def _by_text(session: Session, text: str, found: _Found) -> None:
    limit = MOST + 1
    if session.get(License, text) is not None:
        found.add("id", [text])
    device = session.get(Device, text)
    if device is not None:
        found.add_devices("device_id", showing.device_lines(session, [device]))
    meant = licensing.code_meant(session, text)
    for how, code in (("code", meant.code), ("look_alike", meant.look_alike)):
        license = licensing.license_by_code(session, code) if code is not None else None
        found.add(how, [license.id] if license is not None else [])
    found.add("code", store.by_code(session, spellings.clean(text), limit))
    found.add("order", store.by_order(session, text, limit))
    found.add("customer", store.by_customer(session, text, limit))
    found.add_devices("device_name", showing.device_lines(session, store.by_device_name(session, text, limit)))


def _by_fingerprint(session: Session, text: str, keyring: Keyring, found: _Found) -> None:
    parts = fingerprints.hash_parts(fingerprints.parse(text), key=keyring.device_key)
    devices = store.devices_sharing(session, parts, MOST + 1)
    lines = showing.device_lines(session, devices, parts)
    lines.sort(key=lambda line: -line.match.agreeing if line.match else 0)
    found.add_devices("fingerprint", lines)


def _judge(session: Session, presented: Presented, keyring: Keyring, view: View) -> SearchAnswer:
    """Say of something presented whether we issued it, to whom, and whether it counts now.

    1. A key of ours signed it. 2. That key is not retired. 3. It is as it was handed out. 4. It was not given back.
    5. The license may be used. 6. The device holds a place.
    """
    key = reading.signer_of(presented, keyring.records)
    issued = _issued(session, presented, is_ours=key is not None)
    license = session.get(License, issued.license_id) if issued is not None else None
    device = session.get(Device, issued.device_id) if issued is not None else None
    is_on_record = presented.kind == reading.LEASE or (
        issued is not None and issued.digest == strings.digest(presented.text)
    )
    problem = _problem(
        session, presented, key, issued=issued, license=license, device=device, is_on_record=is_on_record, view=view
    )
    judged = Judged(
        kind=presented.kind,
        is_ours=key is not None,
        is_on_record=key is not None and is_on_record,
        counts=problem is None,
        says=problem or (words.LEASE_COUNTS if presented.kind == reading.LEASE else words.LICENSE_COUNTS),
        key_id=presented.key_id or None,
        key_is_retired=key.is_retired if key is not None else None,
        issued_at=presented.moment("iat"),
        ends_at=presented.moment("exp"),
        claims=reading.without_device(presented.claims) if key is not None else {},
    )
    found = _Found()
    if device is not None:
        found.add_devices("presented", showing.device_lines(session, [device]))
    hits, has_more = found.hits(session, view)
    return SearchAnswer(kind="presented", hits=hits, has_more=has_more, judged=judged)


def _issued(session: Session, presented: Presented, *, is_ours: bool) -> IssuedLicense | None:
    """Return what was handed out: found by its digest, or by its number where a key of ours vouches for that."""
    found = licensing.issued_by_digest(session, strings.digest(presented.text))
    number = presented.word("jti")
    if found is not None or not is_ours or not is_storable(number):
        return found
    return store.issued(session, number)


def _problem(
    session: Session,
    presented: Presented,
    key: reading.PublicKey | None,
    issued: IssuedLicense | None,
    license: License | None,
    device: Device | None,
    *,
    is_on_record: bool,
    view: View,
) -> Sentence | None:
    if key is None:  # 1
        return words.NOT_OURS
    if key.is_retired:  # 2
        return words.KEY_RETIRED
    if issued is None or license is None or device is None or not is_on_record:  # 3
        return words.NOT_ON_RECORD
    if _is_given_back(session, issued):  # 4
        return words.GIVEN_BACK
    if lifecycle.status(license, view.now) is not Status.ACTIVE:  # 5
        return sentences.license_is(license, places_taken=license.places_taken, places=0, now=view.now)
    if device.released_at is not None:  # 6
        return words.NO_PLACE
    return _over(presented, view)


def _is_given_back(session: Session, issued: IssuedLicense) -> bool:
    entry = lists.string_entry(issued.id)
    return issued.given_back_at is not None or revocation_lists.is_listed(session, entry)


def _over(presented: Presented, view: View) -> Sentence | None:
    """Say that it has run out although the license itself may be used."""
    ends_at = presented.moment("exp")
    if ends_at is not None and view.now >= ends_at:
        return words.HAS_ENDED.filled(at=moment(ends_at, view.now))
    if presented.kind == reading.LEASE and presented.word("status") != Status.ACTIVE:
        return words.LEASE_IS_OLD
    return None
