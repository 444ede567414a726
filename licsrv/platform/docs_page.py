"""The API as a page for people, made from the OpenAPI document: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2563eb}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{margin:2rem 0 .5rem;font-size:1.15rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:.5rem;margin:.4rem 0;padding:.5rem .8rem}
summary{cursor:pointer;display:flex;gap:.7rem;flex-wrap:wrap;align-items:baseline}
.m{font:600 .8rem ui-monospace,monospace;color:#fff;background:var(--accent);border-radius:.3rem;padding:.1rem .45rem}
.m.get{background:#15803d}code,pre{font-family:ui-monospace,monospace;font-size:.88rem}
pre{background:var(--soft);padding:.7rem;border-radius:.4rem;overflow:auto}
table{border-collapse:collapse;width:100%}td,th{text-align:left;border-bottom:1px solid var(--line);padding:.3rem .5rem}
.s{color:#8a8a8a}
"""


def render(document: Mapping[str, Any]) -> str:
    """Return the page."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} API</h1>",
        f"<p class=s>Version {escape(info['version'])} · <a href=/openapi.json>openapi.json</a> (OpenAPI 3.1)</p>",
        *_groups(document),
        "</html>",
    ]
    return "".join(parts)


def _groups(document: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, method, path, operation=operation))
    for tag, rendered in groups.items():
        yield f"<h2>{escape(tag)}</h2>" + "".join(rendered)


def _credentials(document: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    """Return which credentials an operation asks for, in the words of their schemes."""
    schemes = document["components"]["securitySchemes"]
    sets = [" + ".join(schemes[name]["description"] for name in names) for names in operation.get("security", [])]
    return f"<p class=s>Credentials: {escape('; or '.join(sets))}</p>" if sets else ""


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    bearer = _credentials(document, operation)
    query = ", ".join(
        f"<code>{escape(p['name'])}</code>" for p in operation.get("parameters", []) if p["in"] == "query"
    )
    return (
        f"<details><summary><span class='m {method}'>{method.upper()}</span><code>{escape(path)}</code>"
        f"<span>{escape(operation['summary'])}</span></summary>{bearer}"
        + (f"<p>Query: {query}</p>" if query else "")
        + (f"<h3>Body</h3>{_schema(document, body)}" if body else "")
        + f"<h3>Answers</h3>{_success(document, operation)}<table>{rows}</table></details>"
    )


def _success(document: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema")
    return _schema(document, schema) if schema else ""


def _schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    reference = schema.get("$ref", "")
    found = document["components"]["schemas"].get(reference.rsplit("/", 1)[-1], schema)
    return f"<pre>{escape(json.dumps(found, indent=2, ensure_ascii=False))}</pre>"
