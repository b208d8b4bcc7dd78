"""Fields by name, also names with dots."""

from collections.abc import Mapping
from typing import Final

from documents.expressions.compiler import Operator
from documents.expressions.functions import function

OPERATORS: Final[Mapping[str, Operator]] = {
    "$getField": function("documents_get_field", optional=True),
    "$setField": function("documents_set_field"),
    "$unsetField": function("documents_unset_field"),
}
