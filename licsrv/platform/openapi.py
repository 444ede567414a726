"""Operations: a route together with what OpenAPI 3.1 says of it, so that the document cannot drift from the service."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from licsrv.errors import BodyTooLargeError, InvalidRequestError, RefusalError, UnsupportedMediaTypeError
from licsrv.platform.web import PROBLEM_JSON, read_body, require_json

Handler = Callable[..., Awaitable[Any]]
Model = TypeVar("Model", bound=BaseModel)
SecurityScheme = Mapping[str, str]
BEARER = "bearer"
_BEARER_SCHEME: SecurityScheme = {"type": "http", "scheme": "bearer", "description": "the license string"}
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it, with our stable ``code``."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable, upper snake case")
    request_id: str
    action: str | None = Field(None, description="what the person can do next")


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Args:
        handler: ``async (request, body?) -> BaseModel | Response``; an ASGI application where every microsecond counts.
        body: Model of the JSON body, where there is one.
        result: Model of the 200 answer; None where ``media_type`` says what it is instead.
        refusals: Every refusal this operation can answer, except those of reading its body.
        security: The name of the scheme that it asks for, or several sets of schemes of which one is enough.
        headers: Names of the optional request headers that it knows.
        reads_body: The handler reads the body itself, because something else comes first.
        takes: Media types of a body that is no JSON; the handler reads it.
        also: Further media types of the 200 answer.
    """

    method: str
    path: str
    summary: str
    tag: str
    handler: Handler | ASGIApp
    body: type[BaseModel] | None = None
    result: type[BaseModel] | None = None
    media_type: str = "application/json"
    refusals: Sequence[type[RefusalError]] = ()
    security: str | Sequence[Sequence[str]] | None = None
    query: Sequence[str] = ()
    headers: Sequence[str] = ()
    reads_body: bool = False
    takes: Sequence[str] = ()
    also: Sequence[str] = ()
    responses: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False


def parse_model(model: type[Model], body: bytes) -> Model:
    """Read a JSON body into its model.

    Raises:
        InvalidRequestError: It is no JSON or does not fit; ``errors`` names each place, never the value given.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in detail["loc"]), "problem": detail["msg"]}
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidRequestError(
            "The body does not have the form that this address takes.",
            action="Mend the fields named in errors and send it again.",
            errors=problems[:20],
        ) from None


def routes(operations: Sequence[Operation]) -> list[Route]:
    """Return one route per path, so that the ``Allow`` header of a 405 names every method of the path."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [_route(path, methods) for path, methods in by_path.items()]


def _route(path: str, operations: Mapping[str, Operation]) -> Route:
    first = next(iter(operations.values()))
    if first.raw:
        return Route(path, _Named(first.handler, path), methods=[first.method])

    async def endpoint(request: Request) -> Response:
        operation = operations.get(request.method) or operations["GET"]  # Starlette answers HEAD through GET
        request.scope["matched_path"] = path
        return await _call(operation, request)

    return Route(path, endpoint, methods=list(operations))


class _Named:
    """An ASGI endpoint that leaves its route's pattern in the scope, for the metrics."""

    def __init__(self, app: Any, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["matched_path"] = self._path
        await self._app(scope, receive, send)


async def _call(operation: Operation, request: Request) -> Response:
    arguments: list[Any] = [request]
    if operation.body is not None and not operation.reads_body:
        require_json(request.scope)
        arguments.append(parse_model(operation.body, await read_body(request.receive)))
    handler: Any = operation.handler
    result = await handler(*arguments)
    if isinstance(result, Response):
        return result
    return Response(result.model_dump_json(), media_type="application/json")


def document(
    operations: Sequence[Operation],
    *,
    title: str,
    version: str,
    security_schemes: Mapping[str, SecurityScheme] | None = None,
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the operations; ``security_schemes`` come in addition to the bearer's."""
    models = sorted({m for o in operations for m in (o.body, o.result) if m} | {Problem}, key=lambda m: m.__name__)
    pairs = [(m, mode) for m in models for mode in ("validation", "serialization")]
    references, definitions = models_json_schema(pairs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": "License server of a software vendor."},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {BEARER: _BEARER_SCHEME, **(security_schemes or {})},
        },
    }


def _describe(operation: Operation, references: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "tags": [operation.tag],
        "operationId": f"{operation.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', operation.path.lower()).strip('_')}",
        "responses": {"200": _success(operation, references), **_refusals(operation, references)},
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.body:
        schema = references[(operation.body, "validation")]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.takes:
        content = {media_type: {"schema": {"type": "string"}} for media_type in operation.takes}
        described["requestBody"] = {"required": True, "content": content}
    if operation.security:
        sets = [[operation.security]] if isinstance(operation.security, str) else operation.security
        described["security"] = [{scheme: [] for scheme in schemes} for schemes in sets]
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = _PATH_PARAMETER.findall(operation.path)
    places = (("path", in_path), ("query", operation.query), ("header", operation.headers))
    return [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for place, names in places
        for name in names
    ]


def _success(operation: Operation, references: Any) -> dict[str, Any]:
    schema = references[(operation.result, "serialization")] if operation.result else {}
    content = {media_type: {"schema": schema} for media_type in (operation.media_type, *operation.also)}
    return {"description": operation.responses.get("200", "OK"), "content": content}


def _refusals(operation: Operation, references: Any) -> dict[str, Any]:
    of_body = (InvalidRequestError, UnsupportedMediaTypeError, BodyTooLargeError) if operation.body else ()
    by_status: dict[str, list[str]] = {}
    for refusal in (*operation.refusals, *of_body):
        by_status.setdefault(str(refusal.status), []).append(refusal.code)
    content = {PROBLEM_JSON: {"schema": references[(Problem, "serialization")]}}
    return {
        status: {"description": ", ".join(dict.fromkeys(codes)), "content": content}
        for status, codes in sorted(by_status.items())
    }
