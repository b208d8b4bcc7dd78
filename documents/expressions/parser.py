"""From an aggregation expression's JSON to the tree. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final

from baas.kernel.problems import Invalid
from documents import values
from documents.expressions import ast
from documents.expressions.ast import Call, Constant, Node, Path
from documents.expressions.problems import invalid, unsupported
from documents.expressions.signatures import SIGNATURES, Named, Positional
from documents.expressions.special import SPECIAL

MAX_NODES: Final = 2000
MAX_DEPTH: Final = 100
MAX_STEPS: Final = 100
# As MongoDB: names of users begin with a small letter (or one beyond ASCII).
_VARIABLE: Final = re.compile(r"[a-z\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]{0,99}")
_SYSTEM: Final = frozenset({ast.ROOT, ast.CURRENT, "NOW"})


def is_variable(name: str) -> bool:
    """Whether it may name one: a letter in lower case first (or one beyond ASCII), as in MongoDB,
    since capitals are its own."""
    return _VARIABLE.fullmatch(name) is not None


def parse(
    expression: Any, variables: frozenset[str] = frozenset(), where: str = "expression"
) -> Node:
    """The tree of an expression that may use `variables` (without `$$`).

    Raises Malformed `invalid_query`, or `unsupported_operator` for an operator that is not known;
    both name `where`.
    """
    return Parser(where, [MAX_NODES], variables, 0).node(expression)


@dataclass(frozen=True, slots=True)
class Parser:
    """One level of an expression. Families of operators that are more than a list use it."""

    where: str
    budget: list[int]  # nodes that are left, for the whole expression
    variables: frozenset[str]
    depth: int

    def node(self, expression: Any) -> Node:
        self._charge(1)
        match expression:
            case str() if expression.startswith("$$"):
                return self._variable(expression)
            case str() if expression.startswith("$"):
                return Path(ast.CURRENT, self.steps(expression, expression[1:]))
            case list():
                return self._array(expression)
            case dict():
                return self._deeper()._document(expression)
        return self.literal(expression)

    def literal(self, value: Any) -> Constant:
        """The value as it is, `$` without a meaning."""
        try:
            return Constant(values.normalise(value))
        except Invalid as error:
            raise self.invalid(error.errors[0].detail) from error

    def fields(
        self, name: str, argument: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The members of an operator's argument, checked by name."""
        if not isinstance(argument, dict):
            raise self.invalid(f"{name} takes an object with {', '.join(required or optional)}")
        for member in argument:
            if member not in required and member not in optional:
                raise self.invalid(f"{name} has no argument {member[:60]!r}")
        for member in required:
            if member not in argument:
                raise self.invalid(f"{name} needs the argument {member!r}")
        return argument

    def variable_name(self, name: Any) -> str:
        if not isinstance(name, str) or not is_variable(name):
            raise self.invalid(f"{str(name)[:60]!r} is no name of a variable, such as 'item'")
        return name

    def within(self, *names: str) -> "Parser":
        """For an expression that also knows these variables."""
        return Parser(self.where, self.budget, self.variables | set(names), self.depth)

    def invalid(self, detail: str) -> Exception:
        return invalid(detail, self.where)

    def _deeper(self) -> "Parser":
        if self.depth >= MAX_DEPTH:
            raise self.invalid(f"the expression is nested deeper than {MAX_DEPTH}")
        return Parser(self.where, self.budget, self.variables, self.depth + 1)

    def _charge(self, cost: int) -> None:
        self.budget[0] -= cost
        if self.budget[0] < 0:
            raise self.invalid(f"the expression has more than {MAX_NODES} parts")

    def _variable(self, text: str) -> Node:
        name, _, rest = text[2:].partition(".")
        steps = self.steps(text, rest) if "." in text else ()
        if name == "REMOVE" and not steps:
            return ast.Missing()
        if name not in self.variables and name not in _SYSTEM:
            raise self.invalid(f"there is no variable {text[:60]!r}")
        return Path(name, steps)

    def steps(self, text: str, path: str) -> tuple[str, ...]:
        """The steps of a dotted path; `text` is what the caller wrote."""
        steps = tuple(path.split("."))
        if (
            "" in steps
            or "\0" in path
            or len(steps) > MAX_STEPS
            or any(step.startswith("$") for step in steps)
        ):
            raise self.invalid(
                f"{text[:100]!r} is no field path: a step is empty or starts with $, or there are"
                f" more than {MAX_STEPS}. A text that begins with $ is written"
                ' {"$literal": "$…"}'
            )
        self._charge(len(steps) // 4)
        return steps

    def _document(self, document: dict[str, Any]) -> Node:
        first = next(iter(document), "")
        if not first.startswith("$"):
            return ast.Object(
                tuple([(self._name(name), self.node(value)) for name, value in document.items()])
            )
        if len(document) > 1:
            raise self.invalid(f"beside the operator {first[:60]!r} stands something else")
        if first in values.EXTENDED:
            return self.literal(document)
        return self._operator(first, document[first])

    def _array(self, expression: list[Any]) -> Node:
        deeper = self._deeper()
        items = [deeper.node(item) for item in expression]
        known = [item.value for item in items if isinstance(item, Constant)]
        return Constant(known) if len(known) == len(items) else ast.Array(tuple(items))

    def _name(self, name: str) -> str:
        if not name or name.startswith("$") or "." in name or "\0" in name:
            raise self.invalid(
                f"{name[:60]!r} is no field name: empty, with a dot or NUL, or starting with $"
                " ($setField makes names with dots)"
            )
        return name

    def _operator(self, name: str, argument: Any) -> Node:
        signature = SIGNATURES.get(name)
        match signature:
            case Positional():
                return self._positional(name, argument, signature)
            case Named():
                return self._named(name, argument, signature)
        special = SPECIAL.get(name)
        if special is None:
            raise unsupported(name, self.where)
        return special(self, argument)

    def _positional(self, name: str, argument: Any, signature: Positional) -> Node:
        if signature.most == 0:
            if argument not in ({}, []):
                raise self.invalid(f"{name} takes no arguments")
            return Call(name, ())
        given = argument if isinstance(argument, list) else [argument]
        if not signature.least <= len(given) <= signature.most:
            least, most = signature.least, signature.most
            wanted = str(least) if least == most else f"{least} or more"
            raise self.invalid(f"{name} takes {wanted} arguments, not {len(given)}")
        arguments: list[Node | None] = [self.node(item) for item in given]
        if signature.most < 5:
            arguments += [None] * (signature.most - len(given))
        return Call(name, tuple(arguments))

    def _named(self, name: str, argument: Any, signature: Named) -> Node:
        if signature.alone is not None and not _is_named(argument):
            if isinstance(argument, list) and name != "$getField":
                if len(argument) != 1:
                    raise self.invalid(f"{name} takes one argument, not {len(argument)}")
                argument = argument[0]
            argument = {signature.alone: argument}
        given = self.fields(name, argument, signature.required, signature.optional)
        names = signature.required + signature.optional
        absent = Path(ast.CURRENT, ()) if signature.of_root else None
        return Call(name, tuple([self.node(given[n]) if n in given else absent for n in names]))


def _is_named(argument: Any) -> bool:
    """Whether `{"date": …}` rather than an expression such as `{"$add": …}`."""
    return isinstance(argument, dict) and not next(iter(argument), "").startswith("$")
