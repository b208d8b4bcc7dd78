"""JSON Schema: what is wrong is named field by field, and no schema takes for ever."""

import time
from typing import Any

import pytest

from baas.kernel.problems import Invalid
from documents.schemas import Validator


def errors(schema: Any, document: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        Validator(schema).check(document)
    assert refused.value.code == "schema_violation"
    return {(error.field, error.code) for error in refused.value.errors}


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        ({"required": ["a", "b"]}, {"a": 1}, {("b", "required")}),
        (
            {"properties": {"o": {"items": {"required": ["k"]}}}},
            {"o": [{"k": 1}, {}]},
            {("o[1].k", "required")},
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "b": 2, "c": 3},
            {("b", "additionalProperties"), ("c", "additionalProperties")},
        ),
        (
            {"properties": {"a": {"type": "string"}, "b": {"maximum": 5}}},
            {"a": 1, "b": 6},
            {("a", "type"), ("b", "maximum")},
        ),
        ({"properties": {"at": {"format": "email"}}}, {"at": "x"}, {("at", "format")}),
        ({"properties": {"at": {"format": "date-time"}}}, {"at": "x"}, {("at", "format")}),
        ({"properties": {"at": {"pattern": "^a+$"}}}, {"at": "b"}, {("at", "pattern")}),
        (
            {"properties": {"at": {"properties": {"$date": {"format": "date-time"}},
                                   "required": ["$date"]}}},
            {"at": {}},
            {("at.$date", "required")},
        ),
        (False, {}, {("", "falseSchema")}),
    ],
)  # fmt: skip
def test_each_wrong_field_is_named(
    schema: Any, document: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert errors(schema, document) == expected


def test_fifty_errors_are_enough() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    with pytest.raises(Invalid) as refused:
        Validator(schema).check({f"f{n}": n for n in range(200)})
    assert len(refused.value.errors) == 50


def doubling(levels: int) -> dict[str, Any]:
    """Each part asks the next one twice."""
    parts: dict[str, Any] = {
        f"p{n}": {"allOf": [{"$ref": f"#/$defs/p{n + 1}"}, {"$ref": f"#/$defs/p{n + 1}"}]}
        for n in range(levels)
    }
    return {"$defs": {**parts, f"p{levels}": {"type": "object"}}, "$ref": "#/$defs/p0"}


def doubling_inside(levels: int) -> dict[str, Any]:
    """The same, one level of the document deeper each time."""
    parts: dict[str, Any] = {
        f"p{n}": {"allOf": [{"properties": {"c": {"$ref": f"#/$defs/p{n + 1}"}}}] * 2}
        for n in range(levels)
    }
    return {"$defs": {**parts, f"p{levels}": {"type": "object"}}, "$ref": "#/$defs/p0"}


@pytest.mark.parametrize(
    "schema",
    [
        5,
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1/x"},
        {"$ref": "other.json"},
        {"$ref": "#/$defs/none"},
        {"properties": {"a": {"$id": "http://example.com/x"}}},
        {"pattern": "("},
        {"pattern": "(a{1,500}){500}"},
        {"pattern": r"(a)\1"},
        {"description": "x" * 200_000},
        {"properties": {f"f{n}": {"type": "string"} for n in range(3000)}},
        doubling(40),
        doubling_inside(40),
    ],
)
def test_it_refuses_what_is_no_schema_or_cannot_be_bounded(schema: Any) -> None:
    with pytest.raises(Invalid) as refused:
        Validator(schema)
    assert refused.value.code == "invalid_schema"
    assert refused.value.errors[0].field == "schema"


TREE = {
    "$defs": {
        "node": {
            "properties": {
                "left": {"$ref": "#/$defs/node"},
                "right": {"$ref": "#/$defs/node"},
                "value": {"type": "integer"},
            },
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
# Each level may be either of two: of a wrong document there are more reasons than atoms.
EITHER = {
    "$defs": {
        "node": {
            "anyOf": [
                {"properties": {"c": {"$ref": "#/$defs/node"}}, "required": ["x"]},
                {"properties": {"c": {"$ref": "#/$defs/node"}}, "required": ["y"]},
            ]
        }
    },
    "$ref": "#/$defs/node",
}
AGAIN = {"items": {"$ref": "#"}, "allOf": [{"properties": {"c": {"$ref": "#"}}}] * 3}


def chain(depth: int, end: Any) -> dict[str, Any]:
    found = end
    for _ in range(depth):
        found = {"c": found}
    return {"c": found}


def test_schemas_that_contain_themselves_are_fine() -> None:
    Validator(TREE).check({"left": {"right": {"value": 1}}, "right": {}})
    assert errors(TREE, {"left": {"right": {"value": "x"}}}) == {("left.right.value", "type")}
    Validator({"$ref": "#"}).check({"a": 1})
    assert errors(EITHER, {"z": 1}) == {("", "anyOf")}


@pytest.mark.parametrize("schema", [EITHER, AGAIN])
def test_no_document_makes_a_schema_take_for_ever(schema: Any) -> None:
    began = time.process_time()
    validator = Validator(schema)
    for end in ({"x": 1}, {}, 5, [[{}]]):
        try:
            validator.check(chain(90, end))
        except Invalid as refused:
            assert refused.code == "schema_violation"  # noqa: PT017 - either is right
    assert time.process_time() - began < 20


def test_a_pattern_takes_no_longer_than_its_text() -> None:
    began = time.process_time()
    assert errors({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 50_000 + "!"})
    assert time.process_time() - began < 20
