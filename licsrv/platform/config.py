"""The settings: the only reader of the environment.

Every setting is an environment variable with the prefix ``LICSRV_``; ``LICSRV_<NAME>_FILE`` names a file that
holds the value instead, for secrets. All problems are named at once, so that one start shows them all.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from licsrv.errors import SettingsError, StorageError
from licsrv.platform import database_address

PREFIX = "LICSRV_"
FILE_SUFFIX = "_FILE"
_UID_DIGITS = 10
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _split(value: object) -> object:
    """Read a comma-separated list; blanks around and empty members are dropped."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _port(value: object) -> object:
    """Name the trap in which a Service called `licsrv` catches its own pods."""
    if isinstance(value, str) and value.startswith("tcp://"):
        raise ValueError("holds what Kubernetes sets for a Service called licsrv: set enableServiceLinks: false there")
    return value


def _zone(value: object) -> object:
    """Read an IANA time zone name."""
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no time zone name such as Asia/Shanghai or UTC") from error


def _hour(value: object) -> object:
    """Read ``never`` as no hour at all."""
    return None if value == "never" else value


TextList = Annotated[tuple[str, ...], BeforeValidator(_split)]
SecretList = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Port = Annotated[int, BeforeValidator(_port)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Hour = Annotated[Annotated[int, Field(ge=0, le=23)] | None, BeforeValidator(_hour)]


class Settings(BaseModel):
    """All settings of one process; frozen. Field names are the variables' names in lower case, without the prefix."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    # Not in repr(): the address may hold a password.
    database_url: str = Field(
        "sqlite:///var/licsrv.db",
        repr=False,
        description="SQLite file or `postgresql://…`; user name and password percent-encoded",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8000, ge=0, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=64, description="processes that serve")
    trusted_proxies: str = Field("127.0.0.1", description="addresses whose `X-Forwarded-*` headers are believed")
    keys_dir: Path = Field(Path("keys"), description="signing keys (private ones git-ignored)")
    keys_passphrase: SecretStr | None = Field(None, description="encrypts the private keys on disk")
    issuer: str = Field("licsrv", min_length=1, max_length=40, description="`iss` of everything we sign")

    callback_access_keys: SecretList = Field((), description="callback access keys; any of them verifies")
    marketplace_urls: TextList = Field(
        ("https://mkt.myhuaweicloud.com", "https://mkt.myhuaweicloud.cn"), description="open API hosts, tried in order"
    )
    allow_insecure_marketplace: bool = Field(
        False, description="`1` allows `http://127.0.0.1:…` as open API host, for the emulator"
    )
    marketplace_ak: str = Field("", description="open API access key (AK)")
    marketplace_sk: SecretStr = Field(SecretStr(""), description="open API secret key (SK)")
    marketplace_timezone: Zone = Field(ZoneInfo("Asia/Shanghai"), description="the day a heartbeat counts for")
    day_timezone: Zone | None = Field(
        None,
        description="the zone of a day that staff types, such as an end: it ends with that day there; none: "
        "`MARKETPLACE_TIMEZONE`",
    )
    callback_timezone: Zone = Field(ZoneInfo("UTC"), description="how `expireTime` of callbacks is read")
    marketplace_timeout_seconds: float = Field(20, ge=1, le=120, description="limit for one delivery from the outbox")
    activation_timeout_seconds: float = Field(
        3, ge=0.2, le=30, description="limit for asking the marketplace while a client waits"
    )
    alive_unfreezes: bool = Field(
        True, description="`1`: a marketplace answer ALIVE ends a freeze whose UNFREEZE got lost"
    )
    provisional_hours: float = Field(
        24, ge=0, le=720, description="lifetime of a provisional license in hours; `0` disables them"
    )
    provisional_per_address: int = Field(
        50, ge=0, le=100_000, description="provisional licenses that one address gets within 24 hours"
    )
    provisional_per_network: int = Field(
        100, ge=0, le=100_000, description="the same for one network: a /24 of IPv4, a /64 of IPv6"
    )
    provisional_in_all: int = Field(
        500, ge=0, le=1_000_000, description="provisional licenses given within 24 hours altogether"
    )

    lease_grace_hours: float = Field(168, gt=0, le=8784, description="how long a lease lasts without contact")
    heartbeat_interval_hours: float = Field(24, gt=0, le=744, description="when the next check-in is due")
    device_limit: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="default number of devices of a license, if neither product nor order states one",
    )
    moves_per_place: int = Field(
        4, ge=0, le=10_000, description="how often programs may give back each place of a license within `MOVES_DAYS`"
    )
    moves_days: float = Field(30, gt=0, le=366, description="the days of `MOVES_PER_PLACE`")
    move_cool_down_hours: float = Field(
        24, ge=0, le=8784, description="least time between two moves of one place by programs"
    )
    file_holds_place: bool = Field(
        True, description="`1`: a device with a license file that has not ended cannot give its place back by itself"
    )
    unknown_codes_per_minute: int = Field(
        60, ge=1, le=100_000, description="unknown codes that one address may try in a minute"
    )
    outbox_concurrency: int = Field(
        64, ge=1, le=500, description="most calls to the marketplace at once; starts at 4 and grows while it answers"
    )
    outbox_max_attempts: int = Field(120, ge=1, le=10_000, description="tries before a delivery is parked")
    reconcile_at: Hour = Field(
        2,
        description="hour in the marketplace's time zone at which all licenses are compared with the marketplace; "
        "`never`: only on demand",
    )
    reconcile_per_second: float = Field(
        10, ge=0.01, le=10_000, description="most licenses that the comparison asks about in a second"
    )
    callback_log_days: int = Field(400, ge=1, le=4000, description="how long signed callbacks are kept")

    public_url: str = Field("", description="address under which browsers reach the support desk behind a proxy")
    session_idle_minutes: int = Field(
        30, ge=1, le=1440, description="minutes without use after which a staff session ends"
    )
    session_hours: float = Field(12, ge=0.1, le=168, description="hours after which a staff session ends in any case")
    step_up_minutes: float = Field(
        5,
        ge=0.5,
        le=60,
        description="minutes for which a proof of identity counts for changes to accounts, roles and tokens",
    )
    totp_required: bool = Field(True, description="`0` lets staff sign in without a second factor")
    admin_calls_per_minute: int = Field(
        600, ge=10, le=100_000, description="calls of the support desk's API that one person or token may make"
    )
    bulk_approval_above: int = Field(
        100, ge=0, le=100_000, description="bulk work on more licenses than this needs a second person's approval"
    )

    approver_wait_hours: float = Field(
        24, ge=0, le=720, description="an account that became able to approve, or got new credentials, waits so long"
    )

    audit_heads: str = Field(
        "",
        description="where the end of the audit is sent each hour: `file:/path`, `syslog`, or an `https://…` webhook",
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="minimum log level")
    log_addresses: Literal["full", "shortened", "none"] = Field(
        "shortened",
        description="the caller's address in request lines: whole, its network (/24, IPv6 /64), or not; "
        "with `none` the networks of copies of a machine are not kept either",
    )
    log_format: Literal["json", "text"] = Field("json", description="one JSON object a line, or text for people")
    allow_test_clock: bool = Field(False, description="`1` lets tests move the clock by `POST /v1/test/clock`")

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        problems = [
            *self._database_problems(),
            *self._marketplace_problems(),
            *self._public_url_problems(),
            *self._audit_problems(),
        ]
        if self.allow_test_clock and self.workers > 1:
            problems.append("ALLOW_TEST_CLOCK: moves the clock of one process only, so it needs WORKERS=1")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _database_problems(self) -> list[str]:
        try:
            database_address.parse(self.database_url)
        except StorageError as error:
            return [f"DATABASE_URL: {error}"]
        return []

    def _audit_problems(self) -> list[str]:
        kind, _, rest = self.audit_heads.partition(":")
        parts = _parts(self.audit_heads)
        is_webhook = parts is not None and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        )
        is_file = kind == "file" and rest.startswith("/")
        if self.audit_heads in {"", "syslog"} or is_file or (is_webhook and parts is not None and parts.hostname):
            return []
        return ["AUDIT_HEADS: must be file:/path, syslog, or an https:// address"]

    def _public_url_problems(self) -> list[str]:
        parts = _parts(self.public_url)
        is_plain = parts is not None and parts.path in {"", "/"} and not parts.query and not parts.fragment
        if not self.public_url or (
            parts and is_plain and parts.hostname and parts.scheme in {"https", "http"} and "@" not in parts.netloc
        ):
            return []
        return ["PUBLIC_URL: must be an address such as https://licenses.example.com, without a path"]

    def _marketplace_problems(self) -> list[str]:
        problems = [p for url in self.marketplace_urls if (p := self._url_problem(url))]
        if not self.marketplace_urls:
            problems.append("MARKETPLACE_URLS: name at least one host")
        if bool(self.marketplace_ak) != bool(self.marketplace_sk.get_secret_value()):
            problems.append("MARKETPLACE_AK and LICSRV_MARKETPLACE_SK: set both or none")
        return problems

    def _url_problem(self, url: str) -> str | None:
        if "@" in url:
            return "MARKETPLACE_URLS: an address must not hold a user name or password"
        parts = _parts(url)
        if parts is None or parts.query or parts.fragment:
            return f"MARKETPLACE_URLS: {url!r} cannot be read as the address of a host"
        if parts.scheme == "https" and parts.hostname:
            return None
        if parts.scheme == "http" and parts.hostname in LOOPBACK and self.allow_insecure_marketplace:
            return None
        hint = " (for the emulator also set ALLOW_INSECURE_MARKETPLACE=1)" if parts.scheme == "http" else ""
        return f"MARKETPLACE_URLS: {url!r} must be an https:// address{hint}"

    @property
    def day_zone(self) -> ZoneInfo:
        """The zone of the days that staff types."""
        return self.day_timezone or self.marketplace_timezone

    @property
    def lease_grace(self) -> timedelta:
        """How long a lease lasts without contact."""
        return timedelta(hours=self.lease_grace_hours)

    @property
    def heartbeat_interval(self) -> timedelta:
        """When the next check-in is due."""
        return timedelta(hours=self.heartbeat_interval_hours)

    @property
    def moves_span(self) -> timedelta:
        """The time within which moves are counted."""
        return timedelta(days=self.moves_days)

    @property
    def move_cool_down(self) -> timedelta:
        """The least time between two moves of one place."""
        return timedelta(hours=self.move_cool_down_hours)

    @property
    def session_idle(self) -> timedelta:
        """How long a staff session may go unused."""
        return timedelta(minutes=self.session_idle_minutes)

    @property
    def approver_wait(self) -> timedelta:
        """For how long a new approver cannot approve."""
        return timedelta(hours=self.approver_wait_hours)

    @property
    def step_up(self) -> timedelta:
        """For how long a proof of identity counts for operations that grant access."""
        return timedelta(minutes=self.step_up_minutes)

    @property
    def session_span(self) -> timedelta:
        """How long a staff session lasts at most."""
        return timedelta(hours=self.session_hours)

    @property
    def provisional_span(self) -> timedelta:
        """The lifetime of a provisional license; zero disables them."""
        return timedelta(hours=self.provisional_hours)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment (or from ``environ``).

    Raises:
        SettingsError: Something is wrong; the message names every problem.
    """
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one reader of the environment
    values, problems = _collect(environ)
    settings, found = _validate(values)
    problems += found
    if settings is None or problems:
        raise SettingsError("Settings are wrong:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return settings


def _validate(values: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    """Return the settings, or every problem: rules over several settings are also looked at without the wrong ones."""
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
    wrong = {detail["loc"][0] for detail in details if detail["loc"]}
    problems = [sentence for detail in details for sentence in _sentences(detail["loc"], detail["msg"])]
    if wrong:
        problems += _validate({name: value for name, value in values.items() if name not in wrong})[1]
    return None, problems


def unknown_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """Name variables with our prefix that are no setting, with the likely meant one: a typo is silent otherwise."""
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one reader of the environment
    known = [name.upper() for name in Settings.model_fields]
    found = [name.removeprefix(PREFIX) for name in sorted(environ) if name.startswith(PREFIX)]
    unknown = [name for name in found if name.removesuffix(FILE_SUFFIX) not in known]
    return [f"{PREFIX}{name}{_suggestion(name, known)}" for name in unknown]


def invoking_user() -> int:
    """Return the user id that runs this command; behind sudo, the one that called sudo."""
    behind = os.environ.get("SUDO_UID", "")  # noqa: TID251 - the one reader of the environment
    return int(behind) if behind.isascii() and behind.isdecimal() and len(behind) <= _UID_DIGITS else os.getuid()


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {PREFIX}{close[0]}?)" if close else ""


def _collect(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    problems: list[str] = []
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        direct, path = environ.get(name), environ.get(name + FILE_SUFFIX)
        if direct and path:
            problems.append(f"{name}: set it or {name}{FILE_SUFFIX}, not both")
        elif direct:
            values[field] = direct.removeprefix("\ufeff").strip()
        elif path:
            try:
                values[field] = Path(path).read_text(encoding="utf-8-sig").strip()
            except (OSError, ValueError) as error:
                problems.append(f"{name}{FILE_SUFFIX}: cannot be read ({type(error).__name__})")
    return values, problems


def _sentences(location: tuple[int | str, ...], message: str) -> list[str]:
    text = message.removeprefix("Value error, ")
    if location:
        return [f"{PREFIX}{str(location[0]).upper()}: {text}"]
    return [PREFIX + line for line in text.split("\n")]


def _parts(url: str) -> SplitResult | None:
    """Split an address; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port  # is checked only when it is asked for
    except ValueError:
        return None
    return parts if port != 0 else None
