"""The retired product line License 1.0: GET callbacks with an ``authToken``, the license in the answer.

Its law is protocol/online-license-and-sdk.md §7.
"""

from licsrv.emulator.license_v1.product_line import LicenseV1ProductLine

__all__ = ["LicenseV1ProductLine"]
