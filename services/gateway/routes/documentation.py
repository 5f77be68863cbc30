"""The API described: the OpenAPI document, and a page for people made from it."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from services.gateway import html_pages
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.openapi import make_document
from services.gateway.parameters import NoParameters
from services.gateway.routing import Route

FOR_A_WHILE = {"cache-control": "public, max-age=300"}


class Documentation:
    """Describes a table that it is itself a part of; made at the first request, once per process."""

    def __init__(self, rows: tuple[Route, ...]) -> None:
        self.table = (*rows, self._document_route(), self._page_route())
        self._encoded: dict[str, bytes] = {}

    async def get_document(self, call: Call[NoParameters]) -> Response:
        """Return the OpenAPI 3.1 document of everything that this gateway answers."""
        base_url = call.gateway.base_url
        if base_url not in self._encoded:
            self._encoded[base_url] = msgspec.json.encode(make_document(self.table, base_url))
        return Response(self._encoded[base_url], 200, FOR_A_WHILE, "application/json")

    async def get_page(self, call: Call[NoParameters]) -> Response:
        """Show the same document to people, without a script."""
        document = make_document(self.table, call.gateway.base_url)
        return html_pages.page(
            "documentation.html", headers=FOR_A_WHILE, info=document["info"], groups=group_operations(document)
        )

    def _document_route(self) -> Route:
        return Route(
            method="GET",
            path="/api/openapi.json",
            handler=self.get_document,
            policy=Open.PUBLIC,
            response=dict[str, Any],
            summary="This API as an OpenAPI document",
            tag="documentation",
        )

    def _page_route(self) -> Route:
        return Route(
            method="GET",
            path="/api/docs",
            handler=self.get_page,
            policy=Open.PUBLIC,
            summary="This API as a page",
            tag="documentation",
        )


def group_operations(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations of a document by tag, as the page shows them."""
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append(
                {
                    "id": operation["operationId"],
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "description": re.sub(r"`", "", operation["description"]),
                    "inputs": _inputs(operation),
                    "answers": [
                        {"code": code, "description": answer["description"], "shape": _shape(_schema(answer))}
                        for code, answer in sorted(_answers(document, operation).items())
                    ],
                    "example": _example(operation),
                }
            )
    return groups


def _inputs(operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every parameter and every field of the body."""
    inputs = [
        {
            "name": parameter["name"],
            "place": parameter["in"],
            "shape": _shape(parameter["schema"]),
            "is_required": parameter["required"],
            "description": parameter.get("description", ""),
        }
        for parameter in operation["parameters"]
    ]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    inputs += [
        {
            "name": name,
            "place": "body",
            "shape": _shape(field),
            "is_required": name in schema.get("required", ()),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]
    return inputs


def _answers(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return an operation's answers, the common ones in place of the references to them."""
    common = document["components"]["responses"]
    return {
        code: common[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for code, answer in operation["responses"].items()
    }


def _schema(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    content = answer.get("content", {})
    schema: Mapping[str, Any] = content.get("application/json", {}).get("schema", {})
    return schema


def _shape(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        words = [_shape(one) for one in schema["anyOf"] if one.get("type") != "null" and one.get("const") != ""]
        return words[0] if words else ""
    if schema.get("type") == "array":
        return f"list of {_shape(schema['items'])}"
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"] if one != "")
    return str(schema.get("type", ""))


def _example(operation: Mapping[str, Any]) -> str:
    """Return the answer's example as indented JSON; empty where the answer is no JSON."""
    for code, answer in operation["responses"].items():
        if code.startswith("2") and "example" in answer.get("content", {}).get("application/json", {}):
            example = answer["content"]["application/json"]["example"]
            return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
    return ""
