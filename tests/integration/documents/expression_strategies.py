"""Random expressions that mostly make sense: each is built for the type of value it gives.

A few read a field of another type, so that refusals are met too. Numbers are small or exact in
binary, because the oracle counts in doubles.
"""

from functools import cache
from typing import Any

from hypothesis import strategies as st

DATES = st.sampled_from(
    [
        {"$date": "2024-02-29T13:05:09.123Z"},
        {"$date": "2023-12-31T23:30:00.000Z"},
        {"$date": "2021-01-03T00:00:00.000Z"},
        {"$date": "2024-03-31T01:15:00.500Z"},
    ]
)
NUMBERS = st.one_of(st.integers(-4, 9), st.sampled_from([0.5, 2.25, -1.5, 100]))
TEXTS = st.sampled_from(["", "a", "b", "Ab", "a-b", "x1y22", " pad ", "Zoë", "10"])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, DATES)
ITEMS = st.fixed_dictionaries({}, optional={"k": NUMBERS, "t": TEXTS, "l": st.lists(NUMBERS)})

DOCUMENTS = st.fixed_dictionaries(
    {"n": NUMBERS, "m": NUMBERS, "t": TEXTS, "d": DATES, "l": st.lists(NUMBERS, max_size=4)},
    optional={
        "z": st.none(),
        "b": st.booleans(),
        "x": SCALARS,
        "e": DATES,
        "s": st.lists(TEXTS, max_size=4),
        "o": ITEMS,
        "items": st.lists(ITEMS, max_size=3),
        "mixed": st.lists(SCALARS, max_size=4),
    },
)


Strategy = st.SearchStrategy[Any]


def _op(name: str, *arguments: Strategy) -> Strategy:
    return st.tuples(*arguments).map(lambda given: {name: list(given)})


def _ops(names: str, *arguments: Strategy) -> list[Strategy]:
    return [_op(name, *arguments) for name in names.split()]


def _each_of(name: str, argument: Strategy) -> Strategy:
    return argument.map(lambda given: {name: given})


def _each(names: str, argument: Strategy) -> list[Strategy]:
    return [_each_of(name, argument) for name in names.split()]


def _named(name: str, **arguments: Strategy) -> Strategy:
    """`into` is `in`, which is a keyword of Python."""
    members = {"in" if key == "into" else key: given for key, given in arguments.items()}
    return st.fixed_dictionaries(members).map(lambda given: {name: given})


_LOOSE = st.one_of(
    st.sampled_from(["$z", "$x", "$nothing", "$o", "$items.k", "$o.k", "$mixed", "$items"]),
    st.none(),
)
_SMALL = st.integers(0, 4)
_UNIT = st.sampled_from(["year", "quarter", "month", "week", "day", "hour", "minute", "second"])
_FIXED = st.sampled_from(["week", "day", "hour", "minute", "second", "millisecond"])
# Days that every month has.
_EARLY = st.sampled_from(
    [{"$date": "2024-02-28T12:00:00.000Z"}, {"$date": "2023-12-01T00:00:00.000Z"}]
)
_ZONE = st.sampled_from(["UTC", "+05:30", "-0300", "America/New_York", "Asia/Shanghai"])
_FORMAT = st.sampled_from(["%Y-%m-%d", "%H:%M:%S.%L", "%j %V", "%d.%m.%Y", "%z %Z"])
_PARTS = (
    "$year $month $dayOfMonth $hour $minute $second $millisecond $dayOfYear $dayOfWeek"
    " $isoDayOfWeek $isoWeek"
)


def expressions(depth: int) -> Strategy:
    """Of any type, with operators at most so deep."""
    return st.one_of(
        number(depth), text(depth), boolean(depth), date(depth), array(depth), document(depth)
    )


@cache
def number(depth: int) -> Strategy:
    plain = st.one_of(st.sampled_from(["$n", "$m"]), NUMBERS, st.sampled_from(["$o.k", "$x", "$z"]))
    if depth == 0:
        return plain
    a, t, d, ns = number(depth - 1), text(depth - 1), date(depth - 1), numbers(depth - 1)
    return st.one_of(
        plain,
        *_ops("$add $subtract $multiply $divide $mod $cmp $sum $avg $max $min", a, a),
        _op("$add", a, a, a),
        *_each("$abs $ceil $floor $sqrt $trunc", a),
        *_ops("$round $trunc", a, st.integers(0, 2)),
        _op("$pow", a, st.integers(0, 3)),
        *_each("$strLenCP $strLenBytes", t),
        *_each("$size $sum $avg $stdDevPop $stdDevSamp", array(depth - 1)),
        *_each("$max $min $first $last", ns),
        _op("$arrayElemAt", ns, st.integers(-3, 3)),
        *_ops("$indexOfCP $indexOfBytes $strcasecmp", t, t),
        _op("$indexOfArray", ns, a),
        *_each(_PARTS, d),
        *[
            _named(name, date=d, timezone=_ZONE)
            for name in ("$year", "$hour", "$dayOfWeek", "$dayOfYear")
        ],
        _named("$dateDiff", startDate=d, endDate=d, unit=_UNIT),
        *_branches(depth, a),
        _named("$let", vars=st.fixed_dictionaries({"i": a}), into=_op("$add", st.just("$$i"), a)),
        _named("$reduce", input=ns, initialValue=a, into=_FOLDS),
        _each_of("$toInt", st.sampled_from(["7", "-3", True, 2.5, "$n"])),
        _each_of("$toLong", d),
    )


_FOLDS = st.sampled_from(
    [
        {"$add": ["$$value", "$$this"]},
        {"$max": ["$$value", "$$this"]},
        {"$subtract": ["$$this", "$$value"]},
    ]
)


@cache
def text(depth: int) -> Strategy:
    plain = st.one_of(st.sampled_from(["$t", "$o.t", "$t"]), TEXTS)
    if depth == 0:
        return plain
    t, d = text(depth - 1), date(depth - 1)
    return st.one_of(
        plain,
        _op("$concat", t, t),
        *_each("$toUpper $toLower", t),
        *_ops("$substrCP $substrBytes", t, _SMALL, _SMALL),
        *[_named(name, input=t) for name in ("$trim", "$ltrim", "$rtrim")],
        _named("$trim", input=t, chars=TEXTS.filter(bool)),
        *[
            _named(name, input=t, find=TEXTS.filter(bool), replacement=t)
            for name in ("$replaceOne", "$replaceAll")
        ],
        _named("$dateToString", date=d, format=_FORMAT, timezone=_ZONE),
        _each_of("$toString", st.one_of(d, st.booleans(), st.integers(-9, 9))),
        _op("$arrayElemAt", st.just("$s"), st.integers(-2, 2)),
        *_branches(depth, t),
    )


@cache
def boolean(depth: int) -> Strategy:
    plain = st.one_of(st.booleans(), st.just("$b"), _LOOSE)
    if depth == 0:
        return plain
    a, ns, any_ = number(depth - 1), numbers(depth - 1), expressions(depth - 1)
    return st.one_of(
        plain,
        *_ops("$eq $ne $gt $gte $lt $lte", a, a),
        *_ops("$eq $ne $gt $gte $lt $lte", any_, any_),
        *_ops("$eq $gt $lt", text(depth - 1), text(depth - 1)),
        *_ops("$and $or", boolean(depth - 1), any_),
        *_ops("$not $isArray", any_),
        _each_of("$isNumber", number(depth - 1)),
        _op("$in", a, ns),
        _op("$in", text(depth - 1), st.lists(TEXTS, max_size=3)),
        *_ops("$setEquals $setIsSubset", ns, ns),
        *_ops("$allElementsTrue $anyElementTrue", array(depth - 1)),
        _named(
            "$regexMatch",
            input=text(depth - 1),
            regex=st.sampled_from(["a", "^a", "[0-9]+$", "(a|b)-?", "^$", "A.?"]),
        ),
    )


@cache
def date(depth: int) -> Strategy:
    plain = st.one_of(st.sampled_from(["$d", "$e"]), DATES)
    if depth == 0:
        return plain
    d = date(depth - 1)
    return st.one_of(
        plain,
        _op("$add", st.just("$d"), st.integers(-(10**9), 10**9)),
        _op("$subtract", st.just("$d"), st.integers(0, 10**9)),
        *[
            _named(name, startDate=start, unit=unit, amount=st.integers(-20, 20))
            for name in ("$dateAdd", "$dateSubtract")
            for start, unit in ((d, _FIXED), (_EARLY, _UNIT))
        ],
        _named("$dateTrunc", date=d, unit=_UNIT),
        _named("$dateTrunc", date=d, unit=_UNIT, binSize=st.integers(1, 5)),
        _named(
            "$dateFromParts",
            year=st.integers(1990, 2030),
            month=st.integers(1, 12),
            day=st.integers(1, 28),
            hour=st.integers(0, 23),
        ),
        *_branches(depth, d),
    )


@cache
def numbers(depth: int) -> Strategy:
    """Arrays of numbers."""
    plain = st.one_of(st.just("$l"), st.lists(NUMBERS, min_size=1, max_size=3).map(_literal))
    if depth == 0:
        return plain
    ns = numbers(depth - 1)
    return st.one_of(
        plain,
        st.lists(number(depth - 1), max_size=3).map(lambda items: {"$concatArrays": [items]}),
        _op("$slice", ns, st.integers(-3, 3).filter(bool)),
        _op("$slice", ns, st.integers(-3, 3), st.integers(1, 3)),
        _op("$concatArrays", ns, ns),
        _each_of("$reverseArray", ns),
        _op("$range", _SMALL, st.integers(-4, 6), st.sampled_from([1, 2, -1])),
        *_ops("$setUnion $setIntersection $setDifference", ns, ns),
        _named(
            "$map",
            input=ns,
            **{"as": st.just("i")},
            into=st.sampled_from(["$$i", {"$multiply": ["$$i", 2]}, {"$add": ["$$i", "$n"]}]),
        ),
        _named(
            "$filter",
            input=ns,
            **{"as": st.just("i")},
            cond=st.sampled_from(["$$i", {"$gt": ["$$i", 0]}, {"$lt": ["$$i", "$n"]}]),
        ),
        _named("$sortArray", input=ns, sortBy=st.sampled_from([1, -1])),
        *[
            _named(name, n=st.integers(1, 3), input=ns)
            for name in ("$firstN", "$lastN", "$maxN", "$minN")
        ],
    )


@cache
def array(depth: int) -> Strategy:
    plain = st.sampled_from(["$s", "$mixed", "$items", "$items.k", "$items.l", "$l"])
    if depth == 0:
        return plain
    return st.one_of(
        plain,
        numbers(depth),
        st.lists(expressions(depth - 1), max_size=3).map(lambda items: {"$concatArrays": [items]}),
        _op("$split", text(depth - 1), st.sampled_from(["-", "a", " "])),
        _each_of("$objectToArray", document(depth - 1)),
        _named("$zip", inputs=st.tuples(numbers(depth - 1), numbers(depth - 1)).map(list)),
        _named(
            "$map",
            input=st.just("$items"),
            into=st.sampled_from(["$$this.k", {"t": "$$this.t"}, {"$ifNull": ["$$this.k", 0]}]),
        ),
        _named(
            "$sortArray", input=st.just("$items"), sortBy=st.sampled_from([{"k": 1}, {"t": -1}])
        ),
    )


@cache
def document(depth: int) -> Strategy:
    plain = st.one_of(st.just("$o"), ITEMS.map(_literal))
    if depth == 0:
        return plain
    any_ = expressions(depth - 1)
    return st.one_of(
        plain,
        st.fixed_dictionaries({"p": any_}, optional={"q": any_}),
        _op("$mergeObjects", document(depth - 1), document(depth - 1)),
        _named("$setField", field=st.just("k"), input=document(depth - 1), value=any_),
        _named("$unsetField", field=st.just("k"), input=document(depth - 1)),
        _each_of("$dateToParts", st.fixed_dictionaries({"date": date(depth - 1)})),
    )


def _branches(depth: int, value: Strategy) -> list[Strategy]:
    return [
        _op("$cond", boolean(depth - 1), value, value),
        _op("$ifNull", _LOOSE, value),
        _op("$ifNull", value, value),
    ]


def _literal(value: Any) -> Any:
    return {"$literal": value}
