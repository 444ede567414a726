"""Database addresses: read in one place, and shown without anything secret.

A user name and a password are percent-encoded (RFC 3986 §3.2.1): ``@`` is ``%40``, ``/`` is ``%2F``, ``#`` is ``%23``,
``%`` is ``%25``. An address that can be read in two ways is refused, because part of its password would be taken for a
host or a database, and shown.
"""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from licsrv.errors import StorageError

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse(address: str) -> URL:
    """Read a database address.

    Raises:
        StorageError: It is none, or its user name and password are not percent-encoded. The message holds neither.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise StorageError("The database address cannot be read.") from error
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise StorageError("A database address begins with sqlite:/// or postgresql://.")
    if driver != "sqlite" and _is_ambiguous(address, url):
        raise StorageError(
            "The database address can be read in two ways: write /, ?, #, @ and % in its user name and password as "
            "%2F, %3F, %23, %40 and %25."
        )
    return url.set(drivername=driver)


def _is_ambiguous(address: str, url: URL) -> bool:
    """Whether a part of the user name or the password may have been read as the host, the database or a parameter."""
    signs = address.count("@")
    return signs > 1 or (signs == 1 and url.username is None)


def shown(url: URL) -> str:
    """Return an address for people: no password, and none of the parameters, which may hold one."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    plain = URL.create(
        "postgresql",
        username=url.username,
        password=url.password,
        host=url.host,
        port=url.port,
        database=url.database,
    )
    return plain.render_as_string(hide_password=True)
