"""`$sum`, `$avg` … as expressions: over their arguments, or over the elements of the only one."""

from collections.abc import Mapping
from typing import Final, LiteralString

from documents.expressions.code import Code, Kind, array, call
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.functions import function


def _over(name: LiteralString, kind: Kind = "json") -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        values = compiler.all_json(arguments)
        if len(values) == 1:
            return Code(call(name, call("documents_spread", values[0])), kind)
        return Code(call(name, array(values)), kind)

    return compile


OPERATORS: Final[Mapping[str, Operator]] = {
    "$sum": _over("documents_sum_of", "number"),
    "$avg": _over("documents_avg_of", "number"),
    "$min": _over("documents_min_of"),
    "$max": _over("documents_max_of"),
    "$stdDevPop": _over("documents_std_dev_pop_of", "number"),
    "$stdDevSamp": _over("documents_std_dev_samp_of", "number"),
    "$mergeObjects": _over("documents_merge"),
    "$firstN": function("documents_first_n"),
    "$lastN": function("documents_last_n"),
    "$maxN": function("documents_max_n"),
    "$minN": function("documents_min_n"),
}
