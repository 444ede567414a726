"""An index by which a license is found however its code is spelled."""

import sqlalchemy as sa
from alembic import op

from licsrv.migrations import online

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

READS = ("licenses",)


def upgrade() -> None:
    """Make the index; its expression is that of ``platform.db.LookAlike``."""
    text = "lower(code)"
    if op.get_bind().dialect.name == "sqlite":
        for seen, taken in ((" ", ""), ("-", ""), ("o", "0"), ("i", "1"), ("l", "1")):
            text = f"replace({text}, '{seen}', '{taken}')"
    else:
        text = f"translate({text}, 'oil -', '011')"
    online.replace_index("ix_licenses_code_look_alike", "licenses", [sa.text(text)])
