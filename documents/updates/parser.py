"""From the body of a PATCH to an update. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from baas.kernel.problems import Malformed
from documents import values
from documents.query.problems import unsupported
from documents.updates.ast import Inc, MergePatch, Operation, Path, Push, Set, Unset, Update
from documents.updates.problems import invalid_update


def parse(body: Any) -> Update:
    """Update operators, or a merge patch when no key begins with `$`.

    Raises Malformed `unsupported_operator`, Invalid `invalid_update`, `invalid_field_name` or
    `invalid_value`.
    """
    if not isinstance(body, dict):
        raise Malformed("An update is a JSON object.")
    operators = [key for key in body if key.startswith("$")]
    if not operators:
        return MergePatch(values.normalise(body))
    if len(operators) < len(body):
        plain = next(key for key in body if not key.startswith("$"))
        raise invalid_update(plain, "a field stands beside update operators: put it into $set")
    operations = [
        _operation(name, field, argument)
        for name, arguments in body.items()
        for field, argument in _members(name, arguments)
    ]
    _check_conflicts(operation.path for operation in operations)
    return tuple(operations)


def _members(name: str, arguments: Any) -> Iterable[tuple[str, Any]]:
    if name not in ("$set", "$unset", "$inc", "$push"):
        raise unsupported(name, "update")
    if not isinstance(arguments, dict):
        raise invalid_update(name, "it takes an object of fields")
    return arguments.items()


def _operation(name: str, field: str, argument: Any) -> Operation:
    path = _path(field)
    match name:
        case "$set":
            return Set(path, values.normalise(argument, field))
        case "$unset":
            return Unset(path)
        case "$inc":
            amount = values.normalise(argument, field)
            if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
                raise invalid_update(field, "$inc takes a number")
            return Inc(path, amount)
        case _:
            return Push(path, _pushed(field, argument))


def _pushed(field: str, argument: Any) -> tuple[Any, ...]:
    if not (isinstance(argument, dict) and "$each" in argument):
        return (values.normalise(argument, field),)
    for modifier in argument:
        if modifier != "$each":
            raise unsupported(modifier, "$push")
    items = argument["$each"]
    if not isinstance(items, list):
        raise invalid_update(field, "$each takes an array")
    return tuple([values.normalise(item, field) for item in items])


def _path(field: str) -> Path:
    path = tuple(field.split("."))
    for step in path:
        if step.startswith("$") and len(path) > 1:
            raise unsupported(step, "update path")
        values.check_field_name(step, field)
    if len(path) > 100:
        raise invalid_update(field[:100], "the path has more than 100 steps")
    return path


def _check_conflicts(paths: Iterable[Path]) -> None:
    """No field is changed twice, nor together with what contains it."""
    taken: set[Path] = set()
    above: set[Path] = set()
    for path in paths:
        parents = [path[:end] for end in range(1, len(path))]
        if path in taken or path in above or not taken.isdisjoint(parents):
            raise invalid_update(".".join(path), "another operator changes it or a part of it")
        taken.add(path)
        above.update(parents)
