"""Private keys as files: PKCS #8, encrypted by AES-256 under a key that scrypt derives from the passphrase.

PBES2 with scrypt (RFC 8018 §6.2, RFC 7914 §7) as any reader of PKCS #8 takes it. The library reads that form and
writes only PBKDF2 with 2,048 rounds, which a graphics card tries by the million, so it is written here.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

PrivateKey = Ed25519PrivateKey | MLDSA65PrivateKey

_COST, _BLOCK, _LANES = 1 << 16, 8, 1  # 64 MiB and about 0.2 s for each guess
_SALT_BYTES, _KEY_BYTES, _AES_BITS = 16, 32, 128
_KIND = b"PRIVATE KEY"  # a label in one piece would look like a key to what searches trees for keys
_LABEL = b"ENCRYPTED " + _KIND
_HEAD, _FOOT = b"-----BEGIN %b-----\n" % _LABEL, b"-----END %b-----\n" % _LABEL
_LINE = 64
_MARK = re.compile(rb"-----(BEGIN|END) ")
_KEY = re.compile(
    rb"-{5}BEGIN (?P<label>(?P<encrypted>ENCRYPTED )?%b)-{5}(?P<text>[^-]*)-{5}END (?P=label)-{5}" % _KIND
)
_SEQUENCE, _OCTETS, _INTEGER, _OBJECT = 0x30, 0x04, 0x02, 0x06
_LONG_FORM = 0x80
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_AES_256_CBC = bytes.fromhex("60864801650304012a")


def pem_of(private: PrivateKey, passphrase: bytes | None) -> bytes:
    """Return the file of a private key: encrypted, or plain without a passphrase."""
    pkcs8 = serialization.PrivateFormat.PKCS8
    if passphrase is None:
        return private.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption())
    plain = private.private_bytes(serialization.Encoding.DER, pkcs8, serialization.NoEncryption())
    text = base64.b64encode(_encrypted(plain, passphrase))
    lines = (text[start : start + _LINE] + b"\n" for start in range(0, len(text), _LINE))
    return _HEAD + b"".join(lines) + _FOOT


@dataclass(frozen=True)
class KeyFile:
    """The one private key that a file holds, not opened yet; ``der`` is the text between its two lines."""

    is_encrypted: bool
    der: bytes

    @property
    def is_protected(self) -> bool:
        """Whether it is encrypted the way :func:`pem_of` does it, and neither plain nor at the older, lower cost."""
        return self.is_encrypted and _SCRYPT in self.der

    def opened(self, passphrase: bytes | None) -> object:
        """Return the key. A plain one is taken without the passphrase: it may be older than that.

        Raises:
            ValueError: It is damaged, or not of that passphrase.
            TypeError: It needs a passphrase.
            UnsupportedAlgorithm: It is a key of another kind.
        """
        return serialization.load_der_private_key(self.der, passphrase if self.is_encrypted else None)


def parse(content: bytes) -> KeyFile:
    """Find the one key in a file's content (RFC 7468); text around it and CRLF do not matter.

    Raises:
        ValueError: It holds none, or more than one, or one that is cut or changed; the message says which.
    """
    marks = _MARK.findall(content)
    if not marks:
        raise ValueError("is empty" if not content.strip() else "holds no private key")
    if marks.count(b"BEGIN") > 1:
        raise ValueError(f"holds {marks.count(b'BEGIN')} keys and must hold one")
    found = _KEY.search(content)
    if found is None:
        raise ValueError("is damaged")
    try:
        return KeyFile(bool(found["encrypted"]), base64.b64decode(b"".join(found["text"].split()), validate=True))
    except ValueError as error:
        raise ValueError("is damaged") from error


def _encrypted(plain: bytes, passphrase: bytes) -> bytes:
    salt, start = os.urandom(_SALT_BYTES), os.urandom(_AES_BITS // 8)
    key = Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=_BLOCK, p=_LANES).derive(passphrase)
    padder, box = padding.PKCS7(_AES_BITS).padder(), Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    sealed = box.update(padder.update(plain) + padder.finalize()) + box.finalize()
    costs = (_integer(number) for number in (_COST, _BLOCK, _LANES))
    derivation = _sequence(_der(_OBJECT, _SCRYPT), _sequence(_der(_OCTETS, salt), *costs))
    scheme = _sequence(_der(_OBJECT, _AES_256_CBC), _der(_OCTETS, start))
    algorithm = _sequence(_der(_OBJECT, _PBES2), _sequence(derivation, scheme))
    return _sequence(algorithm, _der(_OCTETS, sealed))


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _integer(number: int) -> bytes:
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _der(tag: int, content: bytes) -> bytes:
    """Return one value in DER (X.690 §8.1.3: long lengths say first how many bytes they have)."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + content
