"""What each update operator takes. Pure."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal, cast

from documents import values
from documents.query.problems import unsupported
from documents.updates import array_filters, limits
from documents.updates.ast import (
    AddToSet,
    Change,
    Increase,
    Limit,
    Multiply,
    Now,
    Number,
    Path,
    Pop,
    Pull,
    PullAll,
    Push,
    Rename,
    Set,
    Unset,
)
from documents.updates.problems import invalid_update

# From the field as written, its path and the argument.
Parse = Callable[[str, Path, Any], Change]

_SORT_FIELDS: Final = 8


def _set(field: str, path: Path, argument: Any) -> Change:
    return Set(_value(field, path, argument))


def _value(field: str, path: Path, argument: Any, below: int = 0) -> Any:
    """In the form that is stored; it comes to stand `below` levels under the path."""
    value = values.normalise(argument, field)
    limits.check_depth(field, len(path) + below, value)
    return value


def _unset(field: str, path: Path, argument: Any) -> Change:
    return Unset()


def _inc(field: str, path: Path, argument: Any) -> Change:
    return Increase(_number("$inc", field, argument))


def _mul(field: str, path: Path, argument: Any) -> Change:
    return Multiply(_number("$mul", field, argument))


def _number(name: str, field: str, argument: Any) -> Number:
    amount = values.normalise(argument, field)
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise invalid_update(field, f"{name} takes a number")
    return amount


def _min(field: str, path: Path, argument: Any) -> Change:
    return Limit(_value(field, path, argument), "lower")


def _max(field: str, path: Path, argument: Any) -> Change:
    return Limit(_value(field, path, argument), "higher")


def _rename(field: str, path: Path, argument: Any) -> Change:
    if not isinstance(argument, str):
        raise invalid_update(field, "$rename takes the new name")
    return Rename(path)


def _current_date(field: str, path: Path, argument: Any) -> Change:
    if isinstance(argument, bool) or argument in ({"$type": "date"}, {"$type": "timestamp"}):
        return Now()
    raise invalid_update(field, '$currentDate takes true or {"$type": "date"}')


def _push(field: str, path: Path, argument: Any) -> Change:
    if not (isinstance(argument, dict) and "$each" in argument):
        return Push((_value(field, path, argument, 1),))
    for modifier in argument:
        if modifier not in ("$each", "$slice", "$sort", "$position"):
            raise unsupported(modifier, "$push")
    return Push(
        _each(field, path, argument["$each"]),
        _whole("$position", field, argument),
        _sort(field, argument["$sort"]) if "$sort" in argument else (),
        _whole("$slice", field, argument),
    )


def _each(field: str, path: Path, items: Any) -> tuple[Any, ...]:
    if not isinstance(items, list):
        raise invalid_update(field, "$each takes an array")
    return tuple([_value(field, path, item, 1) for item in items])


def _whole(name: str, field: str, modifiers: dict[str, Any]) -> int | None:
    if name not in modifiers:
        return None
    number = modifiers[name]
    if isinstance(number, bool) or not isinstance(number, int | Decimal) or number != int(number):
        raise invalid_update(field, f"{name} takes a whole number")
    return int(number)


def _sort(field: str, spec: Any) -> tuple[tuple[Path, Literal[1, -1]], ...]:
    by = spec if isinstance(spec, dict) else {"": spec}
    if not by or len(by) > _SORT_FIELDS:
        raise invalid_update(field, f"$sort takes 1 to {_SORT_FIELDS} fields")
    fields: list[tuple[Path, Literal[1, -1]]] = []
    for name, direction in by.items():
        if isinstance(direction, bool) or direction not in (1, -1):
            raise invalid_update(field, '$sort takes 1, -1 or fields such as {"a": 1}')
        path = tuple(name.split(".")) if isinstance(spec, dict) else ()
        if "" in path:
            raise invalid_update(field, "$sort names an empty field")
        fields.append((path, cast(Literal[1, -1], int(direction))))
    return tuple(fields)


def _add_to_set(field: str, path: Path, argument: Any) -> Change:
    if not (isinstance(argument, dict) and "$each" in argument):
        return AddToSet((_value(field, path, argument, 1),))
    for modifier in argument:
        if modifier != "$each":
            raise unsupported(modifier, "$addToSet")
    return AddToSet(_each(field, path, argument["$each"]))


def _pop(field: str, path: Path, argument: Any) -> Change:
    if isinstance(argument, bool) or argument not in (1, -1):
        raise invalid_update(field, "$pop takes 1 or -1")
    return Pop(1 if argument > 0 else -1)


def _pull(field: str, path: Path, argument: Any) -> Change:
    return Pull(array_filters.pulled(argument))


def _pull_all(field: str, path: Path, argument: Any) -> Change:
    if not isinstance(argument, list):
        raise invalid_update(field, "$pullAll takes an array")
    return PullAll(tuple([values.normalise(item, field) for item in argument]))


PARSERS: Final[dict[str, Parse]] = {
    "$set": _set,
    "$unset": _unset,
    "$inc": _inc,
    "$mul": _mul,
    "$min": _min,
    "$max": _max,
    "$rename": _rename,
    "$currentDate": _current_date,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pop": _pop,
    "$pull": _pull,
    "$pullAll": _pull_all,
}
