"""The product line 在线开通License: the merchant opens instances and uploads licenses.

Its law is protocol/online-license-and-sdk.md, §2 to §6.
"""

from licsrv.emulator.online_license.product_line import OnlineLicenseProductLine

__all__ = ["OnlineLicenseProductLine"]
