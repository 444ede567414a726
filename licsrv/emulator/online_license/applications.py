"""Applications for licenses: who asked for which device, what the merchant answered, what it uploaded, by when.

An application is open until a license is uploaded, the merchant refuses it, or the time limit ends.

Source: protocol/online-license-and-sdk.md §3.6 and §5.2. GAPs taken there: an upload is awaited for
``EmulatorSettings.upload_time_limit``; the same upload again is a success again; another one for a settled
application is not valid.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from licsrv.emulator.deliveries import Delivery, DeliveryState
from licsrv.emulator.errors import ControlError, OpenApiRefusedError
from licsrv.emulator.moments import rfc3339
from licsrv.emulator.online_license.instances import Instance
from licsrv.emulator.online_license.uploads import Upload, UploadType
from licsrv.emulator.open_api_codes import CommerceCode

MAX_DEVICE_INFO_BYTES = 5 * 1024


class LicenseKind(StrEnum):
    """Which form of a license the software asked for; the merchant does not learn it."""

    STRING = "string"
    FILE = "file"


class ApplicationState(StrEnum):
    """The state of an application."""

    OPEN = "open"
    UPLOADED = "uploaded"
    FAILED = "failed"


@dataclass(frozen=True)
class Wish:
    """What the software asks for.

    Args:
        kind: The form of the license.
        device_info: The device fingerprint; may be empty.
        file_name: The name a file should have; may be empty.
    """

    kind: LicenseKind
    device_info: str
    file_name: str = ""

    def __post_init__(self) -> None:
        if len(self.device_info.encode()) > MAX_DEVICE_INFO_BYTES:
            raise ControlError(f"device_info must not be longer than {MAX_DEVICE_INFO_BYTES} bytes")


@dataclass
class LicenseApplication:
    """One application, known by its event id."""

    event_id: str
    instance: Instance
    wish: Wish
    applied_at: datetime
    state: ApplicationState = ApplicationState.OPEN
    failure: str = ""
    refused: bool = False
    upload: Upload | None = None
    uploads: int = 0
    delivery: Delivery | None = None
    listeners: list[Callable[[LicenseApplication], None]] = field(default_factory=list, repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def settle(self, state: ApplicationState, *, failure: str = "") -> None:
        """Close it, once, and wake those who wait for it."""
        if self.state is not ApplicationState.OPEN:
            return
        self.state, self.failure = state, failure
        if self.timer:
            self.timer.cancel()
        for listener in self.listeners:
            listener(self)

    def watch(self, delivery: Delivery) -> None:
        """Follow ``getLicenseAsync``: a refusal, or no answer in all its tries, ends the application."""
        if self.state is ApplicationState.FAILED:
            delivery.conclude(DeliveryState.GAVE_UP)
        if delivery.state not in {DeliveryState.REFUSED, DeliveryState.GAVE_UP}:
            return
        if self.state is ApplicationState.OPEN:
            self.refused = True
            self.settle(ApplicationState.FAILED, failure=f"getLicenseAsync: {delivery.attempts[-1].failure}")

    def view(self) -> dict[str, object]:
        """Describe it for the control API; a string license as text, of a file name, size and digest."""
        return {
            "event_id": self.event_id,
            "instance_id": self.instance.instance_id,
            "kind": self.wish.kind.value,
            "device_info": self.wish.device_info,
            "file_name": self.wish.file_name,
            "applied_at": rfc3339(self.applied_at),
            "state": self.state.value,
            "failure": self.failure,
            "uploads": self.uploads,
            "upload": _upload_view(self.upload) if self.upload else None,
            "callback_id": self.delivery.delivery_id if self.delivery else None,
        }


class LicenseApplications:
    """Every application of the emulated marketplace.

    Args:
        now: Gives the marketplace's time.
        time_limit: Gives how long an upload is awaited, in real time.
        send: Sends ``getLicenseAsync`` for an application.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        time_limit: Callable[[], timedelta],
        send: Callable[[LicenseApplication], Delivery],
    ) -> None:
        self._now = now
        self._time_limit = time_limit
        self._send = send
        self._applications: dict[str, LicenseApplication] = {}

    def all(self) -> list[LicenseApplication]:
        """Return every application, the oldest first."""
        return list(self._applications.values())

    def get(self, event_id: str) -> LicenseApplication:
        """Return one application.

        Raises:
            ControlError: There is none.
        """
        if event_id not in self._applications:
            raise ControlError(f"there is no application {event_id}", status=404)
        return self._applications[event_id]

    def apply(self, instance: Instance, wish: Wish, *, event_id: str | None = None) -> LicenseApplication:
        """Apply for a license; needs a running event loop.

        The same device that asks again while its application for the same form is open gets that one, and the
        merchant is asked again with the same event id unless a request is still on its way.

        Args:
            instance: For which instance.
            wish: What is wanted.
            event_id: Repeat this application, settled or not, as after a broken transfer; a failed one opens again.
        """
        instance.require_id()
        found = self._open_one(instance, wish) if event_id is None else self._applications.get(event_id)
        if found is not None and (found.instance is not instance or found.wish.device_info != wish.device_info):
            raise ControlError(f"{event_id} belongs to another device", status=409)
        application = found or self._new(instance, wish, event_id)
        if application.state is ApplicationState.FAILED:
            self._reopen(application)
        if application.delivery is None or application.delivery.state not in _ON_THE_WAY:
            application.delivery = self._send(application)
        return application

    def expire(self, event_id: str) -> LicenseApplication:
        """End the wait for an upload now.

        Raises:
            ControlError: No such application (404), or it is settled already (409).
        """
        application = self.get(event_id)
        if application.state is not ApplicationState.OPEN:
            raise ControlError(f"{event_id} is {application.state.value}", status=409)
        self._time_out(application)
        return application

    def receive(self, event_id: str, upload: Upload) -> None:
        """Take an upload.

        Raises:
            OpenApiRefusedError: No such application, or settled by something else (91381034); the merchant refused it
                itself before (91381038); the instance is gone (91381033); no quota is left (91381035).
        """
        application = self._applications.get(event_id)
        if application is None:
            raise OpenApiRefusedError(CommerceCode.APPLICATION_INVALID, "no such application")
        _require_uploadable(application, upload)
        self._require_quota(application)
        application.upload = upload
        application.uploads += 1
        application.settle(ApplicationState.UPLOADED)

    def forget(self) -> None:
        """Forget every application."""
        for application in self._applications.values():
            if application.timer:
                application.timer.cancel()
        self._applications.clear()

    def _open_one(self, instance: Instance, wish: Wish) -> LicenseApplication | None:
        for each in self._applications.values():
            same = each.instance is instance and (each.wish.kind, each.wish.device_info) == (
                wish.kind,
                wish.device_info,
            )
            if same and each.state is ApplicationState.OPEN:
                return each
        return None

    def _new(self, instance: Instance, wish: Wish, event_id: str | None) -> LicenseApplication:
        chosen = event_id or f"evt-{secrets.token_hex(16)}"
        application = LicenseApplication(chosen, instance=instance, wish=wish, applied_at=self._now())
        self._await_upload(application)
        self._applications[chosen] = application
        return application

    def _reopen(self, application: LicenseApplication) -> None:
        application.state, application.failure, application.refused = ApplicationState.OPEN, "", False
        self._await_upload(application)

    def _await_upload(self, application: LicenseApplication) -> None:
        limit = self._time_limit().total_seconds()
        application.timer = asyncio.get_running_loop().call_later(limit, self._time_out, application)

    def _time_out(self, application: LicenseApplication) -> None:
        application.settle(ApplicationState.FAILED, failure="no license was uploaded in time")
        if application.delivery:
            application.delivery.conclude(DeliveryState.GAVE_UP)

    def _require_quota(self, application: LicenseApplication) -> None:
        quota = application.instance.license_quota
        if quota is None or application.uploads:
            return
        others = {
            each.wish.device_info
            for each in self._applications.values()
            if each.instance is application.instance and each.upload is not None
        }
        if len(others - {application.wish.device_info}) >= quota:
            raise OpenApiRefusedError(CommerceCode.QUOTA_USED_UP)


_ON_THE_WAY = {DeliveryState.HELD, DeliveryState.PENDING, DeliveryState.FAILED}


def _require_uploadable(application: LicenseApplication, upload: Upload) -> None:
    if application.instance.released_at:
        raise OpenApiRefusedError(CommerceCode.RESOURCE_INVALID, "the instance is released")
    if application.refused:
        raise OpenApiRefusedError(CommerceCode.APPLICATION_DENIED, application.failure)
    if application.state is ApplicationState.FAILED:
        raise OpenApiRefusedError(CommerceCode.APPLICATION_INVALID, application.failure)
    if application.upload is not None and application.upload != upload:
        raise OpenApiRefusedError(CommerceCode.APPLICATION_INVALID, "another license was uploaded before")


def _upload_view(upload: Upload) -> dict[str, object]:
    shown: dict[str, object] = {"type": upload.type.value, "sha256": upload.sha256, "size": len(upload.content)}
    if upload.type is UploadType.CHARACTERS:
        return shown | {"characters": upload.content.decode()}
    return shown | {"file_name": upload.file_name}
