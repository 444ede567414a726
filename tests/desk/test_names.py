"""A license by the name that a person types: what may mean several is said to be so, and none of them is taken."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk import names
from licsrv.errors import LicenseNotFoundError
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.platform.db import open_database, transaction
from tests.conftest import NOW
from tests.tables import each

REFUSED = {
    "Ab1": "Several licenses may be meant by 'Ab1': write the code exactly.",
    "PLOOOO0001": "No license has the code or id 'PLOOOO0001'. Did you mean PL00000001?",
    "PL99999999": "No license has the code or id 'PL99999999'.",
    "PL\x00": "No license has the code or id 'PL\\x00'.",
}


def hold(session: Session) -> str:
    for code in ("AB-1", "ab-1", "PL00000001"):
        changes.confirm(session, Purchase(code, MANUAL), cause=Cause("test"), now=NOW)
    return names.license_of(session, "PL00000001").id


def test_a_license_is_named_as_people_type_it_and_never_guessed(database_url: str) -> None:
    database = open_database(database_url)
    with transaction(database) as session:
        license_id = hold(session)
        for row in each(("pl 0000-0001", "ＰＬ00000001\u200b", "\ufeffPL00000001", license_id, f"\u200b{license_id} ")):
            with row as typed:
                assert names.license_of(session, typed).id == license_id
        assert names.license_of(session, "ab-1").code == "ab-1"
        for refusal in each(REFUSED.items()):
            with refusal as (typed, says), pytest.raises(LicenseNotFoundError) as raised:
                names.license_of(session, typed)
            assert raised.value.detail == says
    database.dispose()
