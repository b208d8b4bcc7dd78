"""Parsing of `$group` and the stages that are made of it. Pure."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any, Final

from baas.kernel.problems import Invalid
from documents import expressions, values
from documents.aggregation import names
from documents.aggregation.ast import Accumulator, BucketAuto, Group, SortBy
from documents.aggregation.problems import invalid, unsupported
from documents.query import order, sort

MAX_FIELDS: Final = 500
MAX_BUCKETS: Final = 1000
MAX_N: Final = 10_000  # of $firstN and its like
_PLAIN: Final = frozenset(
    {"$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet", "$stdDevPop",
     "$stdDevSamp", "$mergeObjects"}
)  # fmt: skip
_COUNTED: Final = frozenset({"$firstN", "$lastN", "$minN", "$maxN"})
_ORDERED: Final = frozenset({"$top", "$bottom", "$topN", "$bottomN"})


def parse_group(spec: Any, variables: Collection[str]) -> Group:
    """`{"_id": expression, "total": {"$sum": expression}}`. Raises Malformed."""
    if not isinstance(spec, Mapping) or "_id" not in spec:
        raise invalid("$group takes an object with the expression to group by as _id", "$group")
    return Group(
        expressions.parse(spec["_id"], variables=frozenset(variables), where="$group._id"),
        _accumulators({k: v for k, v in spec.items() if k != "_id"}, variables, "$group"),
    )


def parse_sort_by_count(spec: Any, variables: Collection[str]) -> tuple[Group, SortBy]:
    _check_computed(spec, "$sortByCount")
    by = expressions.parse(spec, variables=frozenset(variables), where="$sortByCount")
    counted = (("count", Accumulator("count", None)),)
    return Group(by, counted), SortBy(sort.parse({"count": -1}))


def parse_bucket(spec: Any, variables: Collection[str]) -> tuple[Group, SortBy]:
    """A group by the bucket's lower boundary, in the order of the boundaries."""
    where = "$bucket"
    by = _members(spec, where, {"groupBy", "boundaries"}, {"default", "output"})["groupBy"]
    _check_computed(by, where)
    boundaries = spec["boundaries"]
    if not isinstance(boundaries, list) or not 2 <= len(boundaries) <= MAX_BUCKETS:
        raise invalid(f"boundaries are an array of 2 to {MAX_BUCKETS} constants", where)
    known = [_constant(value, where) for value in boundaries]
    for low, high in pairwise(map(order.text, known)):
        if low >= high or low[0] != high[0]:
            raise invalid("boundaries are of one type and in ascending order", where)
    branches: list[dict[str, Any]] = [
        {"case": {"$and": [{"$gte": ["$$bucketed", {"$literal": low}]},
                           {"$lt": ["$$bucketed", {"$literal": high}]}]},
         "then": {"$literal": low}}
        for low, high in pairwise(known)
    ]  # fmt: skip
    switch: dict[str, Any] = {"branches": branches}
    if "default" in spec:
        default = _constant(spec["default"], where)
        if order.text(known[0]) <= order.text(default) < order.text(known[-1]):
            raise invalid("default lies outside of the boundaries", where)
        switch["default"] = {"$literal": default}
    key = expressions.parse(
        {"$let": {"vars": {"bucketed": by}, "in": {"$switch": switch}}},
        variables=frozenset(variables),
        where=where,
    )
    group = Group(key, _outputs(spec, variables, where))
    return group, SortBy(sort.parse({"_id": 1}))


def parse_bucket_auto(spec: Any, variables: Collection[str]) -> BucketAuto:
    where = "$bucketAuto"
    if isinstance(spec, Mapping) and "granularity" in spec:
        raise unsupported("granularity", where)
    _check_computed(_members(spec, where, {"groupBy", "buckets"}, {"output"})["groupBy"], where)
    buckets = spec["buckets"]
    if isinstance(buckets, bool) or not isinstance(buckets, int) or not 0 < buckets <= MAX_BUCKETS:
        raise invalid(f"buckets is a whole number from 1 to {MAX_BUCKETS}", where)
    by = expressions.parse(spec["groupBy"], variables=frozenset(variables), where=where)
    return BucketAuto(by, buckets, _outputs(spec, variables, where))


def _check_computed(value: Any, where: str) -> None:
    """As in MongoDB these stages take a field or an operator, no constant and no new object."""
    first = next(iter(value), "") if isinstance(value, Mapping) else value
    if not isinstance(first, str) or not first.startswith("$"):
        raise invalid("it takes an expression such as $field", where)


def _members(
    spec: Any, where: str, required: Collection[str], optional: Collection[str]
) -> Mapping[str, Any]:
    if not isinstance(spec, Mapping):
        raise invalid("it takes an object", where)
    for name in required:
        if name not in spec:
            raise invalid(f"{name} is missing", where)
    for name in spec:
        if name not in required and name not in optional:
            raise invalid(f"{name[:60]!r} is not known", where)
    return spec


def _constant(value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and set(value) == {"$literal"}:
        value = value["$literal"]
    elif isinstance(value, str) and value.startswith("$"):
        raise invalid("boundaries and default are constants", where)
    try:
        return values.normalise(value)
    except Invalid as error:
        raise invalid(error.errors[0].detail, where) from error


def _outputs(
    spec: Mapping[str, Any], variables: Collection[str], where: str
) -> tuple[tuple[str, Accumulator], ...]:
    if "output" not in spec:
        return (("count", Accumulator("count", None)),)
    return _accumulators(spec["output"], variables, f"{where}.output")


def _accumulators(
    spec: Any, variables: Collection[str], where: str
) -> tuple[tuple[str, Accumulator], ...]:
    if not isinstance(spec, Mapping):
        raise invalid("it takes an object of accumulators", where)
    if len(spec) > MAX_FIELDS:
        raise invalid(f"it takes {MAX_FIELDS} fields at most", where)
    made = []
    for name, call in spec.items():
        if not names.is_plain(name):
            raise invalid(f"{name[:60]!r} is no field name: empty, with a dot or a $ first", where)
        if not isinstance(call, Mapping) or len(call) != 1:
            raise invalid(f'{name[:60]!r} takes one accumulator, {{"$sum": …}} say', where)
        ((operator, argument),) = call.items()
        made.append((name, _accumulator(operator, argument, variables, f"{where}.{name}"[:100])))
    return tuple(made)


def _accumulator(
    operator: str, argument: Any, variables: Collection[str], where: str
) -> Accumulator:
    known = frozenset(variables)
    name = operator.removeprefix("$")
    if operator == "$count":
        if argument != {}:
            raise invalid("$count takes {}", where)
        return Accumulator(name, None)
    if operator in _PLAIN:
        if isinstance(argument, list):
            raise invalid(f"{operator} of a group takes one expression", where)
        return Accumulator(name, expressions.parse(argument, variables=known, where=where))
    if operator in _COUNTED:
        given = _members(argument, where, {"input", "n"}, ())
        parsed = expressions.parse(given["input"], variables=known, where=where)
        return Accumulator(name, parsed, n=_n(given["n"], where))
    if operator in _ORDERED:
        needed = {"output", "sortBy"} | ({"n"} if operator.endswith("N") else set())
        given = _members(argument, where, needed, ())
        if not isinstance(given["sortBy"], Mapping) or not given["sortBy"]:
            raise invalid('sortBy is an object such as {"at": -1}', where)
        parsed = expressions.parse(given["output"], variables=known, where=where)
        n = _n(given["n"], where) if "n" in needed else None
        return Accumulator(name, parsed, n=n, by=sort.parse(given["sortBy"]))
    raise unsupported(operator, where)


def _n(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_N:
        raise invalid(f"n is a whole number from 1 to {MAX_N}", where)
    return value
