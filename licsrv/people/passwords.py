"""Passwords: Argon2id (RFC 9106) as PHC strings, and which passwords are good enough.

It knows no account: what is compared with what is the caller's business.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from functools import cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from licsrv.errors import InvalidRequestError

SHORTEST, LONGEST = 12, 256
_LEAST_SCORE = 3  # of 4: more than 10^8 guesses for a program that knows lists, keyboards, dates and these words
_ESTIMATED_CHARACTERS = 72  # the estimate takes longer than linear time, and more characters only add to it
_CONTEXT = (
    "licsrv",
    "license",
    "licence",
    "server",
    "marketplace",
    "koogallery",
    "huawei",
    "cloud",
    "support",
    "admin",
)
_FEWEST_OWN = 8  # characters that are none of these words
_SALT_BYTES, _LENGTH = 16, 32
_MEMORY_KIB, _ITERATIONS, _LANES = 19456, 2, 1  # OWASP's least: about 20 to 45 ms
_PARAMETERS = f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p={_LANES}$"
_ONE_TIME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else
_ONE_TIME_GROUPS, _ONE_TIME_GROUP = 4, 5


def hash_password(password: str) -> str:
    """Return the PHC string of a password; takes tens of milliseconds and 19 MiB, so not in the event loop."""
    box = Argon2id(
        salt=os.urandom(_SALT_BYTES), length=_LENGTH, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return box.derive_phc_encoded(_bytes(password))


def is_password(password: str, phc: str | None) -> bool:
    """Whether a password is the one of a PHC string; takes as long where there is none to compare with."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password), phc or _nobodys())
    except InvalidKey:
        return False
    return phc is not None


def is_outdated(phc: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return not phc.startswith(_PARAMETERS)


def require_good(password: str, *, name: str) -> None:
    """Refuse a password that is guessed first (NIST SP 800-63B §3.1.1.2: length, no rules on kinds of characters).

    How soon it is guessed is estimated by zxcvbn (Wheeler, USENIX Security 2016), which knows common passwords, names
    and words with their usual substitutions, keyboard rows, repetitions and dates.

    Args:
        password: As it was typed.
        name: Of the account; a password that holds it is no secret.

    Raises:
        InvalidRequestError: It is too short, too long, too easily guessed, or holds the account's name.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequestError(f"A password has {SHORTEST} to {LONGEST} characters.")
    folded = _normal(password).casefold()
    holds_name = len(name) > 2 and name.casefold() in folded  # shorter ones are in many words
    if holds_name or len(_without_context(folded)) < _FEWEST_OWN or _score(folded, name) < _LEAST_SCORE:
        raise InvalidRequestError(
            "This password is too easy to guess.",
            action="Use several words, without your account's name.",
        )


def one_time_password() -> str:
    """Return a password that is passed on once: 20 characters in groups, 98 bits."""
    groups = (
        "".join(secrets.choice(_ONE_TIME_ALPHABET) for _ in range(_ONE_TIME_GROUP)) for _ in range(_ONE_TIME_GROUPS)
    )
    return "-".join(groups)


def _without_context(password: str) -> str:
    """Return what is left of a password without the words that everyone expects here."""
    for word in _CONTEXT:
        password = password.replace(word, "")
    return password


def _score(password: str, name: str) -> int:
    """Return 0 (guessed at once) to 4, judged without spaces at the ends, which are no secret."""
    from zxcvbn import zxcvbn  # loading its lists takes longer than starting a command may

    estimate = zxcvbn(password.strip()[:_ESTIMATED_CHARACTERS], user_inputs=[name, *_CONTEXT])
    return int(estimate["score"])


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)  # the same password from every keyboard


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


@cache
def _nobodys() -> str:
    return hash_password(secrets.token_hex())
