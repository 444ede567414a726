"""The API's document: valid, complete, and kept to by the service, whatever it is sent."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx2
import openapi_spec_validator
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.routing import Route
from starlette.types import ASGIApp

from licsrv import audit
from licsrv.app import build_runtime, create_app
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, StandingClock, make_settings
from tests.soak import amount

with warnings.catch_warnings():  # its imports warn of what other packages are about to do
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

CODE = "PL0000000001"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
DETERMINISTIC = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def runtime(sqlite_pattern: Path, tmp_path_factory: pytest.TempPathFactory, keys_dir: Path) -> Iterator[Runtime]:
    """A process that knows one license and has no marketplace."""
    path = tmp_path_factory.mktemp("openapi") / "licsrv.db"
    path.write_bytes(sqlite_pattern.read_bytes())
    # Licenses without an end: their files would hold the one device's place for ever.
    no_marketplace = {"MARKETPLACE_AK": "", "MARKETPLACE_SK": ""}
    settings = make_settings(f"sqlite:///{path}", keys_dir, **no_marketplace, FILE_HOLDS_PLACE="0")
    runtime = build_runtime(settings, clock=StandingClock())
    with transaction(runtime.database, (audit.seal,)) as session:
        changes.add(session, Purchase(CODE, MANUAL, device_limit=1000), cause=Cause("test"), now=NOW)
    yield runtime
    asyncio.run(runtime.close())


@pytest.fixture(scope="module")
def app(runtime: Runtime) -> ASGIApp:
    """The application without its lifespan, which would end the runtime after the first call."""
    served = create_app(runtime)

    async def without_lifespan(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await served(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": message["type"] + ".complete"})

    return without_lifespan


def get(app: ASGIApp, path: str) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as http:
            return await http.get(path)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def document(app: ASGIApp) -> dict[str, Any]:
    found: dict[str, Any] = get(app, "/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def bearer(app: ASGIApp) -> dict[str, str]:
    async def ask() -> str:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as http:
            body = {"code": CODE, "device_info": DEVICE, "nonce": "n"}
            return str((await http.post("/v1/licenses/string", json=body)).json()["license_string"])

    return {"Authorization": f"Bearer {asyncio.run(ask())}"}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)

    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "licsrv"


def _is_page(path: str) -> bool:
    return path.startswith("/admin") and not path.startswith("/admin/api")


def test_what_is_served_is_what_is_documented(runtime: Runtime, document: dict[str, Any]) -> None:
    starlette: Any = create_app(runtime)
    served = {
        (route.path.rstrip("/") or "/", method)  # a slash at the end makes no other operation
        for route in starlette._app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    documented = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}

    # The document and its page describe the others and not themselves; the console's pages are for people.
    for_people = {(path, method) for path, method in served if _is_page(path)}
    assert served - documented - for_people == {("/openapi.json", "GET"), ("/docs", "GET")}
    assert documented & for_people == set()
    assert documented <= served


def test_every_operation_has_a_name_a_summary_and_an_answer(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
        assert operation["responses"]["200"]["content"]


def test_every_refusal_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    problem = {"$ref": "#/components/schemas/Problem"}
    answers = [
        (status, answer)
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status != "200"
    ]

    assert answers
    for _, answer in answers:
        assert list(answer["content"]) == ["application/problem+json"]
        assert answer["content"]["application/problem+json"]["schema"] == problem
        assert answer["description"].replace("_", "").replace(", ", "").isupper()


def test_the_page_for_people_shows_every_path_and_loads_nothing(app: ASGIApp, document: dict[str, Any]) -> None:
    page = get(app, "/docs")

    assert all(path in page.text for path in document["paths"])
    assert "<script" not in page.text
    assert "src=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


MODES = [
    (GenerationMode.POSITIVE, True, True),
    (GenerationMode.NEGATIVE, False, True),
    (GenerationMode.POSITIVE, True, False),
    (GenerationMode.POSITIVE, False, True),
    (GenerationMode.NEGATIVE, False, False),
]
RUNS = [
    (*MODES[0], 2),
    *[pytest.param(*mode, amount(short=4, whole=100), marks=pytest.mark.soak) for mode in MODES],
]


@pytest.mark.parametrize(("mode", "is_known", "is_signed", "rounds"), RUNS)
def test_the_service_keeps_to_its_document_whatever_it_is_sent(
    app: ASGIApp, bearer: dict[str, str], mode: GenerationMode, *, is_known: bool, is_signed: bool, rounds: int
) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen: set[tuple[str, int]] = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # there is nothing that could be wrong

        @settings(DETERMINISTIC, max_examples=rounds)
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_to_it(case: Any) -> None:
            if is_known:
                use_what_is_known(case.body)
            response = case.call(headers=bearer if is_signed else None)
            case.validate_response(response, checks=CHECKS)
            seen.add((case.operation.path, response.status_code))

        keeps_to_it()

    expected = EXPECTED[mode, is_known, is_signed]
    assert seen >= expected, expected - seen


EXPECTED = {
    (GenerationMode.POSITIVE, True, True): {
        ("/v1/licenses/string", 200), ("/v1/heartbeats", 200), ("/v1/devices/release", 200),
        ("/marketplace/callback", 200), ("/.well-known/jwks.json", 200), ("/healthz", 200), ("/readyz", 200),
        ("/metrics", 200),
    },
    (GenerationMode.POSITIVE, True, False): {("/v1/heartbeats", 401), ("/v1/devices/release", 401)},
    (GenerationMode.POSITIVE, False, True): {("/v1/licenses/string", 422), ("/v1/heartbeats", 422)},
    (GenerationMode.NEGATIVE, False, True): {("/v1/licenses/string", 422), ("/v1/heartbeats", 422)},
    (GenerationMode.NEGATIVE, False, False): {("/v1/licenses/string", 422), ("/v1/heartbeats", 401)},
}  # fmt: skip


def use_what_is_known(body: Any) -> None:
    """Turn a well-formed request into one that has a chance of success."""
    if isinstance(body, dict):
        for name, value in (("code", CODE), ("device_info", DEVICE)):
            if name in body:
                body[name] = value
