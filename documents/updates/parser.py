"""From the body of an update to its tree. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from baas.kernel.problems import Malformed
from documents import values
from documents.query.problems import unsupported
from documents.updates import arguments, array_filters, limits, paths
from documents.updates.ast import (
    ElementTest,
    MergePatch,
    Operation,
    Operators,
    Path,
    Rename,
    Update,
)
from documents.updates.problems import invalid_update

_FIRST: Final = "$setOnInsert"


def parse(body: Any, filters: Any = None, *, by_filter: bool = False) -> Update:
    """Update operators, or a merge patch when no key begins with `$`.

    An update `by_filter` may name elements with `$` and, by the array filters, with `$[x]`.
    Raises Malformed `unsupported_operator` or `invalid_query`, Invalid `invalid_update`,
    `invalid_field_name` or `invalid_value`.
    """
    if isinstance(body, list):
        raise unsupported("an array of stages", "update")
    if not isinstance(body, dict):
        raise Malformed("An update is a JSON object.")
    known = array_filters.parse(filters)
    operators = [key for key in body if key.startswith("$")]
    if not operators:
        _check_used(known, set())
        return MergePatch(values.normalise(body))
    if len(operators) < len(body):
        plain = next(key for key in body if not key.startswith("$"))
        raise invalid_update(plain, "a field stands beside update operators: put it into $set")
    operations = tuple(_operations(body, by_filter))
    taken, used = paths.Taken(), set()
    for operation in operations:
        taken.add(operation.path)
        if isinstance(operation.change, Rename):
            taken.add(operation.change.source)
        used |= {paths.identifier(step) for step in operation.path if step.startswith("$[")}
    _check_used(known, used - {None})
    return Operators(operations, known)


def _operations(body: dict[str, Any], by_filter: bool) -> Iterator[Operation]:
    for name, members in body.items():
        if name != _FIRST and name not in arguments.PARSERS:
            raise unsupported(name, "update")
        if not isinstance(members, dict):
            raise invalid_update(name, "it takes an object of fields")
        for field, argument in members.items():
            path = paths.parse(field, by_filter=by_filter)
            parse_argument = arguments.PARSERS["$set" if name == _FIRST else name]
            change = parse_argument(field, path, argument)
            if isinstance(change, Rename):
                # The target is the path: `path` is where the value comes from.
                path = paths.parse(argument, by_filter=False)
                _check_rename(path, change)
            weight = len(field) + limits.size(argument) if paths.has_elements(path) else 0
            yield Operation(path, change, name == _FIRST, weight)


def _check_rename(target: Path, change: Rename) -> None:
    for path in (target, change.source):
        if paths.has_elements(path):
            raise invalid_update(".".join(path), "$rename does not reach into arrays")
    if target == change.source:
        raise invalid_update(".".join(target), "$rename takes another name than the field has")


def _check_used(filters: Mapping[str, ElementTest], used: set[Any]) -> None:
    for name in filters.keys() - used:
        raise invalid_update(f"$[{name}]", f"no path uses the array filter {name!r}")
    for name in used - filters.keys():
        raise invalid_update(f"$[{name}]", f"there is no array filter for {name!r}")
