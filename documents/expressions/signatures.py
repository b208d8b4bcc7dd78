"""The operators that take arguments in places or by name, and how many."""

from dataclasses import dataclass
from typing import Final, TypeAlias

UNBOUNDED: Final = 2000


@dataclass(frozen=True, slots=True)
class Positional:
    """`{"$op": [a, b]}`; with one argument also `{"$op": a}`."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Named:
    """`{"$op": {"input": a}}`. The arguments of the call are `required`, then `optional`."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    # The name that an argument has when it stands alone, as in `{"$year": "$at"}`.
    alone: str | None = None
    # The optional arguments are the whole document when they are not given.
    of_root: bool = False


Signature: TypeAlias = Positional | Named

_ONE: Final = Positional(1, 1)
_TWO: Final = Positional(2, 2)
_ANY: Final = Positional(0, UNBOUNDED)
_DATE: Final = Named(("date",), ("timezone",), alone="date")
_N: Final = Named(("n", "input"))
_REPLACE: Final = Named(("input", "find", "replacement"))
_SHIFT: Final = Named(("startDate", "unit", "amount"), ("timezone",))

_BY_SIGNATURE: Final[tuple[tuple[Signature, str], ...]] = (
    (
        _ONE,
        "$abs $ceil $floor $sqrt $exp $ln $log10 $not $strLenBytes $strLenCP $toLower $toUpper"
        " $first $last $size $isArray $reverseArray $arrayToObject $objectToArray"
        " $allElementsTrue $anyElementTrue $type $toString $toInt $toLong $toDouble $toDecimal"
        " $toBool $toDate $isNumber $binarySize",
    ),
    (
        _TWO,
        "$subtract $divide $mod $pow $log $cmp $eq $ne $gt $gte $lt $lte $split $strcasecmp"
        " $arrayElemAt $in $setDifference $setIsSubset",
    ),
    (_ANY, "$add $multiply $and $or $concat $concatArrays $setIntersection $setUnion"),
    (_ANY, "$sum $avg $min $max $stdDevPop $stdDevSamp $mergeObjects"),
    (Positional(2, UNBOUNDED), "$ifNull $setEquals"),
    (Positional(1, 2), "$round $trunc"),
    (Positional(2, 3), "$slice $range"),
    (Positional(3, 3), "$substr $substrBytes $substrCP"),
    (Positional(2, 4), "$indexOfBytes $indexOfCP $indexOfArray"),
    (Named(("input",), ("chars",)), "$trim $ltrim $rtrim"),
    (_REPLACE, "$replaceOne $replaceAll"),
    (_N, "$firstN $lastN $maxN $minN"),
    (Named(("inputs",), ("useLongestLength", "defaults")), "$zip"),
    (Named(("field",), ("input",), alone="field", of_root=True), "$getField"),
    (Named(("field", "input", "value")), "$setField"),
    (Named(("field", "input")), "$unsetField"),
    (Named(("input", "to"), ("onError", "onNull")), "$convert"),
    (
        _DATE,
        "$year $month $dayOfMonth $dayOfYear $dayOfWeek $isoDayOfWeek $isoWeek $isoWeekYear"
        " $week $hour $minute $second $millisecond",
    ),
    (Named(("date",), ("format", "timezone", "onNull")), "$dateToString"),
    (
        Named(("dateString",), ("format", "timezone", "onError", "onNull")),
        "$dateFromString",
    ),
    (Named(("date",), ("timezone", "iso8601")), "$dateToParts"),
    (_SHIFT, "$dateAdd $dateSubtract"),
    (
        Named(("startDate", "endDate", "unit"), ("timezone", "startOfWeek")),
        "$dateDiff",
    ),
    (
        Named(("date", "unit"), ("binSize", "timezone", "startOfWeek")),
        "$dateTrunc",
    ),
    (Positional(0, 0), "$rand"),
)  # fmt: skip

SIGNATURES: Final[dict[str, Signature]] = {
    name: signature for signature, names in _BY_SIGNATURE for name in names.split()
}
