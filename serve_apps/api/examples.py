"""Examples in the API's description: the routes' and schemas' own, and pages composed of them.

Pure, on OpenAPI as dicts. FastAPI drops every null while it writes the document, also those that
an example shows on purpose; they are put back here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DEPTH_MAX = 8
EXAMPLE_ID = "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11"
JOINTS = ("anyOf", "oneOf", "allOf")

Schema = dict[str, Any]
Schemas = dict[str, Schema]


def add_examples(operation: dict[str, Any], schemas: Schemas) -> None:
    """Give every body and parameter of an operation a complete example."""
    contents = list(operation.get("requestBody", {}).get("content", {}).values())
    for answer in operation.get("responses", {}).values():
        contents += answer.get("content", {}).values()
    for part in [*contents, *operation.get("parameters", [])]:
        if "examples" in part:
            continue
        schema = part["schema"]
        example = part["example"] if "example" in part else compose_example(schema, schemas)
        part["example"] = restore_nulls(example, schema, schemas)


def compose_example(schema: Schema, schemas: Schemas, depth: int = 0) -> Any:
    """Return the schema's own example, else one of its parts'; None where a leaf names none."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return compose_example(_resolve(schema, schemas), schemas, depth + 1)
    if depth > DEPTH_MAX:
        return None
    for joint in JOINTS:
        if joint in schema:
            return compose_example(schema[joint][0], schemas, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {name: compose_example(field, schemas, depth + 1) for name, field in fields.items()}
    if schema.get("type") == "array":
        return [compose_example(schema.get("items", {}), schemas, depth + 1)]
    return EXAMPLE_ID if schema.get("format") == "uuid" else schema.get("default")


def restore_nulls(example: Any, schema: Schema, schemas: Schemas) -> Any:
    """Return the example with null in every required field that it lacks and that may be null."""
    if isinstance(example, list):
        items = schema.get("items", {})
        return [restore_nulls(item, items, schemas) for item in example]
    if not isinstance(example, dict):
        return example
    complete = dict(example)
    for variant in _list_variants(schema, schemas):
        for name, field in variant.get("properties", {}).items():
            if name in complete:
                complete[name] = restore_nulls(complete[name], field, schemas)
            elif name in variant.get("required", ()) and _may_be_null(field, schemas):
                complete[name] = None
    return complete


def _list_variants(schema: Schema, schemas: Schemas) -> Iterator[Schema]:
    """Yield every plain schema that this one refers to or joins."""
    if "$ref" in schema:
        yield from _list_variants(_resolve(schema, schemas), schemas)
    elif joint := next((joint for joint in JOINTS if joint in schema), None):
        for part in schema[joint]:
            yield from _list_variants(part, schemas)
    else:
        yield schema


def _may_be_null(schema: Schema, schemas: Schemas) -> bool:
    return any(variant.get("type") == "null" for variant in _list_variants(schema, schemas))


def _resolve(schema: Schema, schemas: Schemas) -> Schema:
    return schemas[schema["$ref"].rpartition("/")[2]]
