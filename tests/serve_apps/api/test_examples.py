"""Every body and parameter in the API's description has an example that its own schema accepts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator, FormatChecker

from tests.serve_apps.api.test_routes import list_operations

pytestmark = pytest.mark.db

CODE = re.compile(r"`([a-z_]+)`: ")
NOTHING_SAID = {"text", "string"}


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """Lend the description as clients read it."""
    return json.loads(json.dumps(app.openapi()))


def list_examples(part: dict[str, Any]) -> list[Any]:
    """Return the examples of a body or a parameter, one or several."""
    assert ("example" in part) != ("examples" in part), "one way of saying it"
    if "example" in part:
        return [part["example"]]
    return [example["value"] for example in part["examples"].values()]


def check_examples(document: dict[str, Any], where: str, part: dict[str, Any]) -> None:
    """Refuse a body or parameter without an example, or with one that its schema refuses."""
    assert "example" in part or "examples" in part, f"{where}: no example"
    schema = {**part["schema"], "components": document["components"]}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    examples = list_examples(part)
    assert examples, f"{where}: no example"
    for example in examples:
        problems = [
            f"{error.json_path}: {error.message}" for error in validator.iter_errors(example)
        ]
        assert not problems, f"{where}: {problems}"
        assert not NOTHING_SAID & set(list_texts(example)), f"{where}: {example}"


def list_texts(value: Any) -> list[str]:
    """Return every text within an example."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in list_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in list_texts(item)]
    return [value] if isinstance(value, str) else []


def test_every_body_and_parameter_has_an_example_that_fits(document: dict[str, Any]):
    checked = 0
    for where, operation in list_operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for kind, content in body.get("content", {}).items():
                check_examples(document, f"{where} {name} {kind}", content)
                checked += 1
        for parameter in operation.get("parameters", []):
            check_examples(document, f"{where} ?{parameter['name']}", parameter)
            checked += 1
    assert checked > 250


def test_every_schema_accepts_its_own_examples(document: dict[str, Any]):
    checked = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            check_examples(document, name, {"schema": schema, "example": example})
            checked += 1
    assert checked > 25


def test_every_answer_but_an_empty_one_has_a_body(document: dict[str, Any]):
    for where, operation in list_operations(document):
        for status, answer in operation["responses"].items():
            is_empty = status in {"204", "307"}
            assert bool(answer.get("content")) != is_empty, (where, status)


def test_refusals_show_each_of_their_codes(document: dict[str, Any]):
    for where, operation in list_operations(document):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, where
            told = set(CODE.findall(answer["description"]))
            assert told, (where, status)
            assert {example["error"] for example in list_examples(content)} == told, where


def test_answers_that_take_something_back_do_not_show_it_given(document: dict[str, Any]):
    def read(path: str, method: str, status: str = "200") -> Any:
        answer = document["paths"][path][method]["responses"][status]
        return answer["content"]["application/json"]["example"]

    assert read("/v1/posts/{post_id}/like", "post")["liked"] is True
    assert read("/v1/posts/{post_id}/like", "delete")["liked"] is False
    assert read("/v1/users/{username}/follow", "delete")["is_following"] is False
    assert read("/v1/admin/users/{username}/ban", "delete")["banned_at"] is None
    assert read("/v1/live", "post", "201")["status"] == "created"
    assert read("/v1/live/{live_id}/end", "post")["status"] == "ended"


def test_routes_that_may_be_repeated_say_how(document: dict[str, Any]):
    operation = document["paths"]["/v1/posts"]["post"]
    assert [p["name"] for p in operation["parameters"] if p["in"] == "header"] == [
        "Idempotency-Key"
    ]
    told = operation["responses"]["409"]["content"]["application/json"]["examples"]
    assert "idempotency_key_reused" in told
