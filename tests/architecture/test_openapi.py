"""The OpenAPI document says of every route what it takes and answers, and nothing that is not so."""

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.responses import Response

from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.openapi import documented_path, make_document, operation_id
from services.gateway.parameters import NoParameters
from services.gateway.routes import TABLE
from services.gateway.routes.documentation import group_operations
from services.gateway.routing import Route


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As clients read it."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(make_document(TABLE, "https://kodama.example")))
    return made


def operation_of(document: dict[str, Any], route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"][documented_path(route)][route.method.lower()]
    return operation


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert documented == {(route.method, documented_path(route)) for route in TABLE}
    assert len({operation_id(route) for route in TABLE}) == len(TABLE)


def test_every_route_says_who_may_call_it(document: dict[str, Any]) -> None:
    for route in TABLE:
        security = operation_of(document, route)["security"]
        if route.policy is Open.PUBLIC:
            assert security == []
        elif isinstance(route.policy, str):
            assert security == [{"oauth2": [route.policy]}]
            assert (
                route.policy
                in document["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]["scopes"]
            )


def test_every_parameter_of_every_route_is_in_it(document: dict[str, Any]) -> None:
    for route in TABLE:
        operation = operation_of(document, route)
        named = {parameter["name"].removesuffix("[]") for parameter in operation["parameters"]}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            body = {name.removesuffix("[]") for name in content["schema"]["properties"]}
            assert body - set(route.takes_files) == {
                field.encode_name for field in msgspec.structs.fields(route.params)
            }
        if "requestBody" not in operation:
            assert {field.encode_name for field in msgspec.structs.fields(route.params)} <= named
        assert ("Idempotency-Key" in named) == (route.method != "GET" and route.policy is not Open.PUBLIC)


def test_every_failure_is_in_it(document: dict[str, Any]) -> None:
    for route in TABLE:
        answers = operation_of(document, route)["responses"]
        assert {"400", "422", "429", "503"} <= set(answers)
        assert ({"401", "403"} <= set(answers)) == (route.policy is not Open.PUBLIC or route.tag == "oauth")
        assert not any(code.startswith("5") and code != "503" for code in answers)
        assert "404" in answers or "{" not in route.path
        assert "409" in answers or route.method == "GET"


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    examples = 0
    bodies = [
        operation.get("requestBody", {}) for methods in document["paths"].values() for operation in methods.values()
    ]
    answers = [
        answer
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
    ]
    for owner in (*bodies, *answers, *document["components"]["responses"].values()):
        for content in owner.get("content", {}).values():
            if "example" in content:
                validator = Draft202012Validator({"components": document["components"], **content["schema"]})
                assert [error.message for error in validator.iter_errors(content["example"])] == []
                examples += 1
    assert examples > len(TABLE)


def test_links_lead_to_operations(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    links = {
        link["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }
    assert {"get_api_v1_statuses_id", "delete_api_v1_statuses_id"} <= links <= known


def test_the_page_shows_every_operation(document: dict[str, Any]) -> None:
    shown = [operation["id"] for operations in group_operations(document).values() for operation in operations]
    assert sorted(shown) == sorted(operation_id(route) for route in TABLE)


class Wish(msgspec.Struct, frozen=True):
    """What is wished for."""

    count: int
    words: list[str] = []
    is_urgent: bool = False


def test_a_new_route_is_documented_by_itself() -> None:
    async def post_wish(call: Call[Wish]) -> Response:
        """Wish for something."""
        raise NotImplementedError

    route = Route(
        method="POST",
        path="/api/v1/wishes/{id}",
        handler=post_wish,
        policy="write:statuses",
        params=Wish,
        response=list[Wish],
        summary="A wish",
        tag="wishes",
    )
    operation = make_document([route], "https://kodama.example")["paths"]["/api/v1/wishes/{id}"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["count"]
    assert {"type": "integer"} in body["properties"]["count"]["anyOf"]
    assert "words[]" in operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert operation["description"].startswith("Wish for something.")
    page = Route(
        method="GET", path="/", handler=post_wish, policy=Open.PUBLIC, params=NoParameters, summary="x", tag="pages"
    )
    assert "requestBody" not in make_document([page], "https://kodama.example")["paths"]["/"]["get"]
