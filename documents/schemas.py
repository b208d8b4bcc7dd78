"""JSON Schema (2020-12) of a collection's documents."""

from typing import Any, Final, NoReturn

import jsonschema_rs

from baas.kernel.problems import FieldError, Invalid

MAX_ERRORS: Final = 50


class Validator:
    """Checks documents against a schema. Raises Invalid `invalid_schema` for what is no schema."""

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict | bool):
            raise _invalid_schema("a schema is a JSON object")
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=True, retriever=_refuse_remote
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise _invalid_schema(str(error).splitlines()[0]) from error

    def check(self, user_fields: dict[str, Any]) -> None:
        """Raises Invalid `schema_violation` with one error for each field that is wrong."""
        if self._validator.is_valid(user_fields):
            return
        errors: list[FieldError] = []
        for error in self._validator.iter_errors(user_fields):
            errors.append(
                FieldError(_dotted(error.instance_path), error.kind.name, error.message[:300])
            )
            if len(errors) == MAX_ERRORS:
                break
        raise Invalid(
            "The document does not match the collection's schema:"
            f" {errors[0].field or 'document'}: {errors[0].detail}",
            code="schema_violation",
            errors=errors,
        )


def _dotted(path: list[str | int]) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in path
    ).removeprefix(".")


def _refuse_remote(uri: str) -> NoReturn:
    raise ValueError(f"{uri}: a schema cannot refer to other addresses")


def _invalid_schema(detail: str) -> Invalid:
    return Invalid(
        f"`schema` is no JSON Schema: {detail}",
        code="invalid_schema",
        errors=[FieldError("schema", "invalid_schema", detail)],
    )
