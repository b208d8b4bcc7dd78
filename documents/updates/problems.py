from baas.kernel.problems import FieldError, Invalid


def invalid_update(field: str, detail: str) -> Invalid:
    """An update that makes no sense, or none for the stored document."""
    return Invalid(
        f"The update cannot be done at {field!r}: {detail}.",
        code="invalid_update",
        errors=[FieldError(field, "invalid_update", detail)],
    )
