"""`$add` to `$trunc`: exact decimals, null when an operand is null or missing."""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from documents.expressions import ast, numbers
from documents.expressions.code import Code, call, constant
from documents.expressions.compiler import Arguments, Compiler, Operator


def _inline(operator: str) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        if len(arguments) < 2:
            return _few(compiler, operator, arguments)
        if numbers.is_numeric(ast.Call(operator, arguments)):
            return Code(numbers.arithmetic(compiler, operator, arguments, "strict"), "number")
        made = numbers.general(compiler, operator, arguments)
        short = numbers.quick(compiler, operator, arguments)
        if short is None:
            return Code(made)
        return Code(sql.SQL("CASE WHEN {} THEN to_jsonb({}) ELSE {} END").format(*short, made))

    return compile


def _few(compiler: Compiler, operator: str, arguments: Arguments) -> Code:
    if not arguments:
        return constant(0 if operator == "$add" else 1)
    made = numbers.general(compiler, operator, arguments)
    return Code(made) if operator == "$add" else Code(made, "number")


def _unary(function: LiteralString) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        (argument,) = arguments
        assert argument is not None  # noqa: S101 - the signature says so
        return Code(call(function, numbers.numeric(compiler, argument)), "number")

    return compile


def _binary(function: LiteralString, default: int = 0) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        first, second = arguments
        other = compiler.json(ast.Constant(default) if second is None else second)
        return Code(call(function, compiler.json(first), other), "number")

    return compile


def _random(compiler: Compiler, arguments: Arguments) -> Code:
    return Code(sql.SQL("random()::numeric"), "number")


OPERATORS: Final[Mapping[str, Operator]] = {
    **{name: _inline(name) for name in numbers.INLINE},
    "$abs": _unary("abs"),
    "$ceil": _unary("ceil"),
    "$floor": _unary("floor"),
    "$sqrt": _unary("documents_sqrt"),
    "$exp": _unary("documents_exp"),
    "$ln": _unary("documents_ln"),
    "$log10": _unary("documents_log10"),
    "$pow": _binary("documents_pow"),
    "$log": _binary("documents_log"),
    "$round": _binary("documents_round"),
    "$trunc": _binary("documents_trunc"),
    "$rand": _random,
}
