"""How a program sets its license client up: one frozen value, checked when it is made."""

from __future__ import annotations

import ipaddress
import platform
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from client_stub.machine.store import default_path
from client_stub.trust import typed_codes
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.verdict import REMIND_WITHIN
from client_stub.trust.verification import Expected

_PROCESSORS = {"amd64": "x86_64", "aarch64": "arm64", "i386": "x86", "i686": "x86"}


class ConfigurationError(ValueError):
    """The program was built with a configuration that cannot work or is not safe; the message names the field."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Everything that the client needs to know.

    The SDK's calls have no argument for the code, because ISCDesk knows which instance it started. Here the
    configuration holds the code.

    Attributes:
        server_url: The license server: ``https://…``; ``http://`` to this very computer only. A path in front of
            ``/v1`` is kept. May be empty with ``iscdesk_url``; then there are no check-ins.
        code: The authorization code (``PL…``) or the ``instanceId``, as typed or pasted; ``typed_codes`` cleans it.
        keys: The vendor's public keys, built into the program.
        issuer: The only issuer whose licenses are believed; None believes any holder of a pinned key.
        product: The only product whose licenses are believed, by its id; None leaves it open, for trying things out.
            Several, such as the ids of all ways of buying it: the first is the one that versions are asked for. Add a
            name where license files are in use that were issued before ids were signed.
        store_path: The file for what is remembered; None takes the user's own data folder.
        client_name: How this installation is shown to support staff, such as ``CAD-WS-07``; may be empty.
        client_version: The program's version; may be empty.
        first_grace: How long a license that was just handed out works without any check-in.
        first_heartbeat_within: The first check-in comes at a random moment within this span.
        request_timeout: The limit for each phase of a request (connect, send, receive).
        ca_file: Certificate authorities (PEM) to trust in addition to the system's, such as those of a network that
            inspects TLS connections.
        proxy: The proxy to the license server, ``http://host:port``; None takes the system's, an empty text none.
        iscdesk_url: ISCDesk on this computer; licenses then come through it, and ``code`` is the ``instanceId``.
        license_folder: Where license files without a path of their own go; None takes the folder of the store.
        require_both_signatures: Believe license files with both signatures only (EdDSA and ML-DSA-65).
        revocations_path: A revocation list that was carried to this computer; read again with every request.
        clock_reset_path: A clock reset that was carried to this computer; read again with every request.
        channel: Which versions of the program are asked for, such as ``stable``.
        platform: What the program runs on, as the vendor publishes it; empty is this computer's, as ``linux-x86_64``.
        remind_within: From how long before the license's end ``verdict.notice`` has a sentence for the user.
        available_as_boolean: Write ``available`` of ``EVENT_UPGRADENOTICE`` as a JSON boolean instead of a string.

    Raises:
        ConfigurationError: On creation, when a field cannot work or is not safe.
    """

    code: str
    keys: PinnedKeys
    server_url: str = ""
    issuer: str | None = None
    product: Expected = None
    store_path: Path | None = None
    client_name: str = ""
    client_version: str = ""
    first_grace: timedelta = timedelta(days=7)
    first_heartbeat_within: timedelta = timedelta(seconds=10)
    request_timeout: timedelta = timedelta(seconds=5)
    ca_file: Path | None = None
    proxy: str | None = None
    iscdesk_url: str = ""
    license_folder: Path | None = None
    require_both_signatures: bool = False
    revocations_path: Path | None = None
    clock_reset_path: Path | None = None
    channel: str = "stable"
    platform: str = ""
    remind_within: timedelta = REMIND_WITHIN
    available_as_boolean: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", typed_codes.clean(self.code))
        if self.server_url or not self.iscdesk_url:
            check_server_url(self.server_url)
        if self.iscdesk_url:
            check_server_url(self.iscdesk_url, field="iscdesk_url")
        if self.proxy and urlsplit(self.proxy).scheme not in ("http", "https"):
            raise ConfigurationError("proxy: begins with http:// or https://.")
        if not self.code:
            raise ConfigurationError("code: is empty.")
        for name in ("code", "client_name", "client_version", "channel", "platform"):
            _check_text(name, getattr(self, name))
        for name in ("first_grace", "first_heartbeat_within", "remind_within"):
            if getattr(self, name) < timedelta(0):
                raise ConfigurationError(f"{name}: is negative.")
        if self.request_timeout <= timedelta(0):
            raise ConfigurationError("request_timeout: is not positive.")

    @property
    def stored_at(self) -> Path | None:
        """The file in which this license is remembered; None when no path is given and this user has no folder."""
        return self.store_path or default_path(self.code)

    @property
    def revocations_stored_at(self) -> Path | None:
        """The file in which the revocation list is remembered, next to the license."""
        return self.stored_at.with_suffix(".revocations") if self.stored_at else None

    @property
    def license_files_at(self) -> Path | None:
        """The folder for license files that are asked for by name; None without a store and without a folder."""
        return self.license_folder or (self.stored_at.parent if self.stored_at else None)

    @property
    def seat_stored_at(self) -> Path | None:
        """The file in which a borrowed seat is kept, next to the license."""
        return self.stored_at.with_suffix(".seat") if self.stored_at else None

    @property
    def described(self) -> dict[str, str]:
        """What questions say of this installation, as far as it is known."""
        named = {"name": self.client_name, "version": self.client_version}
        return {name: value for name, value in named.items() if value}

    @property
    def platform_name(self) -> str:
        """What the program runs on, such as ``windows-x86_64``, ``linux-arm64`` or ``macos-arm64``."""
        return self.platform or this_platform()


def this_platform() -> str:
    """Name this computer's system and processor in the words that publishers use."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return f"{system}-{_PROCESSORS.get(machine, machine)}"


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{name}: is not valid text.") from error


def check_server_url(url: str, field: str = "server_url") -> None:
    """Accept ``https://`` anywhere and ``http://`` to this very computer.

    Raises:
        ConfigurationError: Anything else, or a URL with a password, a query or a fragment in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{field}: is not a URL.") from error
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(f"{field}: needs a host, and has no place for a password, a query or a fragment.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(f"{field}: begins with https:// (http:// is for this very computer only).")


def is_loopback(host: str) -> bool:
    """Return True when ``host`` is this very computer, judged by its spelling (nothing is looked up)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
