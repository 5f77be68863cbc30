"""The OpenAPI 3.1 document, made from the route table: what is served is what is documented.

Shapes follow https://spec.openapis.org/oas/v3.1.1. Nothing is written here by hand that a route says already.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec

from services.gateway.auth import Open
from services.gateway.errors import ErrorBody
from services.gateway.parameters import NoParameters
from services.gateway.routing import MAX_IDEMPOTENCY_KEY, Route
from services.gateway.schemas import REF, Schema, components, example_of, input_fields, required_fields, schema_of
from services.gateway.scopes import SCOPES

BODY_FORMS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
SECURITY = "oauth2"

DESCRIPTION = (
    "Kodama speaks the Mastodon client API. Friendship is symmetric: following somebody asks for friendship, and followers, "
    "following and friends are the same members. Every route answers with and without a trailing slash; bodies may be JSON, "
    "form or multipart, and a GET may carry its parameters in a body too. Unknown parameters are ignored. What does not exist "
    "and what the caller may not see answer alike."
)

NOT_MODIFIED = 304
_SENTENCES: Mapping[int, str] = {
    NOT_MODIFIED: "Nothing has changed since.",
    400: "The request cannot be read.",
    401: "The access token is missing, unknown or revoked.",
    403: "The token's scopes do not cover this, or the caller may not do it.",
    404: "There is no such thing, or the caller may not see it.",
    409: "A concurrent change got in the way, or a request with this Idempotency-Key is still running.",
    413: "The body is too large.",
    415: "The body has a form that is not read here.",
    422: "A field is wrong; it is named. Or the state does not allow it.",
    429: "A rate limit is used up; Retry-After says for how many seconds.",
    431: "The headers are too large.",
    503: "A part of the network does not answer; Retry-After says when to try again.",
}
_RETRIED = (429, 503)

_RATE_HEADERS: Mapping[str, Schema] = {
    "X-RateLimit-Limit": {"description": "How many requests the tightest limit allows.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "How many of them are left.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {
        "description": "When they are all there again.",
        "schema": {"type": "string", "format": "date-time"},
    },
}
_LINK = {
    "description": 'Absolute addresses of the pages below (rel="next") and above (rel="prev").',
    "schema": {"type": "string"},
}
_RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}

# The struct of an answer → where what it names is found by its id.
_FOUND_AT: Mapping[str, str] = {
    "Account": "/api/v1/accounts/{id}",
    "BlogEntry": "/api/v1/blogs/{id}",
    "Comment": "/api/v1/blogs/comments/{id}",
    "Draft": "/api/v1/blogs/drafts/{id}",
    "Relationship": "/api/v1/accounts/{id}",
    "Status": "/api/v1/statuses/{id}",
}


def make_document(table: Iterable[Route], base_url: str) -> dict[str, Any]:
    """Return the document that describes a route table which is reached at an address."""
    rows = list(table)
    types = [ErrorBody, *(kind for route in rows for kind in _answer_types(route))]
    schemas = components(types)
    paths: dict[str, dict[str, Any]] = {}
    for route in rows:
        paths.setdefault(documented_path(route), {})[route.method.lower()] = _operation(route, schemas)
    _link(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kodama",
            "version": version("kodama"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in rows)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {SECURITY: _security_scheme(base_url)},
            "responses": _failures(rows, schemas),
            "headers": {**_RATE_HEADERS, "Link": _LINK, "Retry-After": _RETRY_AFTER},
        },
    }


def documented_path(route: Route) -> str:
    """Return a route's path as OpenAPI writes it, without Starlette's converters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)


def operation_id(route: Route) -> str:
    """Return the name of a route that code generators use."""
    return re.sub(r"\W+", "_", f"{route.method.lower()}{documented_path(route)}").strip("_")


def _answer_types(route: Route) -> list[Any]:
    kinds = (route.response, route.refusal, *route.answers.values())
    return [kind for kind in kinds if kind is not None]


def _security_scheme(base_url: str) -> Schema:
    scopes = {scope: _scope_meaning(scope) for scope in sorted(SCOPES)}
    return {
        "type": "oauth2",
        "description": "A bearer token: Authorization: Bearer <token>.",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{base_url}/oauth/authorize",
                "tokenUrl": f"{base_url}/oauth/token",
                "scopes": scopes,
            },
            "clientCredentials": {"tokenUrl": f"{base_url}/oauth/token", "scopes": scopes},
        },
    }


def _scope_meaning(scope: str) -> str:
    verb, _, what = scope.partition(":")
    if verb == "follow":
        return "Read and change friendships, blocks and mutes."
    return f"{'Read' if verb == 'read' else 'Change'} {what or 'everything'}."


def _operation(route: Route, schemas: Mapping[str, Schema]) -> Schema:
    has_body = route.method in ("POST", "PUT", "PATCH") and route.params is not NoParameters
    operation: Schema = {
        "operationId": operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": _description(route),
        "security": _security(route),
        "parameters": [
            *_path_parameters(route),
            *([] if has_body else _query_parameters(route.params)),
            *(_write_headers() if route.method in WRITES and route.policy is not Open.PUBLIC else []),
        ],
    }
    if has_body:
        operation["requestBody"] = (
            _upload_body(route, schemas) if route.takes_files else _request_body(route.params, schemas)
        )
    operation["responses"] = _responses(route, schemas)
    return operation


def _description(route: Route) -> str:
    text = " ".join((inspect.getdoc(route.handler) or f"{route.summary}.").split())
    if isinstance(route.policy, str):
        return f"{text} Needs a member's token with the scope `{route.policy}`."
    return text


def _security(route: Route) -> list[Schema]:
    if route.policy is Open.PUBLIC:
        return []
    if isinstance(route.policy, Open):
        return [{SECURITY: []}]
    return [{SECURITY: [route.policy]}]


def _path_parameters(route: Route) -> list[Schema]:
    names = re.findall(r"\{(\w+)\}", documented_path(route))
    shapes: Mapping[str, Schema] = {
        "id": {"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["115520304050607080"]},
        "handle": {"type": "string", "pattern": "^[A-Za-z0-9_]{1,30}$", "examples": ["hana"]},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": shapes.get(name, {"type": "string", "minLength": 1})}
        for name in names
    ]


def _query_parameters(params: type[msgspec.Struct]) -> list[Schema]:
    required = required_fields(params)
    parameters: list[Schema] = []
    for name, schema in input_fields(params, in_query=True).items():
        is_list = any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))
        shape = next((one for one in schema.get("anyOf", []) if one.get("type") == "array"), schema)
        parameter: Schema = {
            "name": f"{name}[]" if is_list else name,
            "in": "query",
            "required": name in required,
            "schema": shape if is_list else schema,
        }
        if "description" in schema:
            parameter["description"] = schema["description"]
        if is_list:
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    return parameters


def _write_headers() -> list[Schema]:
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key with the same request takes effect once, and answers the same again.",
            "schema": {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY},
        }
    ]


def _request_body(params: type[msgspec.Struct], schemas: Mapping[str, Schema]) -> Schema:
    fields, required = input_fields(params, in_query=False), required_fields(params)
    schema: Schema = {"type": "object", "properties": fields}
    if required:
        schema["required"] = required
    if params.__doc__:
        schema["description"] = " ".join(params.__doc__.split())
    shown = list(dict.fromkeys([*required, *list(fields)[:3]]))
    example = {name: example_of(fields[name], schemas, name) for name in shown}
    form = {"schema": _form_schema(schema)}
    return {
        "required": bool(required),
        "content": {
            kind: ({"schema": schema, "example": example} if kind == BODY_FORMS[0] else form) for kind in BODY_FORMS
        },
    }


def _upload_body(route: Route, schemas: Mapping[str, Schema]) -> Schema:
    params = route.params
    file: Schema = {"type": "string", "format": "binary", "description": "A file; a part with a file name."}
    fields = {**dict.fromkeys(route.takes_files, file), **input_fields(params, in_query=False)}
    required = [*(route.takes_files if route.needs_file else ()), *required_fields(params)]
    schema: Schema = {"type": "object", "properties": fields, "required": required}
    if params.__doc__:
        schema["description"] = " ".join(params.__doc__.split())
    with_files: Schema = {"multipart/form-data": {"schema": _form_schema(schema)}}
    if route.needs_file:
        return {"required": True, "content": with_files}
    without = _request_body(params, schemas)
    return {**without, "content": {**without["content"], **with_files}}


def _form_schema(schema: Schema) -> Schema:
    """Return the schema of a form: lists are spelled `name[]`, and nothing is null."""
    properties: dict[str, Schema] = {}
    for name, field in schema["properties"].items():
        alternatives = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        lists = [one for one in alternatives if one.get("type") == "array"]
        is_text = any(one.get("type") == "string" and "pattern" not in one for one in alternatives)
        shapes = lists if lists and not is_text else alternatives
        kept = {key: value for key, value in field.items() if key in ("description", "default")}
        properties[f"{name}[]" if shapes is lists else name] = {
            **kept,
            **(shapes[0] if len(shapes) == 1 else {"anyOf": shapes}),
        }
    return {**schema, "properties": properties}


def _responses(route: Route, schemas: Mapping[str, Schema]) -> Schema:
    responses: Schema = {str(route.success): _answer(route, route.summary, route.response, schemas, is_good=True)}
    for code in _error_codes(route):
        responses[str(code)] = {"$ref": f"#/components/responses/{_failure_name(route, code)}"}
    for code, kind in route.answers.items():
        responses[str(code)] = _answer(
            route, _SENTENCES.get(code, route.summary), kind, schemas, is_good=code < 400, has_body=code != NOT_MODIFIED
        )
    return responses


def _error_codes(route: Route) -> list[int]:
    codes = [400, 413, 415, 422, 429, 431, 503]
    if route.policy is not Open.PUBLIC or route.tag == "oauth":  # clients authenticate in ways of their own there
        codes.extend((401, 403, 404))
    elif "{" in route.path or route.params is not NoParameters:
        codes.append(404)
    if route.method in WRITES:
        codes.append(409)
    return sorted(codes)


def _answer(
    route: Route, words: str, kind: Any, schemas: Mapping[str, Schema], *, is_good: bool, has_body: bool = True
) -> Schema:
    answer: Schema = {"description": words, "headers": _headers(route, is_good=is_good)}
    if kind is not None:
        schema = schema_of(kind)
        answer["content"] = {"application/json": {"schema": schema, "example": example_of(schema, schemas)}}
    elif route.media_type and has_body:
        answer["content"] = {route.media_type: {"schema": {"type": "string"}}}
    return answer


def _failure_name(route: Route, code: int) -> str:
    """Return the name of the common answer that a route gives with an error code."""
    if code == 422 and route.refusal is not ErrorBody:
        return f"{route.refusal.__name__}{code}"
    return f"{'Page' if route.response is None else 'Error'}{code}"


def _failures(rows: Iterable[Route], schemas: Mapping[str, Schema]) -> Schema:
    """Return every answer that says what went wrong, by name."""
    return {
        _failure_name(route, code): _failure(route, code, schemas) for route in rows for code in _error_codes(route)
    }


def _failure(route: Route, code: int, schemas: Mapping[str, Schema]) -> Schema:
    kind = route.refusal if code == 422 else ErrorBody
    schema = schema_of(kind)
    example = example_of(schema, schemas)
    if kind is ErrorBody:
        example = {"error": _SENTENCES[code], "error_description": _SENTENCES[code]}
    content: Schema = {"application/json": {"schema": schema, "example": example}}
    if route.response is None:
        content["text/html"] = {"schema": {"type": "string"}}
    headers: Schema = {}
    if code in _RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return {"description": _SENTENCES[code], "headers": headers, "content": content}


def _headers(route: Route, *, is_good: bool) -> Schema:
    if route.tag == "pages":
        return {}
    names = [*_RATE_HEADERS, *(["Link"] if is_good and _is_paged(route) else [])]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _is_paged(route: Route) -> bool:
    return any(field.encode_name == "max_id" for field in msgspec.structs.fields(route.params))


def _link(paths: Mapping[str, dict[str, Any]]) -> None:
    """Say of each answer that names one thing which routes go on from there."""
    prefix = REF.format(name="")
    for methods in paths.values():
        for operation in methods.values():
            content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").removeprefix(prefix)
            home = _FOUND_AT.get(name)
            if home is None:
                continue
            operation["responses"]["200"]["links"] = {
                target["operationId"]: {
                    "operationId": target["operationId"],
                    "parameters": {"id": "$response.body#/id"},
                }
                for path, others in paths.items()
                if path == home or path.startswith(f"{home}/")
                for target in others.values()
            }
