"""Let licenses in: verify what came, by the program's own configuration, and put together what is then held.

Decides nothing about spans: whether a license has ended depends on leases, and on how far the clock can be trusted.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from client_stub.machine.store import Record
from client_stub.session.configuration import Configuration
from client_stub.session.holding import Holding, Machine
from client_stub.trust import verification
from client_stub.trust.claims import Lease, License
from client_stub.trust.errors import VerificationError

_LOG = logging.getLogger(__name__)


class Admission:
    """What this program believes."""

    def __init__(self, configuration: Configuration) -> None:
        self._known = configuration

    def string(self, license_string: str, machine: Machine) -> License:
        """Believe a license string on this machine.

        Raises:
            VerificationError: It is not believed.
        """
        known = self._known
        believed = verification.authenticate_license(
            license_string, known.keys, issuer=known.issuer, product=known.product
        )
        verification.check_device(believed, machine.info)
        return believed

    def file(self, raw: bytes, machine: Machine) -> License:
        """Believe a license file on this machine.

        Raises:
            VerificationError: It is not believed.
        """
        known = self._known
        believed = verification.authenticate_license_file(
            raw, known.keys, issuer=known.issuer, product=known.product, require_both=known.require_both_signatures
        )
        verification.check_device(believed, machine.info)
        return believed

    def stored(self, record: Record, machine: Machine) -> Holding:
        """Believe what was stored; where there is a file that is still good, it is enough.

        Raises:
            VerificationError: Nothing of it is believed.
        """
        file = self.file(record.license_file.encode(), machine) if record.license_file else None
        string = None
        if record.license_string:
            try:
                string = self.string(record.license_string, machine)
            except VerificationError:
                if file is None:
                    raise
                record = replace(record, license_string="", lease="", lease_nonce="")
        return Holding(machine, record, string, file=file, lease=self._lease(record, string))

    def _lease(self, record: Record, string: License | None) -> Lease | None:
        if not record.lease or string is None:
            return None
        try:
            return verification.authenticate_lease(
                record.lease, self._known.keys, license=string, nonce=record.lease_nonce
            )
        except VerificationError as error:
            _LOG.warning("the stored lease is not used: %s", error.code)
            return None
