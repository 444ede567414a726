"""Vectors of license files and revocation lists; see ``make_license_texts``, which writes them down."""

from __future__ import annotations

import base64
import hashlib
import quopri
from collections.abc import Iterable

from tests.client_stub.make_text_signer import (
    DEVICE,
    END,
    ISSUER,
    LEASE,
    LEEWAY,
    LICENSE,
    NOW,
    RELEASE,
    STRANGER,
    Json,
    Key,
    SecondKey,
    base64url,
    case,
    compact,
    encode,
    lease,
    license_claims,
    license_string,
)

COMMENTS = "# Product 产品: cad\n#\n# Valid until 有效期至: 2027-05-04\n"
BEGIN, END_LINE = "-----BEGIN LICENSE-----\n", "-----END LICENSE-----\n"
TYPE = "license-file+jwt"


def digest(raw: bytes) -> str:
    return base64url(hashlib.sha256(raw).digest())


def file_claims(comments: str = COMMENTS, **changes: object) -> Json:
    return license_claims(
        **({"jti": "lf_1", "order": "CS1", "file": "cad.lic", "txt": digest(comments.encode())} | changes)
    )


def signature_entry(key: Key, payload: str, header: object) -> Json:
    protected = encode(header)
    return {"protected": protected, "signature": key.sign_parts(protected, payload)}


def signed_document(claims: object, key: Key = LICENSE, header: object = None) -> Json:
    payload = encode(claims)
    return {"payload": payload, "signatures": [signature_entry(key, payload, header or key.header(TYPE))]}


def armoured(document: object, comments: str = COMMENTS, *, width: int = 64) -> str:
    text = base64.b64encode(document if isinstance(document, bytes) else compact(document)).decode()
    lines = "".join(f"{text[at : at + width]}\n" for at in range(0, len(text), width))
    return f"{comments}{BEGIN}{lines}{END_LINE}"


def license_file(claims: object, comments: str = COMMENTS) -> str:
    return armoured(signed_document(claims), comments)


def doubly_signed(key: SecondKey, claims: object = None, **changes: object) -> Json:
    """A document with both signatures; ``changes`` are made to the header of the first."""
    payload = encode(claims or file_claims())
    signature = key.sign(payload)
    protected = encode(key.header)
    header = LICENSE.header(TYPE, second=digest(f"{protected}.{signature}".encode())) | changes
    first = signature_entry(LICENSE, payload, header)
    return {"payload": payload, "signatures": [first, {"protected": protected, "signature": signature}]}


def files(second: SecondKey) -> list[Json]:
    return [
        *good_files(second),
        *judged_files(),
        *damaged_files(),
        *bad_comments(),
        *damaged_documents(),
        *forged_files(),
        *bad_seconds(second),
        *(case(f"another thing: {name}", text, "INVALID") for name, text in other_things().items()),
    ]


def good_files(second: SecondKey) -> list[Json]:
    many = [f"feature-{number}" for number in range(300)]
    texts = {
        "a license file": license_file(file_claims()),
        "a license file without comments": license_file(file_claims(""), ""),
        "a comment of one sign": license_file(file_claims("#\n"), "#\n"),
        "a comment that looks like an armour": license_file(file_claims(f"# {BEGIN}"), f"# {BEGIN}"),
        "no order and no file name": license_file(file_claims(order=None, file=None)),
        "more than a string can hold": license_file(file_claims(feat=many, maint=END)),
        "the last line is full": armoured(signed_document(padded_claims(full=True))),
        "the last line is not full": armoured(signed_document(padded_claims(full=False))),
        "two signatures": armoured(doubly_signed(second)),
    }
    return [case(name, text, "OK", signature=True) for name, text in texts.items()]


def padded_claims(*, full: bool) -> Json:
    """Claims whose document fills its last line, or does not."""
    for number in range(200):
        claims = file_claims(file="x" * number)
        length = len(base64.b64encode(compact(signed_document(claims))))
        if (length % 64 == 0) is full:
            return claims
    raise AssertionError


def judged_files() -> list[Json]:
    text = license_file(file_claims())
    rows: list[tuple[str, str, Json]] = [
        ("after the last moment", "EXPIRED", {"now": END + LEEWAY}),
        ("before the first moment", "NOT_YET", {"now": NOW - LEEWAY - 1}),
        ("another machine", "WRONG_DEVICE", {"device": "11:22:33:44:55:66|X|BRD-9|Y"}),
        ("two parts exchanged", "WRONG_DEVICE", {"device": "11:22:33:44:55:66|X|BRD-9|BFEBFBFF00090672"}),
        ("no device text", "DEVICE_INFO", {"device": DEVICE.replace("|", "")}),
        ("another product", "WRONG_PRODUCT", {"product": "cam"}),
        ("another issuer", "WRONG_ISSUER", {"issuer": "https://other.example"}),
        ("what was expected", "OK", {"product": "cad", "issuer": ISSUER}),
    ]
    return [case(f"judged: {name}", text, verdict, signature=True, **more) for name, verdict, more in rows]


def damaged_files() -> list[Json]:
    """The text around the document was changed."""
    good = license_file(file_claims())
    head, body = good.split(BEGIN)
    first, rest = body.split("\n", 1)
    short = armoured(signed_document(padded_claims(full=False)))
    texts: dict[str, str | bytes] = {
        "nothing": "",
        "CRLF": good.replace("\n", "\r\n"),
        "CR": good.replace("\n", "\r"),
        "CRLF in the comments": head.replace("\n", "\r\n") + BEGIN + body,
        "a BOM": "\ufeff" + good,
        "UTF-16": good.encode("utf-16"),
        "no end of the last line": good[:-1],
        "an empty line behind": good + "\n",
        "a blank behind": good + " ",
        "a NUL behind": good + "\0",
        "text behind": good + "# more\n",
        "the file twice": good + good,
        "doubled armour": BEGIN + good + END_LINE,
        "doubled BEGIN": head + BEGIN + BEGIN + body,
        "doubled END": good + END_LINE,
        "an armour with nothing in it": head + BEGIN + END_LINE,
        "no BEGIN": head + body,
        "no END": good.removesuffix(END_LINE),
        "END in small letters": good.replace("END LICENSE", "end license"),
        "four dashes": good.replace("-----BEGIN", "----BEGIN"),
        "a blank behind BEGIN": good.replace(BEGIN, "-----BEGIN LICENSE----- \n"),
        "another comment": good.replace("cad", "cam", 1),
        "a comment more": "# paid\n" + good,
        "a comment less": good.split("\n", 1)[1],
        "no comments any more": BEGIN + body,
        "a blank line among the comments": head + "\n" + BEGIN + body,
        "a comment without its blank": good.replace("# Product", "#Product", 1),
        "text in front that is no comment": "license\n" + good,
        "comments that are not UTF-8": good.encode().replace("产".encode(), b"\xff", 1),
        "an empty line in the armour": head + BEGIN + "\n" + body,
        "a comment in the armour": head + BEGIN + "# x\n" + body,
        "a blank in the armour": good.replace(first, first[:-1] + " "),
        "a line of 63 characters": head + BEGIN + first[:-1] + "\n" + first[-1] + rest,
        "two lines in one": head + BEGIN + first + rest,
        "lines of 76 characters": armoured(signed_document(file_claims()), width=76),
        "lines of 60 characters": armoured(signed_document(file_claims()), width=60),
        "one long line": armoured(signed_document(file_claims()), width=100_000),
        "the last line too long": short.replace(f"\n{END_LINE}", f"AAAA\n{END_LINE}"),
        "a character of the armour missing": head + BEGIN + first[1:] + "\n" + rest,
        "half of it": good[: len(good) // 2],
    }
    rows = [case(f"damaged: {name}", text, damage_of(name)) for name, text in (texts | mailed_files(good)).items()]
    return [*rows, *long_files()]


def damage_of(name: str) -> str:
    """Say what becomes of a damaged text: one that has a BEGIN mark was a license file, changed on its way."""
    return "INVALID" if name in {"nothing", "no BEGIN", "base64 by mail", "the last line too long"} else "UNREADABLE"


def mailed_files(good: str) -> dict[str, str | bytes]:
    """What mail programs and editors make of a file."""
    return {
        "a footer": f"{good}\n--\nSent from my phone\n",
        "quoted": "".join(f"> {line}\n" for line in good.splitlines()),
        "quoted-printable": quopri.encodestring(good.encode()),
        "UTF-16 without a BOM": good.encode("utf-16-le"),
        "UTF-16, the high byte first": good.encode("utf-16-be"),
        "GBK": good.encode("gbk"),
        "a page": f"<html><pre>{good}</pre></html>",
        "blanks at the ends of lines": good.replace("\n", " \n"),
        "base64 by mail": base64.encodebytes(good.encode()),
    }


def bad_comments() -> list[Json]:
    """Comments that are signed as they stand and still are none."""
    comments = {
        "CRLF": b"# x\r\n",
        "CR": b"# x\ry\n",
        "no blank": b"#x\n",
        "no sign": b"x\n",
        "an empty line": b"# x\n\n",
        "a blank in front": b" # x\n",
        "not UTF-8": b"# \xff\n",
        "a BOM": b"\xef\xbb\xbf# x\n",
    }
    signed = {name: license_file(file_claims(txt=digest(raw)), "").encode() for name, raw in comments.items()}
    return [case(f"signed comments: {name}", comments[name] + text, "UNREADABLE") for name, text in signed.items()]


def long_files() -> list[Json]:
    """Texts of which only the repeated beginning is long: `repeat` is what stands in front, and how often."""
    line = "# x\n"
    most = (64 * 1024 - len(license_file(file_claims(""), ""))) // len(line)
    rows = [
        ("almost 64 KiB", license_file(file_claims(line * most), ""), [line, most], "OK"),
        ("above 64 KiB", license_file(file_claims(line * (most + 1)), ""), [line, most + 1], "INVALID"),
        ("zeros", "", ["0", 70_000], "INVALID"),
        ("10 MB of comments", license_file(file_claims()), [line, 2_500_000], "INVALID"),
    ]
    return [case(f"long: {name}", text, verdict, repeat=repeat) for name, text, repeat, verdict in rows]


def damaged_documents() -> list[Json]:
    """The armour is as it should be, the document in it is spelled in another way."""
    good = signed_document(file_claims())
    plain, entry = compact(good), good["signatures"][0]
    by_hand = base64url(b"x")
    documents: dict[str, object] = {
        "a blank": plain.replace(b",", b", ", 1),
        "a newline behind": plain + b"\n",
        "another order": {"signatures": good["signatures"], "payload": good["payload"]},
        "another order in the signature": good | {"signatures": [dict(reversed(entry.items()))]},
        "a member to spare": good | {"x": 1},
        "an unprotected header": good | {"signatures": [{**entry, "header": {"kid": LICENSE.kid}}]},
        "the flattened form": {"payload": good["payload"], **entry},
        "no signatures": good | {"signatures": []},
        "the signature twice": good | {"signatures": [entry, entry]},
        "three signatures": good | {"signatures": [entry, entry, entry]},
        "the payload twice": plain.replace(b"{", b'{"payload":"%s",' % by_hand.encode(), 1),
        "an escape": plain.replace(b'"payload"', b'"\\u0070ayload"'),
        "padding in the payload": good | {"payload": good["payload"] + "="},
        "an empty payload": good | {"payload": ""},
        "a character of the payload changed": plain.replace(b'"eyJp', b'"eyJq', 1),
        "an empty signature": good | {"signatures": [{**entry, "signature": ""}]},
        "spare bits in the signature": good | {"signatures": [{**entry, "signature": spare_bits(entry["signature"])}]},
        "no JSON": b"license",
        "the compact form": license_string().encode(),
    }
    return [case(f"document: {name}", armoured(value), "INVALID") for name, value in documents.items()]


def spare_bits(text: str) -> str:
    return text[:-1] + chr(ord(text[-1]) + 1)


def forged_files() -> list[Json]:
    claims, header = file_claims(), LICENSE.header(TYPE)
    documents = {
        "an unknown key": signed_document(claims, STRANGER),
        "an unknown key under a known id": signed_document(claims, STRANGER, header),
        "the lease key": signed_document(claims, LEASE),
        "the release key": signed_document(claims, RELEASE),
        "the type of a string": signed_document(claims, LICENSE, LICENSE.header("license+jwt")),
        "the type of a list": signed_document(claims, LICENSE, LICENSE.header("revocations")),
        "alg none": signed_document(claims, LICENSE, {**header, "alg": "none"}),
        "alg HS256": signed_document(claims, LICENSE, {**header, "alg": "HS256"}),
        "alg ML-DSA-65 with an Ed25519 signature": signed_document(claims, LICENSE, {**header, "alg": "ML-DSA-65"}),
        "crit": signed_document(claims, LICENSE, {**header, "crit": ["b64"], "b64": False}),
        "no comment digest": signed_document(file_claims(txt=None)),
        "an empty comment digest": signed_document(file_claims(txt="")),
        "no code": signed_document(file_claims(code=None)),
        "the claims are a list": signed_document([claims]),
        "a claim twice": signed_document(compact(claims)[:-1] + b',"n":5}'),
    }
    rows = [case(f"forged: {name}", armoured(value), "INVALID") for name, value in documents.items()]
    for name, txt in (("other comments", digest(b"# other\n")), ("padded", digest(COMMENTS.encode()) + "=")):
        rows.append(case(f"comment digest: {name}", armoured(signed_document(file_claims(txt=txt))), "UNREADABLE"))
    return rows


def bad_seconds(second: SecondKey) -> list[Json]:
    good = doubly_signed(second)
    first, other = good["signatures"]
    without_digest = signature_entry(LICENSE, good["payload"], LICENSE.header(TYPE))
    other_header = {**other, "protected": encode(second.header | {"alg": "ML-DSA-87"})}
    cut = other["signature"][:-4]
    documents = {
        "taken away": good | {"signatures": [first]},
        "taken away with its digest, the old signature": good
        | {"signatures": [{**without_digest, "signature": first["signature"]}]},
        "in front": good | {"signatures": [other, first]},
        "alone": good | {"signatures": [other]},
        "not announced": good | {"signatures": [without_digest, other]},
        "announced, but another one": doubly_signed(second, second=digest(b"another")),
        "an empty digest": doubly_signed(second, second=""),
        "one character of it changed": good
        | {"signatures": [first, {**other, "signature": "B" + other["signature"][1:]}]},
        "its key renamed": good
        | {"signatures": [first, {**other, "protected": encode(second.header | {"kid": "A" * 16})}]},
        "cut off": good | {"signatures": [first, {**other, "signature": cut}]},
        "empty": good | {"signatures": [first, {**other, "signature": ""}]},
        "under another header": good | {"signatures": [first, other_header]},
        "of Ed25519": good | {"signatures": [first, without_digest]},
    }
    kept = {name: armoured(value) for name, value in documents.items()}
    return [case(f"second signature: {name}", text, "INVALID") for name, text in kept.items()]


def other_things() -> dict[str, str]:
    return {
        "a string": license_string(),
        "a string in an armour": armoured(license_string().encode()),
        "a lease": lease(),
        "a list": revocation_list(1, ["lic_9"]),
        "a PEM key": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
    }


# -- revocation lists ---------------------------------------------------------------------------------------------


def entry_of(name: str) -> bytes:
    """``lic_…`` is a license, anything else a string."""
    kind = "license" if name.startswith("lic_") else "string"
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:7]


def list_payload(
    number: int, add: Iterable[str], remove: Iterable[str] = (), since: int = 0, /, **changes: object
) -> bytes:
    added, removed = sorted(map(entry_of, add)), sorted(map(entry_of, remove))
    head = {
        "v": 1,
        "iss": ISSUER,
        "iat": NOW,
        "number": number,
        "since": since,
        "add": len(added),
        "remove": len(removed),
    }
    return compact(head | changes) + b"\n" + b"".join([*added, *removed])


def signed_list(payload: bytes, key: Key = LICENSE, header: object = None) -> str:
    return key.token(header or key.header("revocations"), payload)


def revocation_list(
    number: int, add: Iterable[str], remove: Iterable[str] = (), since: int = 0, /, **changes: object
) -> str:
    return signed_list(list_payload(number, add, remove, since, **changes))


MANY = [f"lic_{number}" for number in range(100, 120)]


def revocation_lists() -> list[Json]:
    return [*good_lists(), *updated_lists(), *bad_lists()]


def good_lists() -> list[Json]:
    """``license`` is what the list makes of the license of the head of the file (lic_1, ls_1)."""
    rows = [
        ("an empty list", revocation_list(0, []), "OK"),
        ("a list without ours", revocation_list(7, [*MANY, "ls_2"]), "OK"),
        ("our license", revocation_list(7, [*MANY, "lic_1"]), "REVOKED"),
        ("our string", revocation_list(7, [*MANY, "ls_1"]), "REVOKED"),
        ("ours alone", revocation_list(1, ["lic_1"]), "REVOKED"),
        ("a list that is older than ours", revocation_list(7, ["lic_1", "ls_1"], iat=NOW - 1), "OK"),
        ("a list that is younger than ours", revocation_list(7, ["lic_1"], iat=NOW + 1), "REVOKED"),
        ("a member that is not known", revocation_list(1, ["lic_1"], later=[1]), "REVOKED"),
        ("a change looks nothing up", revocation_list(7, ["lic_1"], [], 6), "NEEDS_FULL"),
    ]
    return [case(name, text, "OK", signature=True, license=verdict) for name, text, verdict in rows]


def updated_lists() -> list[Json]:
    """``update`` is brought to the list; ``entries`` and ``number`` are what is held afterwards."""
    held = revocation_list(7, [*MANY, "lic_1"])
    rows: list[tuple[str, str, str, Json]] = [
        ("one more", revocation_list(8, ["lic_2"], [], 7), "OK", {"number": 8, "entries": 22}),
        ("ours reinstated", revocation_list(9, [], ["lic_1"], 7), "OK", {"number": 9, "entries": 20}),
        ("some come, some go", revocation_list(9, ["a", "b"], MANY[:5], 7), "OK", {"number": 9, "entries": 18}),
        ("one that comes and goes", revocation_list(8, ["a"], ["a"], 7), "OK", {"number": 8, "entries": 21}),
        ("a change up to where we are", revocation_list(7, ["a"], [], 3), "OK", {"number": 7, "entries": 21}),
        ("another list of the same number", revocation_list(7, []), "OK", {"number": 7, "entries": 21}),
        ("one that is there already", revocation_list(8, ["lic_1"], [], 7), "OK", {"number": 8, "entries": 21}),
        ("a full list", revocation_list(8, ["a"]), "OK", {"number": 8, "entries": 1}),
        ("the same list", held, "OK", {"number": 7, "entries": 21}),
        ("an older list", revocation_list(6, []), "ROLLED_BACK", {}),
        ("an older change", revocation_list(6, [], ["lic_1"], 5), "ROLLED_BACK", {}),
        ("a change of an older list", revocation_list(8, [], [], 6), "NEEDS_FULL", {}),
        ("a change of a newer list", revocation_list(9, [], [], 8), "NEEDS_FULL", {}),
    ]
    return [case(f"update: {name}", held, verdict, update=update, **more) for name, update, verdict, more in rows]


def bad_lists() -> list[Json]:
    good = list_payload(7, MANY)
    head, entries = good.split(b"\n", 1)
    payloads = {
        "no entries": head + b"\n",
        "no newline": head + entries,
        "a byte more": good + b"\0",
        "a byte less": good[:-1],
        "an entry more": good + bytes([255] * 7),
        "not sorted": head + b"\n" + entries[7:14] + entries[:7] + entries[14:],
        "an entry twice": head + b"\n" + entries[:7] + entries[:7] + entries[14:],
        "a version that is not known": list_payload(7, MANY, v=2),
        "no version": list_payload(7, MANY).replace(b'"v":1,', b""),
        "a number below since": list_payload(7, MANY, since=8),
        "a full list that takes away": list_payload(7, MANY[:1], MANY[1:]),
        "a number that is a text": list_payload(7, MANY, number="7"),
        "a negative count": list_payload(7, MANY, remove=-1),
        "a fraction": list_payload(7, MANY).replace(b'"number":7', b'"number":7.0'),
        "a member twice": list_payload(7, MANY).replace(b'{"v":1', b'{"v":1,"v":1'),
        "no issuer": list_payload(7, MANY, iss=""),
        "nothing": b"",
        "only a newline": b"\n",
    }
    signed = {name: signed_list(payload) for name, payload in payloads.items()}
    forged = {
        "an unknown key": signed_list(good, STRANGER),
        "the lease key": signed_list(good, LEASE),
        "the type of a license": signed_list(good, LICENSE, LICENSE.header("license+jwt")),
        "alg none": signed_list(good, LICENSE, {**LICENSE.header("revocations"), "alg": "none"}),
        "a changed entry": changed_entry(signed_list(good)),
        "a newline behind": signed_list(good) + "\n",
        "a license": license_string(),
        "text": "nothing",
        "empty": "",
    }
    rows = [case(f"list: {name}", text, "INVALID") for name, text in (signed | forged).items()]
    return [*rows, case("list: of another issuer", signed_list(good), "WRONG_ISSUER", issuer="https://other.example")]


def changed_entry(text: str) -> str:
    header, payload, signature = text.split(".")
    return f"{header}.{payload[:-8]}{'B' if payload[-8] != 'B' else 'C'}{payload[-7:]}.{signature}"
