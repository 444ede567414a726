"""What a device would get of a license, now or at another moment, by the rules as they are or by another policy.

It changes nothing: the decision that really decides is asked, without a lock and without what would be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.desk import names
from licsrv.desk.licenses import showing
from licsrv.desk.licenses.answers import DeviceLine, ExplainAnswer, TraceStep
from licsrv.errors import RefusalError
from licsrv.heartbeats import rules
from licsrv.licensing import devices
from licsrv.licensing import store as licensing
from licsrv.licensing.devices import Explained
from licsrv.licensing.policies import Policies
from licsrv.licensing.traces import Rule, Step
from licsrv.seats import store as seats
from licsrv.words import explanations as words
from licsrv.words.sentences import Sentence, moment


def explain(
    session: Session,
    name: str,
    device_info: str,
    *,
    values: Mapping[str, object] | None = None,
    key: bytes,
    policies: Policies,
    at: datetime,
) -> ExplainAnswer:
    """Say what a device would get at a moment, as things are now.

    Args:
        values: Of the product's policy, what would be different.
        key: Hashes what the device says; it is not kept.

    Raises:
        LicenseNotFoundError: There is no such license.
        InvalidRequestError: The device cannot be read.
        InvalidPolicyError: And its relative: the policy cannot be so.
    """
    code = names.license_of(session, name).code
    found = devices.explain(session, code, device_info, values=values, key=key, of_products=policies, now=at)
    refusal = found.outcome if isinstance(found.outcome, RefusalError) else None
    lease = None if refusal is not None else _lease(found, at)
    trace = [*found.trace, *([lease] if lease is not None else [])]
    return ExplainAnswer(
        at=at,
        gets_license=refusal is None,
        code=refusal.code if refusal is not None else None,
        says=_says(code, trace, is_given=refusal is None),
        device=_device(session, found),
        takes_place=not isinstance(found.outcome, RefusalError) and found.outcome.takes_place,
        floating=found.situation.policy.places.floating,
        places=found.situation.places.limit,
        places_taken=_taken(session, found, at),
        trace=[TraceStep.model_validate(step.shown()) for step in trace],
    )


def _taken(session: Session, found: Explained, at: datetime) -> int:
    """Return the places taken; where they float, the seats in use."""
    situation = found.situation
    if not situation.policy.places.floating:
        return situation.places.taken
    return seats.taken(session, [situation.license.id], now=at).get(situation.license.id, 0)


def _says(code: str, trace: Sequence[Step], *, is_given: bool) -> Sentence:
    return words.GETS.filled(code=code) if is_given else words.GETS_NONE.filled(code=code, why=trace[-1].says)


def _lease(found: Explained, at: datetime) -> Step:
    situation = found.situation
    lease = rules.decide(situation.license, device_has_place=True, times=situation.policy.time, now=at)
    return Step(Rule.LEASE, words.LEASE, values={"until": moment(lease.lease_until, at)})


def _device(session: Session, found: Explained) -> DeviceLine | None:
    """Return the device that the decision recognised."""
    device_id = None if isinstance(found.outcome, RefusalError) else found.outcome.device_id
    device = licensing.device(session, device_id) if device_id is not None else None
    return showing.device_lines(session, [device])[0] if device is not None else None
