"""Arrays as sets: doubles count once, the order is that of first appearance."""

from collections.abc import Mapping
from typing import Final

from documents.expressions.compiler import Operator
from documents.expressions.functions import function, variadic

OPERATORS: Final[Mapping[str, Operator]] = {
    "$setEquals": variadic("documents_set_equals", "boolean"),
    "$setIntersection": variadic("documents_set_intersection"),
    "$setUnion": variadic("documents_set_union"),
    "$setDifference": function("documents_set_difference"),
    "$setIsSubset": function("documents_set_is_subset", "boolean"),
}
