"""Products as tests describe them."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.licensing import policy_changes
from licsrv.licensing.policies import Policies
from licsrv.licensing.policy_changes import Wanted
from licsrv.licensing.tables import Product
from tests.conftest import NOW


def describe(session: Session, product_id: str, policy: dict[str, Any] | None = None, **facts: Any) -> None:
    """Describe a product, and say what its policy states."""
    session.add(Product(**{"product_id": product_id, "name": product_id, "features": [], **facts}))
    session.flush()
    if policy:
        change(session, product_id, policy)


def change(session: Session, product_id: str, policy: dict[str, Any]) -> None:
    """Change what a product's policy states."""
    policy_changes.change(session, product_id, Wanted(policy), known=Policies(), cause=Cause("test"), now=NOW)
