"""The operators that stand behind a field's name: `{"a": {"$gt": 1}}`. Pure."""

from decimal import Decimal
from typing import Any, Final, Protocol, cast

from documents.geo import parser as geo
from documents.geo.near import without_near
from documents.query import paths, regexes, types
from documents.query.ast import (
    NOTHING,
    And,
    Compare,
    ElemMatch,
    Exists,
    In,
    Mod,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Regex,
    Size,
    Type,
)
from documents.query.operands import is_operators, operand
from documents.query.problems import invalid_query, unsupported

_ORDER: Final = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
# Arguments of an operator that stands beside them.
COMPANIONS: Final = geo.LIMITS | {"$options", "$comment"}
_TOO_LARGE: Final = 10**100


class Reader(Protocol):
    def charge(self, cost: int) -> None: ...
    @property
    def is_inside(self) -> bool: ...
    def field(self, path: Path, value: Any) -> Node: ...
    def element(self, condition: Any) -> tuple[Node, bool]: ...


def stands_alone(name: str, siblings: dict[str, Any]) -> bool:
    """Whether a companion lacks the operator that it belongs to."""
    if name == "$options":
        return "$regex" not in siblings
    if name in geo.LIMITS:
        return "$near" not in siblings and "$nearSphere" not in siblings
    return False


def parse(reader: Reader, path: Path, name: str, argument: Any, siblings: dict[str, Any]) -> Node:
    """Raises Malformed `invalid_query`, or `unsupported_operator` for one that is not known."""
    match name:
        case "$eq":
            return Compare(path, "eq", _value(reader, path, argument))
        case "$ne":
            return Not(Compare(path, "eq", _value(reader, path, argument)))
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _order(path, name, _value(reader, path, argument))
        case "$in":
            return _in(reader, path, name, argument)
        case "$nin":
            return Not(_in(reader, path, name, argument))
        case "$exists":
            # As in MongoDB any number or boolean says it.
            if not isinstance(argument, bool | int):
                raise invalid_query("$exists takes true or false")
            return Exists(path) if argument else Not(Exists(path))
        case "$not":
            if not is_operators(argument):
                raise invalid_query('$not takes operators, such as {"$not": {"$gt": 1}}')
            return Not(without_near(name, reader.field(path, argument)))
        case "$type":
            return Type(path, types.parse(argument))
        case "$regex":
            return _regex(reader, path, siblings)
        case "$mod":
            return _mod(path, argument)
        case "$size":
            return Size(path, _size(argument))
        case "$elemMatch":
            return ElemMatch(path, *reader.element(argument))
        case "$all":
            return _all(reader, path, argument)
        case "$options":
            raise invalid_query("$options needs a $regex")
        case _ if name in geo.OPERATORS and path:
            node = geo.parse(path, name, argument, siblings)
            reader.charge(geo.size(node.test))
            return node
    raise unsupported(name)


def _value(reader: Reader, path: Path, value: Any) -> Any:
    return operand(path, value, at_root=not reader.is_inside)


def _order(path: Path, name: str, value: Any) -> Node:
    if value is None:
        # Null and missing compare with null only, as equal.
        return Compare(path, "eq", None) if name in ("$gte", "$lte") else NOTHING
    return Compare(path, cast(Operator, _ORDER[name]), value)


def _in(reader: Reader, path: Path, name: str, argument: Any) -> Node:
    listed = _list(reader, path, name, argument)
    patterns = [each for each in listed if _is_regex(each)]
    given = [_value(reader, path, each) for each in listed if not _is_regex(each)]
    found: list[Node] = [In(path, tuple(given))] if given or not patterns else []
    found += [_regex(reader, path, pattern) for pattern in patterns]
    return found[0] if len(found) == 1 else Or(tuple(found))


def _all(reader: Reader, path: Path, argument: Any) -> Node:
    listed = _list(reader, path, "$all", argument)
    if not listed:
        return NOTHING
    elements = [isinstance(each, dict) and "$elemMatch" in each for each in listed]
    if any(elements):
        if not all(elements) or any(len(each) > 1 for each in listed):
            raise invalid_query("$all takes values, or $elemMatch conditions only")
        return And(tuple([reader.field(path, each) for each in listed]))
    return And(
        tuple(
            [
                _regex(reader, path, each)
                if _is_regex(each)
                else Compare(path, "eq", _value(reader, path, each))
                for each in listed
            ]
        )
    )


def _list(reader: Reader, path: Path, name: str, argument: Any) -> list[Any]:
    if not isinstance(argument, list):
        raise invalid_query(f"{name} takes an array")
    reader.charge(len(argument) * (1 + paths.cost(path)))
    return argument


def _is_regex(value: Any) -> bool:
    return isinstance(value, dict) and "$regex" in value and set(value) <= {"$regex", "$options"}


def _regex(reader: Reader, path: Path, given: dict[str, Any]) -> Regex:
    found = regexes.parse(path, given["$regex"], given.get("$options", ""))
    reader.charge(5 + len(found.pattern) // 50)
    return found


def _mod(path: Path, argument: Any) -> Node:
    if not isinstance(argument, list) or len(argument) != 2:
        raise invalid_query("$mod takes [divisor, remainder]")
    divisor, remainder = [_whole("$mod", number) for number in argument]
    if divisor == 0:
        raise invalid_query("$mod cannot divide by zero")
    return Mod(path, divisor, remainder)


def _whole(name: str, number: Any) -> int:
    """A number cut to a whole one, as MongoDB does."""
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise invalid_query(f"{name} takes numbers")
    if not -_TOO_LARGE < number < _TOO_LARGE:
        raise invalid_query(f"{name} takes numbers of at most 100 digits")
    return int(number)


def _size(argument: Any) -> int:
    size = _whole("$size", argument)
    if size != argument or size < 0:
        raise invalid_query("$size takes a whole number from 0")
    return size
