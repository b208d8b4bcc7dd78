"""Fields by name, also names with dots."""

from collections.abc import Mapping
from typing import Final

from documents.expressions import ast
from documents.expressions.code import Code, call
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.functions import function


def _get_field(compiler: Compiler, arguments: Arguments) -> Code:
    field, input = arguments
    given = ast.Path(ast.CURRENT, ()) if input is None else input
    return Code(
        call("documents_get_field", compiler.json(field), compiler.json(given)), optional=True
    )


OPERATORS: Final[Mapping[str, Operator]] = {
    "$getField": _get_field,
    "$setField": function("documents_set_field"),
    "$unsetField": function("documents_unset_field"),
}
