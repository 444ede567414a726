"""Settings, codes, routes and metrics are in the pages, and the pages name no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import get_args

import httpx2

from licsrv import errors
from licsrv.app import build_runtime, create_app
from licsrv.marketplace.callbacks.product_lines import PRODUCT_LINES
from licsrv.marketplace.commands import Command, ResultCode
from licsrv.marketplace.open_api import codes
from licsrv.platform.config import PREFIX, Settings
from licsrv.platform.metrics import Metrics
from tests.conftest import make_settings
from tests.docs.pages import (
    CALLBACKS,
    ERRORS,
    HTTP_API,
    MONITORING,
    PAGES,
    PRODUCT_LINES_PAGE,
    ROOT,
    SETTINGS,
    between,
    code_spans,
    name_of,
    text,
)
from tests.docs.settings_table import settings_table

DEPLOY = ROOT / "deploy"
C_HEADER = ROOT / "client_stub" / "c" / "licsrv_verify.h"


def _refusals(kind: type[errors.RefusalError] = errors.RefusalError) -> Iterator[type[errors.RefusalError]]:
    for refusal in kind.__subclasses__():
        yield refusal
        yield from _refusals(refusal)


def _first_cells(table: str) -> set[str]:
    """Return every code span in the first column of a Markdown table."""
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {span for row in rows for span in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def _names_in_c() -> set[str]:
    """Return the constants of the C verifier, which begin as our settings do."""
    return set(re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", text(C_HEADER)))


def _section(page: Path, heading: str) -> str:
    return text(page).split(f"## {heading}\n")[1].split("\n##")[0]


def test_the_settings_table_is_what_the_settings_are() -> None:
    assert between(SETTINGS, "settings begin", "settings end").strip() == settings_table()


def test_every_setting_that_a_page_names_exists() -> None:
    unknown = {
        (name_of(page), name)
        for page in [*PAGES, *sorted(DEPLOY.iterdir())]
        for name in set(re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", text(page))) - _names_that_are_no_settings(page)
        if name.removesuffix("_FILE").lower() not in Settings.model_fields
    }

    assert unknown == set()


def _names_that_are_no_settings(page: Path) -> set[str]:
    of_page = {"licsrv-admin": {"ENVIRONMENT", "COMMAND"}, "testing.md": {"MODEL_SEED"}}
    return of_page.get(page.name) or _names_in_c()


def test_every_refusal_to_a_device_is_explained() -> None:
    explained = _first_cells(_section(ERRORS, "Refusals to devices"))

    assert explained == {refusal.code for refusal in _refusals()} | {"INTERNAL_ERROR"}


def test_every_status_of_a_refusal_is_the_right_one() -> None:
    table = _section(ERRORS, "Refusals to devices")

    wrong = [refusal.code for refusal in _refusals() if f"| `{refusal.code}` | {refusal.status} |" not in table]

    assert wrong == []


def test_every_result_code_is_explained() -> None:
    assert _first_cells(_section(ERRORS, "Answers to the marketplace")) == set(ResultCode)


def test_every_open_api_code_is_explained() -> None:
    explained = _first_cells(_section(ERRORS, "Answers from the marketplace"))

    known = {codes.SUCCESS, codes.INTERNAL_ERROR, *codes.REFUSALS}
    assert {code for code in explained if not code.startswith("API")} == known


def test_the_gateway_codes_explained_are_authentication_failures() -> None:
    explained = _first_cells(_section(ERRORS, "Answers from the marketplace"))

    gateway = {code for code in explained if code.startswith("API")}
    assert gateway
    assert all(codes.is_authentication_failure(code, 200) for code in gateway)


def test_every_activity_of_a_product_line_is_explained() -> None:
    activities = {activity for line in PRODUCT_LINES for activity in line.ACTIVITIES}

    missing = {
        name_of(page): activities - set(code_spans(page))
        for page in (CALLBACKS, PRODUCT_LINES_PAGE)
        if not activities <= set(code_spans(page))
    }

    assert missing == {}


def test_every_product_line_and_command_is_in_their_page() -> None:
    modules = {f"{line.__name__.replace('.', '/').removeprefix('licsrv/')}.py" for line in _modules(PRODUCT_LINES)}
    words = {command.__name__ for command in get_args(Command)}

    named = _first_cells(text(PRODUCT_LINES_PAGE))

    assert modules | words <= named


def _modules(lines: Sequence[object]) -> list[ModuleType]:
    return [line for line in lines if isinstance(line, ModuleType)]


async def test_the_routes_named_are_the_routes_served(sqlite_url: str, keys_dir: Path) -> None:
    runtime = build_runtime(make_settings(sqlite_url, keys_dir, ALLOW_TEST_CLOCK="1"))
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    await runtime.close()
    # The desk has its own pages, which its own tests hold to it.
    outside = {path: methods for path, methods in paths.items() if not path.startswith("/admin")}
    served = {f"{method.upper()} {path}" for path, methods in outside.items() for method in methods}

    named = {span for span in code_spans(HTTP_API) if re.fullmatch(r"(GET|POST|PUT|DELETE) /\S+", span)}

    assert served | {"GET /openapi.json", "GET /docs"} == named


def test_the_metrics_named_are_the_metrics_counted() -> None:
    exposed = re.findall(r"^# TYPE (\S+) ", Metrics().text().decode(), re.MULTILINE)
    counted = {name for name in exposed if not name.endswith("_created")}

    table = text(MONITORING).split("| Metric | Says |")[1].split("\n\n")[0]

    assert _first_cells(table) == counted


def test_every_metric_of_an_alert_exists() -> None:
    exposed = re.findall(r"^# TYPE (\S+) ", Metrics().text().decode(), re.MULTILINE)

    named = re.findall(r"\b(licsrv_[a-z_]+)", text(MONITORING))

    assert {name.removesuffix("_bucket") for name in named} <= set(exposed)
