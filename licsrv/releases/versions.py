"""How versions are read and compared, in the two ways in which products number them. Pure.

What is newer is decided by the libraries of the two specifications; a product uses one of them for all its versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, total_ordering
from typing import Any

import semver
from packaging import utils as pep440_spelling
from packaging import version as pep440

from licsrv.errors import InvalidRequestError


class Scheme(StrEnum):
    """How a product numbers its versions."""

    PEP440 = "pep440"
    SEMVER = "semver"


_EXAMPLES = {Scheme.PEP440: "3.2.1, 3.3rc1 or 2026.3 (PEP 440)", Scheme.SEMVER: "3.2.1 or 3.3.0-rc.1 (SemVer 2.0)"}


@total_ordering
@dataclass(frozen=True, eq=False, slots=True)
class Version:
    """A version that can be compared with others of its scheme; ``key`` is the one spelling that equals share."""

    text: str
    key: str
    is_prerelease: bool
    precedence: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and bool(self.precedence == other.precedence)

    def __lt__(self, other: Version) -> bool:
        return bool(self.precedence < other.precedence)

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=8192)
def parse(text: str, scheme: Scheme) -> Version:
    """Read a version as its product numbers them; what was read is remembered, as the same ones come again and again.

    Build metadata of SemVer says nothing about what is newer (SemVer 2.0 §10), so it is no part of ``key``.

    Raises:
        InvalidRequestError: It is none.
    """
    text = text.strip()
    try:
        text.encode("ascii")  # the libraries' patterns let some foreign digits and letters pass
        return _pep440(text) if scheme is Scheme.PEP440 else _semver(text)
    except ValueError as error:
        raise InvalidRequestError(
            "This is not a version as the product numbers them.", action=f"Write it like {_EXAMPLES[scheme]}."
        ) from error


def _pep440(text: str) -> Version:
    read = pep440.Version(text)
    return Version(text, pep440_spelling.canonicalize_version(read), read.is_prerelease, precedence=read)


def _semver(text: str) -> Version:
    read = semver.Version.parse(text)
    return Version(text, str(read.replace(build=None)), read.prerelease is not None, precedence=read)
