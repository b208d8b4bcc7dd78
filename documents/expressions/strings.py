"""Texts. Case is a matter of ASCII; patterns are those of `$regex` in filters."""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, Kind, call
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.functions import function, variadic
from documents.query import columns


def _regex(name: LiteralString, kind: Kind) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        input, regex = arguments
        assert isinstance(regex, ast.Constant)  # noqa: S101 - the parser says so
        known = regex.value is not None
        pattern = columns.literal(regex.value) if known else sql.SQL("NULL::text")
        return Code(call(name, compiler.json(input), pattern), kind)

    return compile


OPERATORS: Final[Mapping[str, Operator]] = {
    "$concat": variadic("documents_concat", "text"),
    "$substr": function("documents_substr_bytes", "text"),
    "$substrBytes": function("documents_substr_bytes", "text"),
    "$substrCP": function("documents_substr_cp", "text"),
    "$strLenBytes": function("documents_length_bytes", "number"),
    "$strLenCP": function("documents_length_cp", "number"),
    "$toLower": function("documents_lower", "text"),
    "$toUpper": function("documents_upper", "text"),
    "$trim": function("documents_trim", "text"),
    "$ltrim": function("documents_ltrim", "text"),
    "$rtrim": function("documents_rtrim", "text"),
    "$split": function("documents_split"),
    "$indexOfBytes": function("documents_index_of_bytes", "number", defaults=(0, None)),
    "$indexOfCP": function("documents_index_of_cp", "number", defaults=(0, None)),
    "$replaceOne": function("documents_replace_one", "text"),
    "$replaceAll": function("documents_replace_all", "text"),
    "$strcasecmp": function("documents_compare_upper", "number"),
    "$regexMatch": _regex("documents_regex_match", "boolean"),
    "$regexFind": _regex("documents_regex_find", "json"),
    "$regexFindAll": _regex("documents_regex_find_all", "json"),
}
