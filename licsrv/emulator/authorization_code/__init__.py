"""The product line 授权码 2.0: the marketplace hands out codes; protocol/authorization-code.md is its law."""

from licsrv.emulator.authorization_code.product_line import AuthorizationCodeProductLine

__all__ = ["AuthorizationCodeProductLine"]
