"""Use cases of devices: a device asks for its license (as a string, or as a file), and gives its place back.

Each reads, decides, writes, and notes what it did in the audit, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import (
    DeviceLimitError,
    InvalidRequestError,
    LicenseNotFoundError,
    RefusalError,
    VirtualMachineError,
)
from licsrv.licensing import (
    fingerprints,
    learning,
    lifecycle,
    moving,
    policies,
    refused_devices,
    releasing,
    store,
    traces,
    virtual_machines,
)
from licsrv.licensing.bindings import Learned
from licsrv.licensing.fingerprints import DeviceFacts, HashedParts, Part
from licsrv.licensing.issuing import issuing
from licsrv.licensing.issuing.issuing import Delivery, IssuableLicense, Recipient, Wording
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.learning import Recognised
from licsrv.licensing.moving import LastContacts, no_contacts
from licsrv.licensing.places import Admission, HeldPlaces, KnownDevice, PlaceFacts, PlaceRules, limit
from licsrv.licensing.policies import Policies, Policy, Recognition
from licsrv.licensing.refused_devices import Refused
from licsrv.licensing.store import ProductRow
from licsrv.licensing.tables import Device
from licsrv.licensing.traces import Rule, Step
from licsrv.platform.ids import new_id
from licsrv.words import explanations as words
from licsrv.words.names import name_of

_COMPARED = 20


class DeviceLicense(IssuableLicense, PlaceFacts, Protocol):
    """A license that a device can get a place of: what its file says, its places, its age."""

    @property
    def created_at(self) -> datetime:
        """When it became known here."""


class MaintenanceEnd(Protocol):
    """Says which releases a license covers; the room of releases knows."""

    def __call__(self, session: Session, license: DeviceLicense, /) -> datetime | None:
        """Return the last release date covered; None when there is no such limit."""


def _no_limit(_session: Session, license: DeviceLicense, /) -> datetime | None:
    return license.maintenance_until


@dataclass(frozen=True)
class Terms:
    """What shapes a license: who issues it, the policies, the rule for releases, and who was seen when."""

    issuer: str
    policies: Policies = field(default_factory=Policies)
    maintenance_end: MaintenanceEnd = _no_limit
    last_contacts: LastContacts = no_contacts

    def wording(
        self,
        session: Session,
        license: DeviceLicense,
        product: ProductRow | None,
        *,
        rules: PlaceRules,
        starts_at: datetime | None = None,
        ends_by: datetime | None = None,
    ) -> Wording:
        """Return what a license with such places says, narrowed to the time for which it was asked."""
        return Wording(
            self.issuer,
            product,
            license.amount or limit(license, rules),
            starts_at=starts_at,
            ends_by=ends_by,
            maintenance_until=self.maintenance_end(session, license),
            is_floating=rules.floating,
        )


@dataclass(frozen=True)
class Activation:
    """A device asks for the license of a code.

    Args:
        form: A string or a file; None for the form in which the product's licenses travel.
        file_name: What it would call the file.
        starts_at: From when it is wanted, where that is later than now.
        ends_by: Until when it is wanted, where that is earlier than the license's end.
        move_from: The device whose place it takes where every place is taken; empty for none.
    """

    code: str
    device_info: str = field(repr=False)
    device_name: str = ""
    client_version: str = ""
    form: Delivery | None = Delivery.STRING
    file_name: str | None = None
    starts_at: datetime | None = None
    ends_by: datetime | None = None
    move_from: str = ""


@dataclass(frozen=True)
class LicenseForDevice:
    """A license as the device gets it. ``refresh_after`` is when it should have checked in or asked again."""

    text: str
    form: str
    license_id: str
    issued_id: str
    expires_at: datetime | None
    refresh_after: datetime
    weakly_bound: bool = False

    @property
    def license_string(self) -> str:
        """The text, as the answer to a request for a string names it."""
        return self.text


def activate(
    session: Session, request: Activation, *, keyring: Keyring, terms: Terms, cause: Cause, now: datetime
) -> LicenseForDevice:
    """Give the device a place on the license, or recognise it, and issue its license.

    Asking again costs no second place, and gives the same text while it says what a new one would.

    Raises:
        LicenseNotFoundError: No license has this code.
        LicenseExpiredError: And its relatives: no device may use it now.
        DeviceLimitError: The device is new and every place is taken; ``movable`` names those that it may take.
        MoveNotAllowedError: It may not take the place that it named.
        MoveLimitError: The moves of the license are used up.
        InvalidRequestError: The product has too many features for the form asked for.
        KeyringError: The product asks for a second signature, and no key makes one.
    """
    license, product = _license_typed(session, request.code)
    policy, key = terms.policies.of(license.policy), keyring.device_key
    situation = _situation(session, license, policy, device_info=request.device_info, key=key)

    situation, admission = _admitted(session, situation, request, terms=terms, cause=cause, now=now)

    facts, known = situation.facts, situation.known(admission)
    device_id, bound = _write(
        session, license, admission, known=known, request=request, facts=facts, recognition=policy.recognition,
        key=key, cause=cause, now=now,
    )  # fmt: skip

    wording = terms.wording(
        session, license, product, rules=policy.places, starts_at=request.starts_at, ends_by=request.ends_by
    )
    recipient = Recipient(device_id, bound, is_new=admission.takes_place, name=request.device_name)
    issued = issuing.issue(
        session, license, recipient, form=request.form,
        wording=wording, file_name=request.file_name, keyring=keyring, now=now,
    )  # fmt: skip
    if issued.is_new or admission.takes_place:
        detail = _explain(admission, device_id, issued.issued_id, places=situation.places)
        audit.record(session, _action(admission), subject=license.id, cause=cause, detail=detail, now=now)
    ends_at = lifecycle.end_of_use(license)
    refresh_after = _earlier(now + policy.time.grace, ends_at)
    return LicenseForDevice(
        issued.text, issued.form, license.id,
        issued_id=issued.issued_id, expires_at=ends_at, refresh_after=refresh_after,
        weakly_bound=fingerprints.is_weak(bound),
    )  # fmt: skip


@dataclass(frozen=True)
class Situation:
    """Everything that decides what a device gets: the license, its policy and devices, and what the device says."""

    license: Any
    policy: Policy
    places: HeldPlaces
    candidates: Sequence[KnownDevice]
    facts: DeviceFacts
    parts: HashedParts
    text_hash: str

    def decide(self, now: datetime) -> Admission:
        """Decide what the device gets; the admission, or the refusal, carries the trace. Nothing is read or written.

        Raises:
            LicenseExpiredError: And its relatives: no device may use the license at this moment.
            DeviceLimitError: The device is new and every place is taken.
            VirtualMachineError: It is new, and the product allows no virtual machines.
            InvalidRequestError: It is new, and no place can be bound to what it names.
        """
        admission = self.places.decide(self.license, self.candidates, self.parts, text_hash=self.text_hash, now=now)
        if admission.device_id is not None:
            return admission
        self._require_machine(admission)
        try:
            bound = fingerprints.binding(self.facts, weakly=self.policy.recognition.weak_binding)
        except InvalidRequestError as refusal:
            step = Step(Rule.BINDING, words.NOTHING_TO_BIND, is_passed=False)
            raise traces.refused(refusal, [*admission.trace, step]) from None
        step = Step(Rule.BINDING, words.WEAKLY_BOUND if fingerprints.is_weak(bound) else words.BOUND)
        return replace(admission, trace=[*admission.trace, step])

    def _require_machine(self, admission: Admission) -> None:
        if self.policy.recognition.virtual_machines or not virtual_machines.is_virtual(self.facts):
            return
        refusal = VirtualMachineError(
            "This product is not licensed for virtual machines and containers.",
            action="Install it on a computer of its own, or ask the vendor's support.",
        )
        raise traces.refused(refusal, [*admission.trace, Step(Rule.BINDING, words.VIRTUAL, is_passed=False)])

    def known(self, admission: Admission) -> KnownDevice | None:
        """Return the admitted device as it was, where it is known and stays bound."""
        if admission.is_bound_anew:
            return None
        return next((one for one in self.candidates if one.id == admission.device_id), None)

    def recognised(self, known: KnownDevice) -> Recognised:
        """Return the device with what it says."""
        return Recognised(
            id=known.id, license_id=self.license.id, parts=known.parts, facts=self.facts, text_hash=self.text_hash,
            budget=self.policy.recognition.budget,
        )  # fmt: skip


def _situation(session: Session, license: Any, policy: Policy, *, device_info: str, key: bytes) -> Situation:
    facts = fingerprints.parse(device_info)
    parts = fingerprints.hash_parts(facts, key=key)
    candidates = store.devices_like(session, license.id, parts)
    places = HeldPlaces(limit(license, policy.places), license.places_taken, policy.places)
    if not candidates and places.is_full:
        candidates = store.devices_with_place(session, license.id, limit=_COMPARED)  # to explain the refusal by
    text_hash = fingerprints.hash_text(device_info, key=key)
    return Situation(license, policy, places, candidates=candidates, facts=facts, parts=parts, text_hash=text_hash)


def _admitted(
    session: Session, situation: Situation, request: Activation, *, terms: Terms, cause: Cause, now: datetime
) -> tuple[Situation, Admission]:
    """Decide what the device gets, and in which situation: a full license after the named device has left its place."""
    try:
        return situation, situation.decide(now)
    except DeviceLimitError as full:
        situation = _moved(session, situation, request, full=full, terms=terms, cause=cause, now=now)
    return situation, situation.decide(now)


def _moved(
    session: Session,
    situation: Situation,
    request: Activation,
    *,
    full: DeviceLimitError,
    terms: Terms,
    cause: Cause,
    now: datetime,
) -> Situation:
    """Return the situation after the device that was named has left its place.

    Raises:
        DeviceLimitError: None was named; says which may be.
        MoveNotAllowedError: That one may not be taken.
        MoveLimitError: The moves are used up.
    """
    license, rules, places = situation.license, situation.policy.moves, situation.places
    left = moving.moves_of(session, license.id, rules, places=places.limit, now=now)
    if not request.move_from:
        found = moving.movable(session, license.id, rules, last_contacts=terms.last_contacts, now=now)
        if rules.unseen_for:
            full.extra |= moving.offer(found, left, rules)
        raise full
    found = moving.seen(session, [request.move_from], terms.last_contacts, now=now)
    other, trace = moving.require_other([one for one in found if one.license_id == license.id], rules, left, now=now)
    releasing.free(session, other, by=None, trace=trace, cause=cause, now=now)
    return replace(situation, places=replace(places, taken=places.taken - 1))


@dataclass(frozen=True)
class Explained:
    """What a device would get: an admission or a refusal, with the trace of the rules."""

    situation: Situation
    outcome: Admission | RefusalError
    trace: Sequence[Step]


def explain(
    session: Session,
    code: str,
    device_info: str,
    *,
    values: Mapping[str, object] | None = None,
    key: bytes,
    of_products: Policies,
    now: datetime,
) -> Explained:
    """Say what :func:`activate` would give a device at ``now``; nothing is written or locked.

    Args:
        values: Of the policy, what would be different.
        of_products: The policies as they are.

    Raises:
        LicenseNotFoundError: No license has this code.
        InvalidRequestError: The device cannot be read.
        InvalidPolicyError: And its relative: the policy cannot be so.
    """
    license, _ = store.license_for_activation(session, code, locked=False)
    if license is None:
        raise unknown_code()
    policy = of_products.of(license.policy)
    if values is not None:
        stated, base = policies.read(license.policy) if license.policy else {}, of_products.base
        policy = policies.over(base, policies.changed(stated, values, base))
    situation = _situation(session, license, policy, device_info=device_info, key=key)
    try:
        admission = situation.decide(now)
    except RefusalError as refusal:
        return Explained(situation, refusal, [step for step in refusal.trace if isinstance(step, Step)])
    known = situation.known(admission)
    learned = learning.to_learn(session, situation.recognised(known), key=key, now=now) if known is not None else None
    trace = list(admission.trace)
    if learned is not None:
        trace.append(Step(Rule.LEARNING, words.LEARNS, values={"part": name_of("part", learned.part)}))
    return Explained(situation, admission, trace)


def unknown_code() -> LicenseNotFoundError:
    """Return the refusal of a code that no license has."""
    return LicenseNotFoundError("No license has this code.", action="Check the code: the purchase shows it.")


def note_refusal(
    session: Session, request: Activation, facts: DeviceFacts, code: str, *, device_key: bytes, now: datetime
) -> None:
    """Count that a device was refused, where the license is one that we know: support is asked about it."""
    license = store.license_typed(session, request.code)
    if license is None:
        return
    parts = fingerprints.hash_parts(facts, key=device_key)
    like = store.devices_like(session, license.id, parts)
    known = next((one.id for one in like if fingerprints.is_same_device(one.parts, parts)), None)
    device = known or fingerprints.fingerprint(parts)
    refused_devices.note(session, Refused(license.id, device, code, name=request.device_name), now=now)


def _write(
    session: Session,
    license: IssuableLicense,
    admission: Admission,
    *,
    known: KnownDevice | None,
    request: Activation,
    facts: DeviceFacts,
    recognition: Recognition,
    key: bytes,
    cause: Cause,
    now: datetime,
) -> tuple[str, DeviceFacts]:
    """Write the admitted device; return its id, and the facts that its license is signed for.

    Args:
        known: The device as it was, where it is known and stays bound.
    """
    text_hash = fingerprints.hash_text(request.device_info, key=key)
    learned, is_settled = None, True
    if known is not None:
        device = Recognised(
            id=known.id, license_id=license.id, parts=known.parts, facts=facts, text_hash=text_hash,
            budget=recognition.budget,
        )  # fmt: skip
        learned = _learn(session, device, known, key=key, cause=cause, now=now)
        is_settled = not learning.shows_more(device, key=key)
    bound = _bound(facts, admission, learned or known, weakly=recognition.weak_binding, key=key)
    seen: dict[str, Any] = {"name": request.device_name, "client_version": request.client_version, "asked_at": now}
    if learned is None:  # learning it wrote that
        seen["text_hash"] = text_hash if is_settled else ""
    if fingerprints.is_weak(bound):
        seen["is_weakly_bound"] = True
    parts = fingerprints.hash_parts(bound, key=key)
    return _admit(session, license, admission, seen=seen, parts=parts, cause=cause, now=now), bound


def _license_typed(session: Session, typed: str) -> tuple[Any, ProductRow | None]:
    """Return the license of a typed code, locked, and its product; a second look-up where it is spelled otherwise."""
    license, product = store.license_for_activation(session, typed)
    if license is None and (code := store.code_meant(session, typed).code) is not None:
        license, product = store.license_for_activation(session, code)
    if license is None:
        raise unknown_code()
    return license, product


def _learn(
    session: Session, device: Recognised, known: KnownDevice, *, key: bytes, cause: Cause, now: datetime
) -> Learned | None:
    """Let a known device learn a new part; count its text, where it last asked with another one."""
    if known.text_hash != device.text_hash:
        learning.note_texts(session, [device], key=key, now=now)
    return learning.learn(session, device, key=key, cause=cause, now=now)


def _bound(
    facts: DeviceFacts, admission: Admission, known: KnownDevice | Learned | None, *, weakly: bool, key: bytes
) -> DeviceFacts:
    """Return what the license is signed for: what is, or will be, stored of the device.

    Args:
        known: What the device is bound to, where it is known and stays bound.
        weakly: Whether the product allows a place that is bound to an install identity.

    Raises:
        InvalidRequestError: A new device has no value that distinguishes it from others.
    """
    if admission.is_bound_anew and set(fingerprints.without_install_identity(facts).values) <= {Part.CPU}:
        return facts  # it keeps its place, as weakly as it had it
    if known is not None:
        return fingerprints.known_facts(facts, known.parts, key=key)
    return fingerprints.binding(facts, weakly=weakly)


def _admit(
    session: Session,
    license: IssuableLicense,
    admission: Admission,
    *,
    seen: Mapping[str, Any],
    parts: HashedParts,
    cause: Cause,
    now: datetime,
) -> str:
    """Write what the decision means for the device and its place; return the device's id."""
    if admission.takes_place:
        store.move_places(session, license.id, 1)
    if admission.is_beyond:
        store.note_overfull(session, license.id, now=now)
    if admission.device_id is None:
        device_id = new_id(now)
        row: dict[str, Any] = {
            "id": device_id,
            "license_id": license.id,
            "fingerprint": fingerprints.fingerprint(parts),
            "parts": dict(parts),
            "first_seen_at": now,
        }
        store.add_device(session, row | dict(seen))
        return device_id
    changes: dict[str, Any] = {name: value for name, value in seen.items() if value or name == "text_hash"}
    if admission.is_bound_anew:
        changes["is_weakly_bound"] = seen.get("is_weakly_bound", False)
        store.bind_anew(session, admission.device_id, license_id=license.id, parts=parts)
        detail = {"device": admission.device_id, "parts": sorted(parts)}
        audit.record(session, Action.DEVICE_BOUND_AGAIN, subject=license.id, cause=cause, detail=detail, now=now)
    if admission.takes_place:
        changes["released_at"] = None
    store.update_device(session, admission.device_id, **changes)
    return admission.device_id


def _action(admission: Admission) -> Action:
    if admission.device_id is None:
        return Action.DEVICE_ACTIVATED
    return Action.DEVICE_RETURNED if admission.takes_place else Action.LICENSE_ISSUED


def _explain(admission: Admission, device_id: str, issued_id: str, places: HeldPlaces) -> dict[str, object]:
    parts = admission.match.explain() if admission.match is not None else {}
    beyond = {"beyond": places.taken + 1 - places.limit} if admission.is_beyond else {}
    return {"device": device_id, "issued": issued_id, "places": places.limit, "parts": parts, **beyond}


def _earlier(moment: datetime, limit: datetime | None) -> datetime:
    return moment if limit is None else min(moment, limit)


def reset_clock(session: Session, device: Device, *, cause: Cause, now: datetime) -> None:
    """Let a device forget what its clock showed: the next text that is signed for it is younger than all before."""
    store.update_device(session, device.id, clock_reset_at=now)
    detail = {"device": device.id, "name": device.name}
    audit.record(session, Action.CLOCK_RESET, subject=device.license_id, cause=cause, detail=detail, now=now)
