"""Reading what a page's form sends. Pure; it does not know what the fields mean."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from licsrv.errors import InvalidRequestError, UnsupportedMediaTypeError

FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 60
CSRF_FIELD, KEY_FIELD, PROOF_FIELD = "csrf", "key", "proof"


def read_form(content_type: str, body: bytes) -> Mapping[str, list[str]]:
    r"""Return the fields of a form, each with its values in their order; line ends are those of a text (``\n``).

    Raises:
        UnsupportedMediaTypeError: It is no form.
        InvalidRequestError: It is no UTF-8, or has too many fields.
    """
    if content_type.split(";", maxsplit=1)[0].strip().lower() != FORM_TYPE:
        raise UnsupportedMediaTypeError("This address takes HTML forms only.")
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidRequestError("The form cannot be read.") from error
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return fields
