"""Every page of the console in one list."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.console import (
    account_pages,
    action_pages,
    bulk_pages,
    entrance,
    license_pages,
    list_pages,
    own_pages,
    product_pages,
    reconciliation_pages,
    report_pages,
    search_pages,
    today_pages,
    token_pages,
)
from licsrv.console.visits import ConsolePage


def all_pages() -> Sequence[ConsolePage]:
    """Return every page."""
    return (
        *entrance.pages(),
        *today_pages.pages(),
        *own_pages.pages(),
        *search_pages.pages(),
        *license_pages.pages(),
        *action_pages.pages(),
        *list_pages.pages(),
        *product_pages.pages(),
        *reconciliation_pages.pages(),
        *bulk_pages.pages(),
        *report_pages.pages(),
        *account_pages.pages(),
        *token_pages.pages(),
    )
