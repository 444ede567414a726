"""The table of ``docs/settings.md``, rendered from the model; ``python -m tests.docs.settings_table`` prints it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from licsrv.platform.config import Settings

HEAD = "| Setting (`LICSRV_…`) | Default | Meaning |\n| --- | --- | --- |"


def settings_table() -> str:
    """Return the table: every field with its default and description."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join([HEAD, *rows])


def _row(name: str, field: FieldInfo) -> str:
    default = _text(field.default)
    shown = f"`{default}`" if default else "none"
    return f"| `{name.upper()}` | {shown} | {field.description} |"


def _text(value: object) -> str:
    """Return a default as it would be written into the environment."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(_text(member) for member in value)
    if isinstance(value, ZoneInfo):
        return value.key
    return "" if value is None else str(value)


if __name__ == "__main__":
    print(settings_table())
