"""Operators that are calls of one function of the database."""

from collections.abc import Sequence
from typing import Any, LiteralString

from documents.expressions.code import MISSING, Code, Kind, array, call, json_literal
from documents.expressions.compiler import Arguments, Compiler, Operator


class Absent:
    """No value for an argument that was not given: the function gets NULL."""


ABSENT = Absent()


def function(
    name: LiteralString,
    kind: Kind = "json",
    *,
    optional: bool = False,
    defaults: Sequence[Any] = (),
) -> Operator:
    """The arguments as jsonb in their places; `defaults` are those of the last places."""

    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        given = [None if node is None else compiler.json(node) for node in arguments]
        first_default = len(given) - len(defaults)
        texts = []
        for place, text in enumerate(given):
            if text is None:
                default = defaults[place - first_default] if place >= first_default else ABSENT
                text = MISSING.text if default is ABSENT else json_literal(default)
            texts.append(text)
        return Code(call(name, *texts), kind, optional=optional)

    return compile


def variadic(name: LiteralString, kind: Kind = "json", *, optional: bool = False) -> Operator:
    """All arguments as one jsonb[]."""

    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        return Code(call(name, array(compiler.all_json(arguments))), kind, optional=optional)

    return compile
