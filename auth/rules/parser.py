"""Source text to syntax tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from auth.rules import ast, literals
from auth.rules.catalog import GLOBAL_FUNCTIONS, MACROS, RECEIVER_FUNCTIONS
from auth.rules.errors import RuleError, RuleSyntaxError
from auth.rules.grammar import GRAMMAR

MAX_SOURCE_CHARACTERS: Final = 4096
MAX_NODES: Final = 1000
MAX_DEPTH: Final = 24
MAX_NUMBER_DIGITS: Final = 100

_RESERVED: Final = frozenset(
    {
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
        *("loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


def parse(source: str) -> ast.Node:
    """The tree of a CEL expression.

    Raises RuleSyntaxError where it is not one, uses an unknown function, or is beyond the limits
    (4,096 characters, 1,000 nodes, 24 levels, numbers of 100 digits).
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise RuleSyntaxError(
            f"the rule is longer than {MAX_SOURCE_CHARACTERS} characters", MAX_SOURCE_CHARACTERS
        )
    try:
        root = cast(ast.Node, _grammar().parse(source))
    except UnexpectedInput as error:
        raise _explain(source, error) from None
    nodes = 0
    for node, depth in ast.walk(root):
        nodes += 1
        if depth > MAX_DEPTH:
            raise RuleSyntaxError(
                f"the rule is nested deeper than {MAX_DEPTH} levels", node.position
            )
    if nodes > MAX_NODES:
        raise RuleSyntaxError(f"the rule has more than {MAX_NODES} parts ({nodes})", 0)
    return root


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Build())


def _explain(source: str, error: UnexpectedInput) -> RuleSyntaxError:
    if isinstance(error, UnexpectedCharacters):
        position = error.pos_in_stream or 0
        sign = source[position : position + 1]
        if sign in "\"'":
            return RuleSyntaxError(f"the text that starts at {position} never ends", position)
        hint = {"=": "; equality is ==", "&": "; and is &&", "|": "; or is ||"}.get(sign, "")
        return RuleSyntaxError(f"unexpected {sign!r} at {position}{hint}", position)
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        token = error.token
        position = token.start_pos or 0
        return RuleSyntaxError(f"unexpected {str(token)!r} at {position}", position)
    return RuleSyntaxError("the rule ends in the middle of an expression", len(source))


class _Build(Transformer[Token, ast.Node]):
    """Makes nodes while the parser reduces, so no tree of lark's is ever built."""

    def start(self, parts: list[ast.Node]) -> ast.Node:
        return parts[0]

    def group(self, parts: list[ast.Node]) -> ast.Node:
        return parts[0]

    def choice(self, parts: list[ast.Node]) -> ast.Node:
        condition, then, otherwise = parts
        return ast.Choice(
            condition=condition, then=then, otherwise=otherwise, position=condition.position
        )

    def logic(self, parts: tuple[ast.Node, Token, ast.Node]) -> ast.Node:
        left, token, right = parts
        op: Final = "&&" if token.type == "AND" else "||"
        # (a && b) && c and a && (b && c) are the same chain
        operands = tuple(
            part
            for side in (left, right)
            for part in (
                side.operands if isinstance(side, ast.Logic) and side.op == op else (side,)
            )
        )
        return ast.Logic(op=op, operands=operands, position=left.position)

    def compare(self, parts: tuple[ast.Node, Token, ast.Node]) -> ast.Node:
        left, token, right = parts
        op = cast(ast.Comparison, str(token))
        return ast.Compare(op=op, left=left, right=right, position=left.position)

    def arithmetic(self, parts: tuple[ast.Node, Token, ast.Node]) -> ast.Node:
        left, token, right = parts
        op = cast(ast.Operator, str(token))
        return ast.Arithmetic(op=op, left=left, right=right, position=left.position)

    def negation(self, parts: list[Token | ast.Node]) -> ast.Node:
        node = cast(ast.Node, parts[-1])
        for token in reversed(cast(list[Token], parts[:-1])):
            node = ast.Not(operand=node, position=_at(token))
        return node

    def minus(self, parts: list[Token | ast.Node]) -> ast.Node:
        node = cast(ast.Node, parts[-1])
        for token in reversed(cast(list[Token], parts[:-1])):
            match node:
                case ast.Literal(value=int() | Decimal() as number) if type(number) is not bool:
                    opposite = number.copy_negate() if isinstance(number, Decimal) else -number
                    node = ast.Literal(value=opposite, position=_at(token))
                case _:
                    node = ast.Negate(operand=node, position=_at(token))
        return node

    def selector(self, parts: list[Token]) -> Token:
        return parts[0]

    def select(self, parts: tuple[ast.Node, Token]) -> ast.Node:
        operand, name = parts
        return ast.Select(operand=operand, field=str(name), position=operand.position)

    def index(self, parts: list[ast.Node]) -> ast.Node:
        operand, key = parts
        return ast.Index(operand=operand, key=key, position=operand.position)

    def arguments(self, parts: list[Any]) -> tuple[ast.Node, ...]:
        return (parts[0],) if len(parts) == 1 else (*parts[0], parts[1])

    def receiver_call(self, parts: tuple[ast.Node, Token, tuple[ast.Node, ...] | None]) -> ast.Node:
        operand, name, arguments = parts
        if name in MACROS:
            return _macro(operand, name, arguments or ())
        return _call(RECEIVER_FUNCTIONS, name, (operand, *(arguments or ())))

    def global_call(self, parts: tuple[Token, tuple[ast.Node, ...] | None]) -> ast.Node:
        name, arguments = parts[0], parts[1] or ()
        if name == "has":
            if len(arguments) == 1 and isinstance(arguments[0], ast.Select):
                tested = arguments[0]
                return ast.Has(operand=tested.operand, field=tested.field, position=_at(name))
            raise RuleSyntaxError("has() takes one field, as in has(doc.a)", _at(name))
        if name == "get":
            match arguments:
                case (ast.Literal(value=str() as collection), id_):
                    return ast.Get(collection=collection, id=id_, position=_at(name))
            raise RuleSyntaxError(
                'get() takes a collection written as text and an id, as in get("teams", doc.team)',
                _at(name),
            )
        return _call(GLOBAL_FUNCTIONS, name, arguments)

    def name(self, parts: list[Token]) -> ast.Node:
        token = parts[0]
        if token in _RESERVED:
            raise RuleSyntaxError(f"{token} is a reserved word of CEL", _at(token))
        return ast.Name(name=str(token), position=_at(token))

    def list_of(self, parts: list[Token | tuple[ast.Node, ...] | None]) -> ast.Node:
        items = cast("tuple[ast.Node, ...] | None", parts[1]) or ()
        return ast.ListOf(items=items, position=_at(cast(Token, parts[0])))

    def entry(self, parts: list[ast.Node]) -> tuple[ast.Node, ast.Node]:
        key, value = parts
        return key, value

    def entries(self, parts: list[Any]) -> tuple[tuple[ast.Node, ast.Node], ...]:
        return (parts[0],) if len(parts) == 1 else (*parts[0], parts[1])

    def map_of(self, parts: list[Token | tuple[tuple[ast.Node, ast.Node], ...] | None]) -> ast.Node:
        entries = cast("tuple[tuple[ast.Node, ast.Node], ...] | None", parts[1]) or ()
        return ast.MapOf(entries=entries, position=_at(cast(Token, parts[0])))

    def integer(self, parts: list[Token]) -> ast.Node:
        token = parts[0]
        if len(token) > MAX_NUMBER_DIGITS:
            raise RuleSyntaxError("the number is too long", _at(token))
        return ast.Literal(value=int(token, 0 if "x" in token else 10), position=_at(token))

    def unsigned(self, parts: list[Token]) -> ast.Node:
        token = parts[0]
        return self.integer([token.update(value=token[:-1])])

    def decimal(self, parts: list[Token]) -> ast.Node:
        token = parts[0]
        try:
            value = Decimal(str(token))
        except InvalidOperation:
            value = Decimal("NaN")
        shape = value.as_tuple()
        exponent = shape.exponent if isinstance(shape.exponent, int) else MAX_NUMBER_DIGITS
        if len(token) > MAX_NUMBER_DIGITS or abs(exponent) >= MAX_NUMBER_DIGITS - 1:
            raise RuleSyntaxError("the number is too long", _at(token))
        return ast.Literal(value=value, position=_at(token))

    def string(self, parts: list[Token]) -> ast.Node:
        return _quoted(parts[0], literals.read_text)

    def octets(self, parts: list[Token]) -> ast.Node:
        return _quoted(parts[0], literals.read_bytes)

    def true(self, parts: list[Token]) -> ast.Node:
        return ast.Literal(value=True, position=_at(parts[0]))

    def false(self, parts: list[Token]) -> ast.Node:
        return ast.Literal(value=False, position=_at(parts[0]))

    def null(self, parts: list[Token]) -> ast.Node:
        return ast.Literal(value=None, position=_at(parts[0]))


def _at(token: Token) -> int:
    return token.start_pos or 0


def _quoted(token: Token, read: Callable[[str], str | bytes]) -> ast.Node:
    try:
        return ast.Literal(value=read(str(token)), position=_at(token))
    except (ValueError, UnicodeEncodeError) as error:
        raise RuleSyntaxError(str(error), _at(token)) from error


def _macro(operand: ast.Node, name: Token, arguments: tuple[ast.Node, ...]) -> ast.Node:
    if len(arguments) not in ((2, 3) if name == "map" else (2,)) or not isinstance(
        arguments[0], ast.Name
    ):
        raise RuleSyntaxError(
            f"{name}() takes a variable and an expression, as in doc.items.{name}(x, x > 0)",
            _at(name),
        )
    return ast.Macro(
        macro=cast(ast.MacroName, str(name)),
        operand=operand,
        variable=arguments[0].name,
        condition=arguments[1] if len(arguments) == 3 else None,
        body=arguments[-1],
        position=operand.position,
    )


def _call(known: Mapping[str, int], name: Token, arguments: tuple[ast.Node, ...]) -> ast.Node:
    if name not in known:
        raise RuleError(_unknown_function(str(name), known), _at(name))
    if len(arguments) != known[name]:
        expected = known[name] - (known is RECEIVER_FUNCTIONS)
        given = len(arguments) - (known is RECEIVER_FUNCTIONS)
        raise RuleSyntaxError(
            f"{name}() takes {expected} argument{'s' * (expected != 1)}, not {given}", _at(name)
        )
    return ast.Call(function=str(name), arguments=arguments, position=_at(name))


def _unknown_function(name: str, known: Mapping[str, int]) -> str:
    if name in GLOBAL_FUNCTIONS or name in ("has", "get"):
        return f"{name}() is not called on a value; write {name}(…)"
    if name in RECEIVER_FUNCTIONS or name in MACROS:
        return f"{name}() is called on a value, as in doc.field.{name}(…)"
    close = get_close_matches(name, (*known, *MACROS, "has", "get"), n=1)
    return f"there is no function {name}()" + (f"; did you mean {close[0]}()?" if close else "")
