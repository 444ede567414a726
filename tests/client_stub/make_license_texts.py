"""Write ``tests/vectors/license_texts.json``: texts that every verifier has to agree on, good ones and bad ones.

Run as ``python -m tests.client_stub.make_license_texts``. The same vectors come out each time (see
``make_text_signer``). Signed with TEST keys that are in the file for everybody to read.

A vector: ``name``; ``text`` (or ``base64``; with ``repeat``: a unit and how often it stands in front);
``verdict``: OK, or why not, in the words of the C library; where it
differs from the head of the file ``now``, ``device``, ``issuer``, ``product``, ``nonce``; and ``signature``: whether an
independent JOSE library has to find the signature good or bad, absent where the text is not one it would see.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path

from tests.client_stub import make_file_texts
from tests.client_stub.make_text_signer import (
    DAY,
    DEVICE,
    END,
    ISSUER,
    LEASE,
    LEEWAY,
    LICENSE,
    NEXT_LICENSE,
    NONCE,
    NOW,
    PINNED,
    RELEASE,
    STRANGER,
    Json,
    Key,
    SecondKey,
    base64url,
    case,
    compact,
    dev_claim,
    encode,
    lease,
    lease_claims,
    license_claims,
    license_string,
)

PATH = Path(__file__).parent.parent / "vectors" / "license_texts.json"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
GOOD: Json = {"signature": True}
BAD: Json = {"signature": False}


def build(kept: dict[str, str]) -> Json:
    second = SecondKey(kept)
    files = make_file_texts.files(second)
    return {
        "description": (__doc__ or "").split("\n\n"),
        "now": NOW,
        "device": DEVICE,
        "nonce": NONCE,
        "license": license_string(),
        "test_keys": {key.name: {"seed_hex": bytes([key.seed_byte] * 32).hex(), **key.jwk} for key in PINNED},
        "jwks": {"keys": [*(key.jwk for key in PINNED), second.jwk]},
        "strings": [
            *good_strings(),
            *judged_strings(),
            *forged(string_kind()),
            *ill_formed(string_kind()),
            *bad_license_claims(),
        ],
        "leases": [*judged_leases(), *forged(lease_kind()), *ill_formed(lease_kind()), *bad_lease_claims()],
        "ends": license_ends(),
        "features": features(),
        "files": files,
        "revocations": make_file_texts.revocation_lists(),
        "second_signatures": second.used,
    }


class Kind:
    """What strings and leases are tried with in the same way."""

    def __init__(self, key: Key, type: str, other: tuple[Key, str], claims: Callable[..., Json]) -> None:
        self.key, self.type, self.claims = key, type, claims
        self.other_key, self.other_type = other

    @property
    def header(self) -> Json:
        return self.key.header(self.type)

    def token(self, header: object = None, payload: object = None) -> str:
        return self.key.token(self.header if header is None else header, self.claims() if payload is None else payload)


def string_kind() -> Kind:
    return Kind(LICENSE, "license+jwt", (LEASE, "lease+jwt"), license_claims)


def lease_kind() -> Kind:
    return Kind(LEASE, "lease+jwt", (LICENSE, "license+jwt"), lease_claims)


def good_strings() -> list[Json]:
    reordered = {"typ": "license+jwt", "kid": LICENSE.kid, "alg": "EdDSA"}
    escaped = compact(license_claims()).replace(b'"cad"', b'"\\u0063\\u0061d"').replace(b'"sub"', b'"\\u0073ub"')
    longest = license_string(code="PL" + "x" * filler())
    texts = {
        "a license": license_string(),
        "the next key of the same purpose": NEXT_LICENSE.token(NEXT_LICENSE.header("license+jwt"), license_claims()),
        "a license that never ends": license_string(exp=None),
        "a test license": license_string(test=True),
        "a provisional license without a product": license_string(prov=True, product=""),
        "claims that are not known are ignored": license_string(later={"a": [1, {"b": None}], "c": "\U0001f600"}),
        "an end of maintenance": license_string(maint=END),
        "no features, quantity zero": license_string(feat=[], n=0),
        "the largest quantity": license_string(n=2**31 - 1),
        "letters of all lengths": license_string(product="aé主\U0001f600", feat=['"\\/\b\f\n\r\t', "\u2028"]),
        "members spelled with escapes": LICENSE.token(LICENSE.header("license+jwt"), escaped),
        "a pair of surrogates is one letter": raw_claims(b'"feat":["\\ud83d\\ude00"]', "feat"),
        "the header in another order": LICENSE.token(reordered, license_claims()),
        "blanks in header and claims": LICENSE.token(spaced(LICENSE.header("license+jwt")), spaced(license_claims())),
        "exactly 1024 characters": longest,
    }
    assert len(longest) == 1024
    return [case(name, text, "OK", **GOOD) for name, text in texts.items()]


def filler() -> int:
    """How many letters more make a license string of exactly 1024 characters."""
    room = 1024 - len(LICENSE.token(LICENSE.header("license+jwt"), b""))
    return room * 3 // 4 - len(compact(license_claims(code="PL")))


def spaced(value: object) -> bytes:
    return b" \r\n\t" + json.dumps(value, indent=1).encode() + b"\n"


def raw_claims(member: bytes, without: str) -> str:
    """A string with one member written out by hand."""
    rest = compact(license_claims(**{without: None}))
    return LICENSE.token(LICENSE.header("license+jwt"), b"{" + member + b"," + rest[1:])


def judged_strings() -> list[Json]:
    """Good signatures, different circumstances."""
    text = license_string()
    other_mac, other_disk = "11:22:33:44:55:66", "OTHER"
    none = license_string(dev=dev_claim(m=None, d=None, b=None, c=None))
    only_cpu = license_string(dev=dev_claim(m=None, d=None, b=None))
    rows: list[tuple[str, str, str, Json]] = [
        ("first moment", text, "OK", {"now": NOW - LEEWAY}),
        ("before the first moment", text, "NOT_YET", {"now": NOW - LEEWAY - 1}),
        ("last moment", text, "OK", {"now": END + LEEWAY - 1}),
        ("after the last moment", text, "EXPIRED", {"now": END + LEEWAY}),
        ("begun and ended at once", license_string(nbf=END), "EXPIRED", {"now": END + LEEWAY}),
        ("a license for ever, much later", license_string(exp=None), "OK", {"now": NOW + 36500 * DAY}),
        ("the expected issuer and product", text, "OK", {"issuer": ISSUER, "product": "cad"}),
        ("another issuer", text, "WRONG_ISSUER", {"issuer": ISSUER + "/"}),
        ("another product", text, "WRONG_PRODUCT", {"product": "ca"}),
        ("no product, but not provisional", license_string(product=""), "WRONG_PRODUCT", {"product": "cad"}),
        ("no product, provisional", license_string(product="", prov=True), "OK", {"product": "cad"}),
        ("a product, provisional", license_string(prov=True), "WRONG_PRODUCT", {"product": "cam"}),
        ("another spelling of the device", text, "OK", {"device": "047c165ee35d| 001b_444a_488b_5cec. ||"}),
        ("two parts exchanged", text, "WRONG_DEVICE", {"device": f"{other_mac}|{other_disk}|BRD-9|BFEBFBFF00090672"}),
        ("three parts exchanged", text, "WRONG_DEVICE", {"device": f"{other_mac}|{other_disk}|X|BFEBFBFF00090672"}),
        ("one MAC of two, one disk of three", text, "OK", {"device": "A,AA-BB-CC-00-11-22|X,001B_444A_488B_5CEC.,Y||"}),
        ("a MAC in the place of the disk", text, "WRONG_DEVICE", {"device": "|04:7C:16:5E:E3:5D|BRD-9|"}),
        ("a machine that knows nothing", text, "WRONG_DEVICE", {"device": "|||"}),
        ("bound to nothing", none, "OK", {"device": "|||"}),
        ("bound to the CPU only", only_cpu, "WRONG_DEVICE", {"device": "|||bfebfbff00090672"}),
        ("bound to the CPU only, another CPU", only_cpu, "WRONG_DEVICE", {"device": f"{DEVICE}0"}),
        ("a device text of three parts", text, "DEVICE_INFO", {"device": "a|b|c"}),
        ("a device text of five parts", text, "DEVICE_INFO", {"device": DEVICE + "|"}),
        ("an empty device text", text, "DEVICE_INFO", {"device": ""}),
        ("a device text of 5 KiB", text, "OK", {"device": DEVICE.replace("|", "," * (5120 - len(DEVICE)) + "|", 1)}),
        ("a device text above 5 KiB", text, "DEVICE_INFO", {"device": DEVICE + "A" * (5121 - len(DEVICE))}),
        ("the device counts before the time", text, "WRONG_DEVICE", {"device": "|||", "now": 0}),
        ("the issuer counts before the device", text, "WRONG_ISSUER", {"device": "|||", "issuer": "x"}),
        ("a floating license", floating(), "NEEDS_SEAT", {}),
        ("a floating license on another machine", floating(), "WRONG_DEVICE", {"device": "|||"}),
        ("a floating license that has ended", floating(), "EXPIRED", {"now": END + LEEWAY}),
    ]
    return [case(name, text, verdict, **GOOD, **more) for name, text, verdict, more in rows]


def floating() -> str:
    return license_string(dev=dev_claim(v=2, f=1))


def features() -> list[Json]:
    """Claims of a license and a ``feature``: whether it is ``granted``, and its ``value``."""
    rows: list[tuple[str, Json, bool, object]] = [
        ("listed", {}, True, None),
        ("not listed", {"feat": ["draws", "dra"]}, False, None),
        ("an entry that says nothing", {"feat": [], "ent": {"draw": {}}}, True, None),
        ("a text", {"feat": [], "ent": {"draw": {"v": "große"}}}, True, "große"),
        ("an empty text", {"feat": [], "ent": {"draw": {"v": ""}}}, True, ""),
        ("a value, and listed as well", {"ent": {"draw": {"v": "3"}}}, True, "3"),
        ("a number is no value", {"feat": [], "ent": {"draw": {"v": 3}}}, False, None),
        ("true is no value", {"feat": [], "ent": {"draw": {"v": True}}}, False, None),
        ("null is no value", {"feat": [], "ent": {"draw": {"v": None}}}, False, None),
        ("a list is no value", {"feat": [], "ent": {"draw": {"v": ["3"]}}}, False, None),
        ("an end of its own to come", {"feat": [], "ent": {"draw": {"v": "3", "exp": NOW + 1}}}, True, "3"),
        ("an end of its own that has come", {"feat": [], "ent": {"draw": {"v": "3", "exp": NOW}}}, False, None),
        ("an end that is a text", {"feat": [], "ent": {"draw": {"exp": "never"}}}, False, None),
        ("an end that is null", {"feat": [], "ent": {"draw": {"exp": None}}}, False, None),
        ("an end beyond the calendar", {"feat": [], "ent": {"draw": {"exp": 253402300800}}}, False, None),
        ("a member that is not known", {"feat": [], "ent": {"draw": {"v": "3", "max": 1}}}, False, None),
        ("an entry that is no object", {"feat": [], "ent": {"draw": 3}}, False, None),
        ("ended, and listed as well", {"ent": {"draw": {"exp": NOW}}}, False, None),
        ("unreadable, and listed as well", {"ent": {"draw": None}}, False, None),
        ("another one is unreadable", {"ent": {"export": None}}, True, None),
    ]
    return [
        {"name": name, "text": license_string(**claims), "feature": "draw", "granted": granted, "value": value,
         "verdict": "OK"}
        for name, claims, granted, value in rows
    ]  # fmt: skip


def judged_leases() -> list[Json]:
    text, end = lease(), NOW + 7 * DAY
    statuses: list[tuple[str, str, str, Json]] = [
        (f"a lease that says {word}", lease(status=word), "OK", {})
        for word in ("ACTIVE", "EXPIRED", "FROZEN", "REVOKED", "RELEASED")
    ]
    rows: list[tuple[str, str, str, Json]] = [
        *statuses,
        ("a reason and no end of the license", lease(reason="Ask your vendor — «§ 3».", license_exp=None), "OK", {}),
        ("a lease from the future", lease(iat=NOW + 3 * DAY), "OK", {}),
        ("the last moment of a lease", text, "OK", {"now": end + LEEWAY - 1}),
        ("after the last moment of a lease", text, "LEASE_ENDED", {"now": end + LEEWAY}),
        ("the answer to another question", text, "WRONG_NONCE", {"nonce": "nonce-2"}),
        ("the beginning of the question", text, "WRONG_NONCE", {"nonce": "nonce-"}),
        ("a lease of another license", lease(sub="lic_2"), "FOREIGN_LEASE", {}),
        ("a lease of another string", lease(jti="ls_2"), "FOREIGN_LEASE", {}),
        ("a lease of another issuer", lease(iss="https://other.example"), "FOREIGN_LEASE", {}),
        ("a foreign lease with another nonce", lease(sub="x", nonce="y"), "FOREIGN_LEASE", {}),
        ("claims of a lease that are not known", lease(later=[]), "OK", {}),
    ]
    return [case(name, text, verdict, **GOOD, **more) for name, text, verdict, more in rows]


def license_ends() -> list[Json]:
    """``license``, ``lease``, and when the license ends by both (``end``); a lease moves an end by a week at most."""
    far, week = NOW + 5000 * DAY, 7 * DAY
    rows: list[tuple[str, Json, Json, int | None]] = [
        ("both say the same", {}, {}, END),
        ("the lease ends it earlier", {}, {"license_exp": NOW + DAY}, NOW + DAY),
        ("the lease ends it later, within the grace", {}, {"license_exp": END + week}, END + week),
        ("the lease ends it later than the grace", {}, {"license_exp": END + week + 1}, END + week),
        ("the lease ends it in 2040", {}, {"license_exp": far}, END + week),
        ("the lease never ends it", {}, {"license_exp": None}, END + week),
        ("the license never ends", {"exp": None}, {"license_exp": None}, None),
        ("the lease ends what never ended", {"exp": None}, {"license_exp": far}, far),
        ("an older lease says nothing", {}, {"iat": NOW - 1, "license_exp": NOW + DAY}, END),
        ("ended long ago", {"exp": NOW - 100 * DAY}, {"license_exp": far}, NOW - 93 * DAY),
    ]
    return [
        {"name": name, "license": license_string(**sold), "text": lease(**says), "end": end,
         "verdict": "OK" if end is None or end > NOW - LEEWAY else "EXPIRED"}
        for name, sold, says, end in rows
    ]  # fmt: skip


def forged(kind: Kind) -> list[Json]:
    """Signed by somebody or with something else, or changed afterwards."""
    header, claims = encode(kind.header), encode(kind.claims())
    good, key = kind.token(), kind.key
    with_hmac = f"{encode({**kind.header, 'alg': 'HS256'})}.{claims}"
    secret = base64url(hmac.new(key.raw, with_hmac.encode(), hashlib.sha256).digest())
    signature = key.private.sign(f"{header}.{claims}".encode())
    raised = signature[:32] + (int.from_bytes(signature[32:], "little") + ED25519_ORDER).to_bytes(32, "little")
    texts = {
        "an unknown key": STRANGER.token(STRANGER.header(kind.type), kind.claims()),
        "an unknown key under a known id": STRANGER.token(kind.header, kind.claims()),
        "the key of another purpose": kind.other_key.token(kind.other_key.header(kind.type), kind.claims()),
        "the release key": RELEASE.token(RELEASE.header(kind.type), kind.claims()),
        "alg none, no signature": f"{encode({**kind.header, 'alg': 'none'})}.{claims}.",
        "alg none, the old signature": f"{encode({**kind.header, 'alg': 'none'})}.{claims}.{base64url(signature)}",
        "alg HS256 with the public key as secret": f"{with_hmac}.{secret}",
        "other claims under the old signature": f"{header}.{encode(kind.claims(iss='x'))}.{base64url(signature)}",
        "the order of the curve added to S": f"{header}.{claims}.{base64url(raised)}",
        "a signature of zeros": f"{header}.{claims}.{base64url(bytes(64))}",
        "a signature of 63 bytes": f"{header}.{claims}.{base64url(signature[:63])}",
        "a signature of 65 bytes": f"{header}.{claims}.{base64url(signature + bytes(1))}",
        "the first character of the claims changed": f"{header}.{flip(claims, 0)}.{base64url(signature)}",
        "a character of the claims changed": f"{header}.{flip(claims, 100)}.{base64url(signature)}",
        "a character of the signature changed": good[:-10] + flip(good[-10:], 0),
    }
    return [case(name, text, "INVALID", **BAD) for name, text in texts.items()]


def flip(text: str, at: int) -> str:
    """Change one character into another one of the alphabet."""
    return text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]


def ill_formed(kind: Kind) -> list[Json]:
    """Every deviation of form; where a signature was made, it is good."""
    return [*bad_headers(kind), *bad_spellings(kind), *bad_json(kind)]


def bad_headers(kind: Kind) -> list[Json]:
    header = kind.header
    doubled = compact(header)[:-1] + b',"alg":"EdDSA"}'
    headers: dict[str, object] = {
        "the other type": {**header, "typ": kind.other_type},
        "the type of a file": {**header, "typ": "license-file+jwt"},
        "no type": {name: value for name, value in header.items() if name != "typ"},
        "the type in capitals": {**header, "typ": kind.type.upper()},
        "alg in capitals": {**header, "alg": "EDDSA"},
        "alg Ed25519": {**header, "alg": "Ed25519"},
        "no alg": {name: value for name, value in header.items() if name != "alg"},
        "no kid": {name: value for name, value in header.items() if name != "kid"},
        "kid is a number": {**header, "kid": 1},
        "kid is longer": {**header, "kid": kind.key.kid + "A"},
        "kid is shorter": {**header, "kid": kind.key.kid[:-1]},
        "crit": {**header, "crit": ["exp"], "exp": 1},
        "a member to spare": {**header, "x": None},
        "a key in the header": {**header, "jwk": STRANGER.jwk},
        "a member twice": doubled,
        "a member twice, once spelled with an escape": compact(header)[:-1] + b',"\\u0061lg":"EdDSA"}',
        "a list": [header],
        "not JSON": b"header",
    }
    return [case(f"header: {name}", kind.token(value), "INVALID") for name, value in headers.items()]


def bad_spellings(kind: Kind) -> list[Json]:
    text = kind.token()
    header, claims, signature = text.split(".")
    padded = header + "=" * (-len(header) % 4 or 4)
    texts: dict[str, str | bytes] = {
        "nothing": "",
        "one part": header,
        "two parts": f"{header}.{claims}",
        "four parts": f"{text}.",
        "an empty header": f".{claims}.{signature}",
        "empty claims": f"{header}..{signature}",
        "no signature": f"{header}.{claims}.",
        "spare bits in the signature": text[:-1] + chr(ord(text[-1]) + 1),
        "padding behind the signature": text + "==",
        "padding behind the header": f"{padded}.{claims}.{signature}",
        "a blank in front": " " + text,
        "a newline behind": text + "\n",
        "CRLF behind": text + "\r\n",
        "a newline inside": text[:50] + "\n" + text[50:],
        "a BOM in front": "\ufeff" + text,
        "a byte behind": text + "A",
        "a NUL behind": text + "\0",
        "the text twice": text + text,
        "the last character missing": text[:-1],
        "half of it": text[: len(text) // 2],
        "a full-width letter": "ｅ" + text[1:],
        "bytes that are no text": text.encode()[:-1] + b"\xff",
        "the alphabet of plain base64": plain_alphabet(kind),
        "the JSON serialization": compact({"payload": claims, "protected": header, "signature": signature}),
        "a license file": make_file_texts.license_file(make_file_texts.file_claims()),
        "too long": kind.key.token(kind.header, kind.claims(more="x" * 8200)),
    }
    return [case(f"spelling: {name}", text, "INVALID") for name, text in texts.items()]


def plain_alphabet(kind: Kind) -> str:
    """A good text whose base64url has - or _, with + and / instead."""
    for number in range(64):
        text = kind.token(None, kind.claims(more="?" * number + "~~~???"))
        if "_" in text or "-" in text:
            return text.replace("-", "+").replace("_", "/")
    raise AssertionError


def bad_json(kind: Kind) -> list[Json]:
    plain = compact(kind.claims())
    open_ended = plain[:-1]
    claims: dict[str, bytes] = {
        "a member twice": open_ended + b',"iss":"https://license.example"}',
        "a member twice, spelled with an escape": open_ended + b',"\\u0069ss":"x"}',
        "a member twice, deep inside": open_ended + b',"x":[{"y":{"a":1,"a":1}}]}',
        "a fraction": open_ended + b',"x":1.0}',
        "an exponent": open_ended + b',"x":1e3}',
        "NaN": open_ended + b',"x":NaN}',
        "minus infinity": open_ended + b',"x":-Infinity}',
        "a leading zero": open_ended + b',"x":01}',
        "a plus": open_ended + b',"x":+1}',
        "a minus alone": open_ended + b',"x":-}',
        "a lone surrogate": open_ended + b',"x":"\\ud800"}',
        "surrogates the wrong way round": open_ended + b',"x":"\\ude00\\ud83d"}',
        "two second surrogates": open_ended + b',"x":"\\ude00\\ude00"}',
        "half an escape": open_ended + b',"x":"\\u12"}',
        "an unknown escape": open_ended + b',"x":"\\x41"}',
        "a control character": open_ended + b',"x":"\n"}',
        "bytes that are no UTF-8": open_ended + b',"x":"\xff"}',
        "an overlong spelling": open_ended + b',"x":"\xc0\xaf"}',
        "a surrogate in UTF-8": open_ended + b',"x":"\xed\xa0\x80"}',
        "above the last letter": open_ended + b',"x":"\xf4\x90\x80\x80"}',
        "a comma too many": open_ended + b",}",
        "a comma too few": plain.replace(b",", b" ", 1),
        "single quotes": plain.replace(b'"', b"'"),
        "no end": open_ended,
        "something behind": plain + b"x",
        "two objects": plain + plain,
        "a NUL behind the object": plain + b"\0",
        "a BOM": b"\xef\xbb\xbf" + plain,
        "a list": b"[" + plain + b"]",
        "a text": b'"x"',
        "null": b"null",
        "nothing but a blank": b" ",
        "a bracket too few": open_ended + b',"x":[}',
        "a wrong bracket": open_ended + b',"x":[1}}',
        "a name that is none": open_ended + b",1:1}",
        "a wrong word": open_ended + b',"x":True}',
        "UTF-16": plain.decode().encode("utf-16-le"),
    }
    return [case(f"claims: {name}", kind.token(None, raw), "INVALID") for name, raw in claims.items()]


def bad_license_claims() -> list[Json]:
    values: dict[str, list[object]] = {
        "iss": [None, ""],
        "jti": [None, 1],
        "sub": [None, ["lic_1"]],
        "code": [None, ""],
        "product": [None, False],
        "iat": [None, "1", -1, True, 32503680000],
        "nbf": [None, 10**30, 32503680000],
        "exp": [253402300800, "never", -1, False, [END]],
        "n": [None, -1, 2**31, "5", True, 2**64 + 5],
        "feat": [None, "draw", [1], [["draw"]], {"draw": True}],
        "ent": [[], "draw", 1],
        "test": [1, "true"],
        "prov": [0, "false"],
        "dev": [None, "x", [], {}, *bad_bindings()],
    }
    null_end = case("claim: exp null", raw_claims(b'"exp":null', "exp"), "INVALID", **GOOD)
    return [null_end, *bad_claims(values, license_string)]


def bad_bindings() -> list[Json]:
    hash = dev_claim()["b"]
    values: dict[str, list[object]] = {
        "v": [None, 2, 3, True, "1"],
        "f": [1, 0],
        "s": [None, 12, "AAECAwQFBgcICQo", "AAECAwQFBgcICQo=", "AAECAwQFBgcICQoLDA"],
        "m": [[], hash, {hash: 1}],
        "d": [[hash, 1], [hash + "A"], ["AAAAAAA="]],
        "b": [[hash], "", "AAAA/AAA"],
        "c": [0, {}],
        "x": [hash],
    }
    of_one_member = [dev_claim(**{name: value}) for name, listed in values.items() for value in listed]
    return [*of_one_member, *(dev_claim(v=2, f=value) for value in (0, 2, True, "1")), dev_claim(v=2, f=1, x=1)]


def bad_lease_claims() -> list[Json]:
    values: dict[str, list[object]] = {
        "iss": [None, {}],
        "sub": [None, 1],
        "jti": [None, ""],
        "status": [None, "active", "PAUSED", "", 1],
        "reason": [None, 0],
        "iat": [None, "1", NOW + 8 * DAY],
        "exp": [None, 253402300800, NOW - 1],
        "next": [None, -1, 32503680000],
        "nonce": [None, "", [NONCE]],
        "license_exp": ["never", 253402300800],
    }
    return bad_claims(values, lease)


def bad_claims(values: dict[str, list[object]], make: Callable[..., str]) -> list[Json]:
    return [
        case(f"claim: {name} {shown(value)}", make(**{name: value}), "INVALID", **GOOD)
        for name, listed in values.items()
        for value in listed
    ]


def shown(value: object) -> str:
    return "missing" if value is None else json.dumps(value)


def main() -> None:
    kept = json.loads(PATH.read_text("utf-8"))["second_signatures"] if PATH.exists() else {}
    PATH.write_text(json.dumps(build(kept), ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
