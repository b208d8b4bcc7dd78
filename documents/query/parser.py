"""From a MongoDB filter document to the tree. Pure."""

from typing import Any, Final, cast

from baas.kernel.problems import Invalid
from documents import values
from documents.geo import parser as geo
from documents.geo.near import near_of
from documents.query import paths, text
from documents.query.ast import EVERYTHING, And, Compare, Exists, In, Node, Not, Operator, Or, Path
from documents.query.problems import invalid_query, unsupported

_DATES: Final = frozenset({"_createdAt", "_updatedAt"})
_ORDER: Final = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
MAX_NODES: Final = 2000


def parse(filter: Any) -> Node:
    """The tree of a filter.

    Raises Malformed `invalid_query`, or `unsupported_operator` for an operator that is not known.
    """
    if filter is None:
        return EVERYTHING
    budget = [MAX_NODES]
    node = _document(filter, budget)
    near_of(node)  # raises when there are two
    return node


def _document(filter: Any, budget: list[int]) -> Node:
    if not isinstance(filter, dict):
        raise invalid_query("a filter is a JSON object")
    _charge(budget, len(filter) + 1)
    parts: list[Node] = []
    for key, value in filter.items():
        match key:
            case "$and":
                parts.append(And(_branches(key, value, budget)))
            case "$or":
                parts.append(Or(_alternatives(key, value, budget)))
            case "$nor":
                parts.append(Not(Or(_alternatives(key, value, budget))))
            case "$comment":
                continue
            case "$text":
                parts.append(text.parse(value))
            case _ if key.startswith("$"):
                raise unsupported(key)
            case _:
                path = paths.parse(key)
                _charge(budget, _cost(path))
                parts.append(_field(path, value, budget))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _charge(budget: list[int], cost: int) -> None:
    budget[0] -= cost
    if budget[0] < 0:
        raise invalid_query(
            f"the filter has more than {MAX_NODES} conditions, or many with very long paths"
        )


def _cost(path: Path) -> int:
    """What a path costs beyond a condition's own: its steps stand in the statement again and
    again, in a test for null as often as it has steps."""
    return sum(map(len, path)) * len(path) // 200


def _branches(key: str, value: Any, budget: list[int]) -> tuple[Node, ...]:
    if not isinstance(value, list) or not value:
        raise invalid_query(f"{key} takes an array of filters, not an empty one")
    return tuple([_document(branch, budget) for branch in value])


def _alternatives(key: str, value: Any, budget: list[int]) -> tuple[Node, ...]:
    return tuple([_without_near(key, branch) for branch in _branches(key, value, budget)])


def _field(path: Path, value: Any, budget: list[int]) -> Node:
    if not _is_operators(value):
        return Compare(path, "eq", _operand(path, value))
    _charge(budget, (len(value) - 1) * (1 + _cost(path)))
    parts = [
        _operator(path, name, argument, budget) for name, argument in geo.folded(value).items()
    ]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _is_operators(value: Any) -> bool:
    """Whether `{"$gt": 1}` rather than a value to be equal to, such as `{"$date": "…"}`."""
    if not isinstance(value, dict) or not value:
        return False
    first = next(iter(value))
    if not first.startswith("$") or first in values.EXTENDED:
        return False
    for key in value:
        if not key.startswith("$"):
            raise invalid_query(f"operators and the field {key[:60]!r} stand side by side")
    return True


def _operator(path: Path, name: str, argument: Any, budget: list[int]) -> Node:
    match name:
        case "$eq":
            return Compare(path, "eq", _operand(path, argument))
        case "$ne":
            return Not(Compare(path, "eq", _operand(path, argument)))
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _order(path, name, _operand(path, argument))
        case "$in":
            return In(path, _operands(path, name, argument, budget))
        case "$nin":
            return Not(In(path, _operands(path, name, argument, budget)))
        case "$exists":
            # As in MongoDB any number or boolean says it.
            if not isinstance(argument, bool | int):
                raise invalid_query("$exists takes true or false")
            return Exists(path) if argument else Not(Exists(path))
        case "$not":
            if not _is_operators(argument):
                raise invalid_query('$not takes operators, such as {"$not": {"$gt": 1}}')
            return Not(_without_near(name, _field(path, argument, budget)))
        case _ if name in geo.OPERATORS:
            node = geo.parse(path, name, argument)
            _charge(budget, geo.size(node.test))
            return node
    raise unsupported(name)


def _without_near(name: str, node: Node) -> Node:
    if near_of(node) is not None:
        raise invalid_query(f"$near cannot stand inside of {name}")
    return node


def _order(path: Path, name: str, operand: Any) -> Node:
    if operand is None:
        # Null and missing compare with null only, as equal.
        return Compare(path, "eq", None) if name in ("$gte", "$lte") else Or(())
    if isinstance(operand, list) or (isinstance(operand, dict) and not values.is_date(operand)):
        raise invalid_query(f"{name} does not take an array or an object")
    return Compare(path, cast(Operator, _ORDER[name]), operand)


def _operands(path: Path, name: str, argument: Any, budget: list[int]) -> tuple[Any, ...]:
    if not isinstance(argument, list):
        raise invalid_query(f"{name} takes an array")
    _charge(budget, len(argument) * (1 + _cost(path)))
    return tuple([_operand(path, value) for value in argument])


def _operand(path: Path, value: Any) -> Any:
    """A value to compare with, in the form that documents store."""
    if len(path) == 1 and path[0] in _DATES and isinstance(value, str):
        value = {"$date": value}
    if isinstance(value, dict) and len(value) > 0:
        first = next(iter(value))
        if first.startswith("$") and first not in values.EXTENDED:
            raise unsupported(first)
    try:
        return values.normalise(value)
    except Invalid as error:
        raise invalid_query(error.errors[0].detail) from error
