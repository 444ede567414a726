"""This product line's operations of the open API: order query and license upload.

Source: protocol/online-license-and-sdk.md §5.2 and §5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.online_license.line import OnlineLicenses
from licsrv.emulator.online_license.uploads import read_upload
from licsrv.emulator.open_api_codes import ORDER_WORDINGS, UPLOAD_WORDINGS, CommerceCode
from licsrv.emulator.product_line import Call, Dialect, Operation
from licsrv.emulator.settings import EmulatorSettings

LONGEST_ID = 64
_UPLOAD_DIALECT = Dialect(UPLOAD_WORDINGS, CommerceCode.SUCCESS, CommerceCode.PARAMETER_INVALID, nests=False)
_ORDER_DIALECT = Dialect(
    ORDER_WORDINGS,
    CommerceCode.MARKET_SUCCESS,
    CommerceCode.PARAMETER_INVALID,
    code_member="resultCode",
    message_member="resultMsg",
    failed_code_member="resultCode",
    failed_message_member="resultMsg",
    nests=False,
)


class OnlineLicenseOpenApi:
    """Reads requests, asks the product line, writes answers.

    Args:
        line: The instances.
        settings: Gives the settings of the moment.
    """

    def __init__(self, line: OnlineLicenses, settings: Callable[[], EmulatorSettings]) -> None:
        self._line = line
        self._settings = settings

    def operations(self) -> list[Operation]:
        """Return the operations with their exact paths."""
        upload_path = "/v1/market-event/{event_id}/file"
        return [
            Operation("order_query", "GET", "/v1/order/query", perform=self._query, dialect=self._order_dialect),
            Operation(
                "upload",
                "POST",
                upload_path,
                perform=self._upload,
                dialect=lambda: _UPLOAD_DIALECT,
                body_may_be_unsigned=True,
            ),
        ]

    def _order_dialect(self) -> Dialect:
        """Return the words of the order query.

        GAP: the table says ``CBC.0000`` for success, the example ``MKT.0000``; and how a refusal names its members.
        """
        settings = self._settings()
        dialect = _ORDER_DIALECT
        if settings.order_success_code == CommerceCode.SUCCESS.value:
            dialect = replace(dialect, success=CommerceCode.SUCCESS)
        if settings.order_errors_as_error_code:
            dialect = replace(dialect, failed_code_member="error_code", failed_message_member="error_msg")
        return dialect

    def _query(self, call: Call) -> dict[str, object]:
        order_id, line_id = _parameters(call.query)
        return {"orderInfo": self._line.book.query(order_id, line_id, call.received_at).order_info()}

    def _upload(self, call: Call) -> None:
        event_id = call.path_values["event_id"]
        if len(event_id) > LONGEST_ID:
            raise OpenApiRefusedError(CommerceCode.PARAMETER_INVALID, "event_id is too long")
        self._line.applications.receive(event_id, read_upload(call))


def _parameters(query: str) -> tuple[str, str | None]:
    """Return order id and order line id.

    Raises:
        OpenApiRefusedError: One is missing, surplus or doubled (CBC.0101), empty or too long (CBC.0100).
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs) or "orderId" not in values or values.keys() - {"orderId", "orderLineId"}:
        raise OpenApiRefusedError(CommerceCode.PARAMETER_INVALID, "wrong, surplus or missing parameters")
    if any(not 1 <= len(value) <= LONGEST_ID for value in values.values()):
        raise OpenApiRefusedError(CommerceCode.OUT_OF_RANGE, "an id must have 1 to 64 characters")
    return values["orderId"], values.get("orderLineId")
