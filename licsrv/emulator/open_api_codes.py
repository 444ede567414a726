"""The documented answers of the open API: codes, texts and HTTP statuses, the current table and the older one.

Source: protocol/authorization-code.md §3.1 and §3.2; for ``CommerceCode`` protocol/online-license-and-sdk.md §5.2 and
§5.3. Pure tables; who answers what is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OpenApiCode(StrEnum):
    """``error_code`` of the open API; names as the meaning column puts it."""

    SUCCESS = "92020000"
    INTERNAL_ERROR = "92020001"
    INVALID_PARAMETER = "92020002"
    ILLEGAL_STATE = "92020003"
    NOT_RECEIVED = "92020004"
    CODE_NOT_EXISTING = "92020005"
    NOT_ACTIVATED = "92020011"
    INVALID_CODE_IN_BATCH = "92020020"
    REQUEST_INVALID = "95000001"
    METHOD_NOT_SUPPORTED = "95000002"
    CONTENT_TYPE_NOT_SUPPORTED = "95000003"
    NOT_READABLE = "95000004"


class CommerceCode(StrEnum):
    """``resultCode`` of the order query and ``error_code`` of the upload; names as the meaning column puts it."""

    SUCCESS = "CBC.0000"
    MARKET_SUCCESS = "MKT.0000"
    OUT_OF_RANGE = "CBC.0100"
    PARAMETER_INVALID = "CBC.0101"
    OTHER_PARAMETER_ERROR = "CBC.0199"
    NOT_ALLOWED = "CBC.0150"
    NO_AUTHORITY = "CBC.0151"
    TOKEN_ILLEGAL = "CBC.0154"  # noqa: S105 - the code says that a token is illegal
    TOO_MANY_REQUESTS = "CBC.0250"
    INTERNAL_ERROR = "CBC.0999"
    RESOURCE_INVALID = "91381033"
    APPLICATION_INVALID = "91381034"
    QUOTA_USED_UP = "91381035"
    INNER_ERROR = "91381036"
    LICENSE_FORMAT_INVALID = "91381037"
    APPLICATION_DENIED = "91381038"
    ROLE_DENIED = "91380150"


@dataclass(frozen=True)
class Wording:
    """How one code is answered: HTTP status and text, today and in the older table."""

    status: int
    message: str
    legacy_status: int
    legacy_message: str


def _wording(status: int, message: str, legacy_status: int | None = None, legacy_message: str = "") -> Wording:
    return Wording(status, message, legacy_status=legacy_status or status, legacy_message=legacy_message or message)


# The older table knows neither 92020003 nor 92020011 nor 92020020; HTTP 400 is taken for them (INFER), so that a client
# that looks at the HTTP status before the code is found out.
WORDINGS: dict[StrEnum, Wording] = {
    OpenApiCode.SUCCESS: _wording(200, "success"),
    OpenApiCode.INTERNAL_ERROR: _wording(200, "internal error", 500),
    OpenApiCode.INVALID_PARAMETER: _wording(200, "invalid param", 400),
    OpenApiCode.ILLEGAL_STATE: _wording(200, "illegal state", 400),
    OpenApiCode.NOT_RECEIVED: _wording(200, "can not active before user received."),
    OpenApiCode.CODE_NOT_EXISTING: _wording(
        200, "license code notexist", legacy_status=200, legacy_message="license code not exist."
    ),
    OpenApiCode.NOT_ACTIVATED: _wording(200, "license code has been not activated.", 400),
    OpenApiCode.INVALID_CODE_IN_BATCH: _wording(200, "Invalid license code exists.", 400),
    OpenApiCode.REQUEST_INVALID: _wording(400, "req param is invalid"),
    OpenApiCode.METHOD_NOT_SUPPORTED: _wording(405, "Request method not supported"),
    OpenApiCode.CONTENT_TYPE_NOT_SUPPORTED: _wording(415, "Content type not supported"),
    OpenApiCode.NOT_READABLE: _wording(400, "req message is not readable"),
}

# GAP: the texts of the order query's errors; the meaning column is taken.
ORDER_WORDINGS: dict[StrEnum, Wording] = {
    CommerceCode.MARKET_SUCCESS: _wording(200, "Success"),
    CommerceCode.SUCCESS: _wording(200, "Success"),
    CommerceCode.INTERNAL_ERROR: _wording(500, "internal error"),
    CommerceCode.OUT_OF_RANGE: _wording(500, "Input parameter out of range or malformed"),
    CommerceCode.PARAMETER_INVALID: _wording(400, "Invalid parameter"),
    CommerceCode.OTHER_PARAMETER_ERROR: _wording(400, "Other parameter error"),
    CommerceCode.NOT_ALLOWED: _wording(401, "Illegal operation"),
    CommerceCode.NO_AUTHORITY: _wording(401, "No authority"),
    CommerceCode.TOKEN_ILLEGAL: _wording(401, "Illegal token"),
    CommerceCode.TOO_MANY_REQUESTS: _wording(406, "Too many requests"),
}

UPLOAD_WORDINGS: dict[StrEnum, Wording] = {
    CommerceCode.SUCCESS: _wording(200, "Success"),
    CommerceCode.NOT_ALLOWED: _wording(403, "Illegal operation"),
    CommerceCode.PARAMETER_INVALID: _wording(400, "Invalid parameter"),
    CommerceCode.INTERNAL_ERROR: _wording(500, "internal error"),
    CommerceCode.RESOURCE_INVALID: _wording(200, "License resource invalid"),
    CommerceCode.APPLICATION_INVALID: _wording(200, "license apply invalid"),
    CommerceCode.QUOTA_USED_UP: _wording(200, "license period has no remain amount"),
    CommerceCode.INNER_ERROR: _wording(200, "inner error"),
    CommerceCode.LICENSE_FORMAT_INVALID: _wording(200, "Invalid license format."),
    CommerceCode.APPLICATION_DENIED: _wording(200, "License apply has been denied."),
    CommerceCode.ROLE_DENIED: _wording(200, "Role permission denied"),
}

UNAUTHORIZED = Wording(403, "Unauthorized", legacy_status=403, legacy_message="Unauthorized")
"""The older table's second meaning of 92020001; only ever answered when a fault asks for it."""

UNAUTHORIZED_NAME = f"{OpenApiCode.INTERNAL_ERROR}/403"
"""How a fault asks for it."""

GATEWAY_CODE = "APIGW.0301"
GATEWAY_PREFIX = "Incorrect IAM authentication information: "
GATEWAY_STATUS = 401

TAIL_SIGNATURE = "verify aksk signature fail, "
TAIL_LOCKED = "AK access failed to reach the limit,forbidden."
TAIL_UNKNOWN_AK = "Get secretKey failed,ak:******,err:ak not exist"
