"""``/admin/api/search`` and ``/admin/api/licenses/…``: find a license, see why it is refused, act."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk import names
from licsrv.desk.fields import Moment, Reasoned
from licsrv.desk.licenses import downloads, explaining, page, search, singles
from licsrv.desk.licenses.actions import ACTIONS, service
from licsrv.desk.licenses.actions.answers import ActionAnswer, ActionRequest, PreviewAnswer, PreviewRequest
from licsrv.desk.licenses.actions.staff_action import StaffAction
from licsrv.desk.licenses.answers import (
    CompareAnswer,
    DevicesAnswer,
    ExplainAnswer,
    LicensePage,
    SearchAnswer,
    TimelineAnswer,
    UsageAnswer,
)
from licsrv.desk.licenses.singles import Limit
from licsrv.desk.licenses.timeline import items
from licsrv.desk.operations import AdminOperation, Call
from licsrv.errors import (
    ConflictError,
    DeviceMismatchError,
    InvalidPolicyError,
    KeyringError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
    MarketplaceUnavailableError,
    NotFoundError,
    PolicyContradictionError,
    RefusalError,
    ServiceUnavailableError,
)
from licsrv.licensing import fingerprints
from licsrv.licensing.issuing import clock_resets, files
from licsrv.licensing.issuing.issuing import Issued
from licsrv.licensing.routes import FILE_MEDIA_TYPE
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import Body

_REVOKE = "revoke"
_LICENSE = "/admin/api/licenses/{license}"
_READ, _CHANGE = Permission.READ_LICENSES, Permission.CHANGE_LICENSES
_LONGEST_SEARCH = 200_000  # a license file, with every character escaped
_NONE: tuple[type[RefusalError], ...] = (LicenseNotFoundError,)
_KEY_SECONDS = 60


class SearchRequest(Body):
    """What to search for; in a body, because addresses are logged and a fingerprint must not be."""

    text: str = Field(
        min_length=1,
        max_length=search.LONGEST_TEXT,
        description="a code, id, order, instance, customer, device, fingerprint, license string or file, or lease",
        examples=["PL0000000001"],
    )


class MatchRequest(Body):
    """A pasted fingerprint, with which the license's devices are compared."""

    device_info: str = Field(max_length=fingerprints.MAX_BYTES, description="MAC|DISK|BOARD|CPU")


class ExplainRequest(MatchRequest):
    """A device for which is asked what it would get."""

    at: Moment | None = Field(None, description="at which moment; left out: now")
    policy: dict[str, int | float | bool | None] | None = Field(
        None, description="values that the product's policy would have; null: the setting's"
    )


class FileForDeviceRequest(Reasoned):
    """A license file is wanted for a device."""

    device_info: str | None = Field(
        None, max_length=fingerprints.MAX_BYTES, description="the device's own description, where known"
    )


def operations() -> Sequence[AdminOperation]:
    """Return the operations with the permissions that they ask for."""
    return (
        AdminOperation(
            "POST", "/admin/api/search", "Find licenses by a code, order, customer, device or string", permission=_READ,
            handler=find, body=SearchRequest, result=SearchAnswer, most=_LONGEST_SEARCH,
        ),
        AdminOperation(
            "GET", _LICENSE, "Show what a license is and may do now", permission=_READ, handler=show,
            result=LicensePage, refusals=_NONE,
        ),
        AdminOperation(
            "POST", f"{_LICENSE}/match", "Compare the devices of a license with a fingerprint", permission=_READ,
            handler=compare_devices, body=MatchRequest, result=LicensePage, refusals=_NONE,
        ),
        AdminOperation(
            "POST", f"{_LICENSE}/explain", "Explain what a device would get, now, at a date or under a policy",
            permission=_READ, handler=explain, body=ExplainRequest, result=ExplainAnswer,
            refusals=(*_NONE, InvalidPolicyError, PolicyContradictionError),
        ),
        AdminOperation(
            "GET", f"{_LICENSE}/devices", "List the devices of a license", permission=_READ, handler=list_devices,
            result=DevicesAnswer, refusals=_NONE, query=paging.PARAMETERS,
        ),
        AdminOperation(
            "GET", f"{_LICENSE}/timeline", "List everything that happened to a license", permission=_READ,
            handler=show_timeline, result=TimelineAnswer, refusals=_NONE, query=paging.PARAMETERS,
        ),
        AdminOperation(
            "GET", f"{_LICENSE}/usage", "Show a year of daily use", permission=_READ, handler=show_usage,
            result=UsageAnswer, refusals=_NONE,
        ),
        AdminOperation(
            "POST", f"{_LICENSE}/compare", "Ask the marketplace now and compare", permission=Permission.RECONCILE,
            handler=compare_now, result=CompareAnswer, refusals=(*_NONE, MarketplaceUnavailableError),
        ),
        AdminOperation(
            "POST", f"{_LICENSE}/devices/{{device}}/file", "Get a license file for a known device", permission=_CHANGE,
            handler=make_file, body=FileForDeviceRequest, media_type=FILE_MEDIA_TYPE,
            refusals=(
                *_NONE, NotFoundError, ConflictError, DeviceMismatchError, LicenseExpiredError, LicenseFrozenError,
                LicenseRevokedError, LicenseReleasedError, ServiceUnavailableError,
            ),
        ),
        AdminOperation(
            "GET", f"{_LICENSE}/devices/{{device}}/clock-reset", "Download the clock reset of a device",
            permission=_CHANGE, handler=get_clock_reset, media_type=FILE_MEDIA_TYPE,
            refusals=(*_NONE, NotFoundError, ServiceUnavailableError),
        ),
        *_of_actions(),
    )  # fmt: skip


def _of_actions() -> Iterator[AdminOperation]:
    for action in ACTIONS.values():
        path, words = f"{_LICENSE}/actions/{action.name}", action.name.replace("_", " ")
        refusals = (*_NONE, *service.REFUSALS)
        yield AdminOperation(
            "POST", f"{path}/preview", f"Say what would change: {words}", permission=action.permission,
            handler=partial(_preview, action),
            body=PreviewRequest, result=PreviewAnswer, refusals=refusals,
        )  # fmt: skip
        yield AdminOperation(
            "POST", f"{path}/do", f"Do it: {words}", permission=action.permission, handler=partial(_do, action),
            body=ActionRequest, result=ActionAnswer, refusals=refusals,
        )  # fmt: skip


async def find(call: Call, body: SearchRequest) -> SearchAnswer:
    """Answer ``POST /admin/api/search``."""
    tools = call.desk.support
    keyring, view = tools.keyring(), tools.view(call.now)
    return await call.read(lambda session: search.search(session, body.text, keyring=keyring, view=view))


async def show(call: Call) -> LicensePage:
    """Answer ``GET /admin/api/licenses/{license}``."""
    return await _page(call, None)


async def compare_devices(call: Call, body: MatchRequest) -> LicensePage:
    """Answer ``POST /admin/api/licenses/{license}/match``."""
    return await _page(call, body.device_info)


async def explain(call: Call, body: ExplainRequest) -> ExplainAnswer:
    """Answer ``POST /admin/api/licenses/{license}/explain``."""
    tools, at = call.desk.support, body.at or call.now
    key, policies = tools.keyring().device_key, tools.terms.policies
    return await call.read(
        lambda session: explaining.explain(
            session, call.at["license"], body.device_info, values=body.policy, key=key, policies=policies, at=at
        )
    )


async def _page(call: Call, device_info: str | None) -> LicensePage:
    tools = call.desk.support
    keyring, view = tools.keyring(), tools.view(call.now)

    def use_case(session: Session) -> LicensePage:
        return page.page(
            session, call.at["license"], view=view, offered=service.offered, device_info=device_info, keyring=keyring
        )

    return await call.read(use_case)


async def list_devices(call: Call) -> DevicesAnswer:
    """Answer ``GET /admin/api/licenses/{license}/devices``."""
    window = call.window()
    return await call.read(lambda session: page.devices(session, call.at["license"], window))


async def show_timeline(call: Call) -> TimelineAnswer:
    """Answer ``GET /admin/api/licenses/{license}/timeline``."""
    window = call.window(keys=items.KEYS)
    return await call.read(lambda session: items.timeline(session, call.at["license"], window))


async def show_usage(call: Call) -> UsageAnswer:
    """Answer ``GET /admin/api/licenses/{license}/usage``."""
    zone = call.desk.settings.day_zone
    return await call.read(lambda session: page.usage(session, call.at["license"], zone=zone, now=call.now))


async def compare_now(call: Call) -> CompareAnswer:
    """Answer ``POST /admin/api/licenses/{license}/compare``."""
    tools = call.desk.support
    license_id = await call.read(lambda session: names.license_of(session, call.at["license"]).id)
    await tools.compare(license_id)
    view = tools.view(call.desk.clock.now())
    return await call.read(lambda session: page.compared(session, license_id, view=view))


async def _preview(action: StaffAction, call: Call, body: PreviewRequest) -> PreviewAnswer:
    view = call.desk.support.view(call.now)
    return await call.read(
        lambda session: service.preview(session, call.at["license"], action, request=body, view=view)
    )


async def _do(action: StaffAction, call: Call, body: ActionRequest) -> ActionAnswer:
    tools, cause, above = call.desk.support, call.cause(body.reason), call.desk.settings.bulk_approval_above

    def use_case(session: Session) -> ActionAnswer:
        answer = service.do(session, call.at["license"], action, request=body, cause=cause, view=tools.view(call.now))
        if action.name == _REVOKE and answer.changed:
            limit = Limit(above, tools.started_in_bulk)
            singles.note(session, answer.license.id, call.actor, limit=limit, now=call.now)
        return answer

    return await call.write(use_case)


async def make_file(call: Call, body: FileForDeviceRequest) -> Response:
    """Answer ``POST /admin/api/licenses/{license}/devices/{device}/file``."""
    tools, cause = call.desk.support, call.cause(body.reason)

    def use_case(session: Session) -> Issued:
        return downloads.license_file(
            session, call.at["license"], call.at["device"], device_info=body.device_info,
            keyring=tools.keyring(), terms=tools.terms, cause=cause, now=call.now,
        )  # fmt: skip

    try:
        issued = await call.change(use_case)
    except KeyringError as error:
        raise _cannot_sign() from error
    return _attached(issued.text, files.DEFAULT_NAME)


async def get_clock_reset(call: Call) -> Response:
    """Answer ``GET /admin/api/licenses/{license}/devices/{device}/clock-reset``."""
    tools = call.desk.support

    def use_case(session: Session) -> str:
        return downloads.clock_reset(
            session, call.at["license"], call.at["device"], keyring=tools.keyring(),
            issuer=tools.terms.issuer, now=call.now,
        )  # fmt: skip

    try:
        return _attached(await call.read(use_case), clock_resets.FILE_NAME)
    except KeyringError as error:
        raise _cannot_sign() from error


def _cannot_sign() -> ServiceUnavailableError:
    return ServiceUnavailableError(
        "The service cannot sign this license now; nothing was changed.", retry_after=_KEY_SECONDS
    )


def _attached(text: str, file_name: str) -> Response:
    content = text.encode("utf-8")
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": files.content_disposition(file_name),
        "Content-Digest": files.content_digest(content),
    }
    return Response(content, headers=headers, media_type=FILE_MEDIA_TYPE)
