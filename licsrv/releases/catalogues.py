"""The versions of each product in memory, read and sorted once for each change.

Reading a thousand versions and comparing them takes some ten milliseconds; looking whether their product's change
number is still the same takes none. Every process remembers for itself, and none serves what is not on disk any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlmodel import Session

from licsrv.releases import store, versions
from licsrv.releases.rules import Candidate, Catalogue
from licsrv.releases.store import ProductWithVersions
from licsrv.releases.versions import Scheme


class Catalogues:
    """What was read last of each product. Threads may share one: at worst two read the same thing."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[int, Catalogue]] = {}

    def of(self, session: Session, product: ProductWithVersions) -> Catalogue:
        """Return the versions of a product that are not withdrawn, as they are in the session's state of the database.

        Args:
            session: One that sees one state of the database, the state in which ``product`` was read.
            product: The product.
        """
        number, catalogue = self._read.get(product.product_id, (None, {}))
        if number != product.change_number:
            catalogue = _catalogue(store.candidates(session, product.product_id), Scheme(product.version_scheme))
            self._read[product.product_id] = (product.change_number, catalogue)
        return catalogue


def _catalogue(rows: Iterable[Any], scheme: Scheme) -> Catalogue:
    found: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for row in rows:
        minimum = versions.parse(row.minimum_version, scheme) if row.minimum_version is not None else None
        version = versions.parse(row.version, scheme)
        candidate = Candidate(
            row.id, version, minimum, rollout_percent=row.rollout_percent, published_at=row.published_at
        )
        found[row.channel, row.platform].append(candidate)
    return {
        place: sorted(candidates, key=lambda candidate: candidate.version.precedence)
        for place, candidates in found.items()
    }
