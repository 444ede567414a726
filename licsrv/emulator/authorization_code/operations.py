"""This product line's operations of the open API: activate v1 and v2, query v1, usage v2; body in, ``data`` out.

Source: protocol/authorization-code.md §2.2 to §2.4. ``/v2/license/heartbeat`` is documented by name only (GAP) and
is not served.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from licsrv.emulator.authorization_code import fields
from licsrv.emulator.authorization_code.codes import AuthorizationCode, CodeStatus
from licsrv.emulator.authorization_code.line import AuthorizationCodes
from licsrv.emulator.moments import compact
from licsrv.emulator.open_api_codes import WORDINGS, OpenApiCode
from licsrv.emulator.product_line import Call, Operation
from licsrv.emulator.settings import EmulatorSettings


class AuthorizationCodeOpenApi:
    """Reads requests, asks the product line, writes answers.

    Args:
        line: The codes.
        settings: Gives the settings of the moment.
    """

    def __init__(self, line: AuthorizationCodes, settings: Callable[[], EmulatorSettings]) -> None:
        self._line = line
        self._settings = settings

    def operations(self) -> list[Operation]:
        """Return the operations with their exact paths."""
        return [
            Operation("activate", "POST", "/v1/license/activate", perform=self._activate),
            Operation("activate", "POST", "/v2/license/activate", perform=self._activate_all),
            Operation("heartbeat", "POST", "/v1/license/heartbeat", perform=self._query),
            Operation("usage", "POST", "/v2/license/software-usage-info", perform=self._report_usage),
        ]

    def _activate(self, call: Call) -> dict[str, object]:
        body = call.json_object()
        code, effective_at = fields.code_of(body), fields.effect_time_of(body)
        activated = self._line.activate(code, effective_at, call.received_at)
        return {"license_code_info": json.dumps(_code_info(activated), ensure_ascii=False, separators=(",", ":"))}

    def _activate_all(self, call: Call) -> None:
        body = call.json_object()
        codes, effective_at = fields.codes_of(body), fields.effect_time_of(body)
        self._line.activate_all(codes, effective_at, call.received_at)

    def _query(self, call: Call) -> dict[str, object]:
        body = call.json_object()
        code = fields.code_of(body)
        fields.check_heartbeat_info(body, required=self._settings().heartbeat_info_required)
        queried = self._line.query(code, call.received_at)
        status = queried.status(call.received_at, frozen_reads_as=self._settings().frozen_reads_as)
        return _license_info(queried, status)

    def _report_usage(self, call: Call) -> dict[str, object]:
        """Write every good report down and list the others.

        GAP in protocol §2.4: the answer beyond ``data.check_fail_…``. Taken: ``check_fail_list`` with one object for
        each refused code, and success as a whole.
        """
        reports = fields.usages_of(call.json_object())
        refused = [(report.code, self._line.report_usage(report, call.received_at)) for report in reports]
        return {"check_fail_list": [_refused_item(code, reason) for code, reason in refused if reason is not None]}


def _code_info(activated: AuthorizationCode) -> dict[str, object]:
    """Return the members of the JSON string inside the JSON (protocol §2.2)."""
    return {
        "status": CodeStatus.ALIVE.value,
        "expire_time": _compact(activated.expires_at),
        "product_id": activated.product_id,
        "amount": activated.amount,
        "order_id": activated.orders[0].order_id,
    }


def _license_info(queried: AuthorizationCode, status: CodeStatus) -> dict[str, object]:
    """Return ``LicenseInfo``.

    GAP in protocol §2.3: everything after ``activate_time``. Taken: the names and forms of activate's answer
    (INFER), with the order of the purchase.
    """
    return {
        "license_code": queried.code,
        "status": status.value,
        "activate_time": _compact(queried.activated_at),
        "expire_time": _compact(queried.expires_at),
        "product_id": queried.product_id,
        "order_id": queried.orders[0].order_id,
        "amount": queried.amount,
    }


def _refused_item(code: str, reason: OpenApiCode) -> dict[str, object]:
    return {"license": code, "error_code": reason.value, "error_msg": WORDINGS[reason].message}


def _compact(moment: datetime | None) -> str:
    return compact(moment) if moment else ""
