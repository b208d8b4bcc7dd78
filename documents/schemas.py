"""JSON Schema (2020-12) of a collection's documents."""

from collections.abc import Iterator
from typing import Any, Final, NoReturn

import jsonschema_rs
import orjson

from baas.kernel.problems import FieldError, Invalid
from documents.schema_costs import Costs, TooComplex

MAX_ERRORS: Final = 50
MAX_CHARACTERS: Final = 128 * 1024
# How often a part of a document may be looked at: by a schema at all, and to name what is wrong.
MAX_LOOKS: Final = 10_000.0
# Patterns run in time that grows with the text only, whatever they are; this bounds their memory.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


class Validator:
    """Checks documents against a schema. Raises Invalid `invalid_schema` for what is no schema."""

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict | bool):
            raise _invalid_schema("a schema is a JSON object")
        if len(orjson.dumps(schema, default=str)) > MAX_CHARACTERS:
            raise _invalid_schema(f"it has more than {MAX_CHARACTERS} characters")
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema,
                validate_formats=True,
                retriever=_refuse_remote,
                pattern_options=_PATTERNS,
            )
            self._costs = Costs(schema)
        except (ValueError, jsonschema_rs.ValidationError, TooComplex) as error:
            raise _invalid_schema(str(error).splitlines()[0]) from error
        if self._costs.at_once() > MAX_LOOKS:
            raise _invalid_schema(
                "it is too complex: parts that are referred to again and again would be checked"
                " too often"
            )

    def check(self, user_fields: dict[str, Any]) -> None:
        """Raises Invalid `schema_violation` with one error for each field that is wrong."""
        if self._validator.is_valid(user_fields):
            return
        errors = list(self._errors(user_fields))
        raise Invalid(
            "The document does not match the collection's schema:"
            f" {errors[0].field or 'document'}: {errors[0].detail}",
            code="schema_violation",
            errors=errors,
        )

    def _errors(self, user_fields: dict[str, Any]) -> Iterator[FieldError]:
        if self._costs.at_depth(_depth(user_fields)) > MAX_LOOKS:
            # With alternatives inside alternatives the reasons are too many to look for.
            yield FieldError("", "schema", "it matches none of the alternatives")
            return
        count = 0
        for error in self._validator.iter_errors(user_fields):
            for found in _field_errors(error):
                yield found
                count += 1
                if count == MAX_ERRORS:
                    return


def _field_errors(error: jsonschema_rs.ValidationError) -> Iterator[FieldError]:
    """One for each field: for what is missing or too much the field itself is named."""
    code, detail = error.kind.name, error.message[:300]
    given = error.kind.as_dict()
    if code == "required":
        yield FieldError(_dotted([*error.instance_path, given["property"]]), code, detail)
    elif code in ("additionalProperties", "unevaluatedProperties"):
        for name in given["unexpected"]:
            path = _dotted([*error.instance_path, name])
            yield FieldError(path, code, "this field is not in the schema")
    else:
        yield FieldError(_dotted(error.instance_path), code, detail)


def _dotted(path: list[str | int]) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in path
    ).removeprefix(".")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _refuse_remote(uri: str) -> NoReturn:
    raise ValueError(f"{uri}: a schema cannot refer to other addresses")


def _invalid_schema(detail: str) -> Invalid:
    return Invalid(
        f"`schema` is no JSON Schema: {detail}",
        code="invalid_schema",
        errors=[FieldError("schema", "invalid_schema", detail)],
    )
