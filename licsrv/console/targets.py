"""Where a browser may be sent after signing in: to pages of the console and to nowhere else. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

HOME = "/admin"
SIGN_IN = "/admin/sign-in"
# No scheme, no host, no second slash after the first, no backslash, no control character: a page of ours it stays.
_OWN_PAGE = re.compile(r"/admin(?:/[A-Za-z0-9._~%@:+-]+)*(?:\?[A-Za-z0-9._~%@:+=&-]*)?", re.ASCII)
_LONGEST = 500


def own_page(target: str) -> str:
    """Return the page of the console that a text names; the first page where it names anything else."""
    is_page = not target.startswith(("/admin/api", "/admin/static", "/admin/sign-"))
    return target if is_page and _is_own(target) else HOME


def own_address(target: str) -> str:
    """Return the address under ``/admin`` that a text names, the page for signing in included."""
    return target if _is_own(target) else HOME


def _is_own(target: str) -> bool:
    is_upward = "/." in target or "%2e" in target.lower()
    return len(target) <= _LONGEST and _OWN_PAGE.fullmatch(target) is not None and not is_upward


def sign_in_for(target: str) -> str:
    """Return the address of the page for signing in that leads on to ``target``."""
    page = own_page(target)
    return SIGN_IN if page == HOME else f"{SIGN_IN}?next={quote(page, safe='')}"
