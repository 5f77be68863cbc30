"""JSON Schemas of what routes take and answer, made from the structs that they really use."""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from services.gateway.parameters import FLAGS

REF = "#/components/schemas/{name}"

Schema = dict[str, Any]

_FLAG: Schema = {"anyOf": [{"type": "boolean"}, {"enum": [0, 1, *FLAGS]}]}
_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$"}

# What clients find in fields of these names; everything else is shown by its type.
_SHOWN: Mapping[str, object] = {
    "access_token": "p3QzLkV0aE9yYmVuT2ZFY2hvZXM",
    "acct": "hana",
    "avatar": "https://kodama.example/avatars/7301.svg",
    "client_id": "41",
    "code": "c2luZ2xlLXVzZQ",
    "content": "<p>おはよう</p>",
    "created_at": "2026-04-01T09:00:00.000Z",
    "display_name": "Hana",
    "email": "hana@example.org",
    "error": "There is no such status.",
    "error_description": "There is no such status.",
    "grant_type": "client_credentials",
    "id": "115520304050607080",
    "locale": "ja",
    "name": "A client",
    "client_name": "A client",
    "password": "correct horse battery staple",
    "redirect_uris": "urn:ietf:wg:oauth:2.0:oob",
    "scope": "read write follow",
    "scopes": "read write follow",
    "status": "おはよう",
    "text": "おはよう",
    "title": "First entry",
    "url": "https://kodama.example/@hana/115520304050607080",
    "username": "hana",
}


def components(types: Iterable[Any]) -> dict[str, Schema]:
    """Return the schemas of everything that these types of answers consist of, by name.

    An answer has every field that its struct has, and no other, so that what is not in the contract is noticed.
    """
    wanted = list(types)
    _, schemas = msgspec.json.schema_components(wanted, ref_template=REF)
    for struct in _structs(wanted):
        name = _component_name(struct)
        fields = msgspec.structs.fields(struct)
        schemas[name]["required"] = [
            field.encode_name
            for field in fields
            if not struct.__struct_config__.omit_defaults and msgspec.UnsetType not in _parts(field.type)
        ] or schemas[name].get("required", [])
        schemas[name]["additionalProperties"] = False
        schemas[name]["description"] = " ".join(str(schemas[name].get("description", "")).split())
        if not schemas[name]["required"]:
            del schemas[name]["required"]
    return schemas


def schema_of(answer: Any) -> Schema:
    """Return the schema of one answer; structs in it are references to the components."""
    return _reference(answer)


def _reference(answer: Any) -> Schema:
    (schema,), _ = msgspec.json.schema_components([answer], ref_template=REF)
    return dict(schema)


def _component_name(struct: Any) -> str:
    return str(_reference(struct)["$ref"]).rpartition("/")[2]


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [part for alternative in get_args(annotation) for part in _parts(alternative)]
    return [annotation]


def _structs(types: Iterable[Any]) -> list[Any]:
    """Return every struct that types consist of, each once."""
    found: dict[Any, None] = {}
    waiting = list(types)
    while waiting:
        for part in _parts(waiting.pop()):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                if part not in found:
                    found[part] = None
                    waiting.extend(field.type for field in msgspec.structs.fields(part))
            else:
                waiting.extend(get_args(part))
    return list(found)


def input_fields(params: type[msgspec.Struct], *, in_query: bool) -> dict[str, Schema]:
    """Return the schema of each parameter in the spellings that clients may use.

    Numbers and flags are taken as text as well, one element for a list of one, and in a body null for what is left out.
    """
    (reference,), schemas = msgspec.json.schema_components([params], ref_template=REF)
    properties = schemas[str(reference["$ref"]).rpartition("/")[2]]["properties"]
    optional = {field.encode_name: not field.required for field in msgspec.structs.fields(params)}
    return {
        name: _lenient(_inline(schema, schemas), is_optional=optional[name], in_query=in_query)
        for name, schema in properties.items()
    }


def required_fields(params: type[msgspec.Struct]) -> list[str]:
    """Return the names without which there is an error."""
    return [field.encode_name for field in msgspec.structs.fields(params) if field.required]


def _inline(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        return _inline(schemas[str(schema["$ref"]).rpartition("/")[2]], schemas)
    inlined = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in inlined:
        inlined["properties"] = {name: _inline(inner, schemas) for name, inner in inlined["properties"].items()}
    if "anyOf" in inlined:
        inlined["anyOf"] = [_inline(inner, schemas) for inner in inlined["anyOf"]]
    if "items" in inlined:
        inlined["items"] = _inline(inlined["items"], schemas)
    return inlined


def _lenient(schema: Schema, *, is_optional: bool, in_query: bool) -> Schema:
    default = {"default": schema["default"]} if schema.get("default") not in (None, "") else {}
    alternatives = [inner for inner in schema.get("anyOf", [schema]) if inner.get("type") != "null"]
    described = {key: inner["description"] for inner in alternatives for key in ("description",) if key in inner}
    spellings = [spelling for inner in alternatives for spelling in _spellings(inner)]
    takes_text = any(spelling.get("type") == "string" and "pattern" not in spelling for spelling in spellings)
    if is_optional and not takes_text:
        spellings.append({"const": ""})
    if is_optional and not in_query:
        spellings.append({"type": "null"})
    return {**described, **default, **(spellings[0] if len(spellings) == 1 else {"anyOf": spellings})}


def _spellings(schema: Schema) -> list[Schema]:
    plain = {key: value for key, value in schema.items() if key not in ("description", "default")}
    match plain.get("type"):
        case "boolean":
            return list(_FLAG["anyOf"])
        case "integer":
            return [plain, _DIGITS]
        case "array":
            elements = _spellings(plain["items"])
            items = elements[0] if len(elements) == 1 else {"anyOf": elements}
            return [plain | {"items": items}, *(elements if _is_number(plain["items"]) else [])]
    return [plain]


def _is_number(schema: Schema) -> bool:
    return schema.get("type") == "integer"


def example_of(schema: Schema, schemas: Mapping[str, Schema], name: str = "") -> Any:
    """Return a value that a schema allows, as a reader would expect to see it."""
    if "$ref" in schema:
        return example_of(schemas[str(schema["$ref"]).rpartition("/")[2]], schemas, name)
    if "default" in schema:
        return schema["default"]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, name)
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            properties = {key: inner for key, inner in schema.get("properties", {}).items() if key in required}
            return {key: example_of(inner, schemas, key) for key, inner in properties.items()}
        case "array":
            return [example_of(schema["items"], schemas, name)]
        case "string":
            return _text_example(schema, name)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
    words = [word for word in schema.get("enum", ()) if word != ""]
    return schema.get("const", "public" if "public" in words else next(iter(words), None))


def _text_example(schema: Schema, name: str) -> str:
    shown = str(_SHOWN.get(name, "1" if "pattern" in schema else "…"))
    return shown[: schema.get("maxLength", len(shown))]
