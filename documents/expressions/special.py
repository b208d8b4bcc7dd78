"""Operators whose arguments are more than a list: they name variables, or have branches."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from baas.kernel.problems import Malformed
from documents.expressions import ast
from documents.expressions.ast import Call, Constant, Node
from documents.expressions.problems import unsupported
from documents.query import regexes

if TYPE_CHECKING:
    from documents.expressions.parser import Parser

# A day of $dateFromParts is one or the other; the first part must be there.
_CALENDAR_DATE: Final = ("year", "month", "day")
_WEEK_DATE: Final = ("isoWeekYear", "isoWeek", "isoDayOfWeek")
_CLOCK: Final = ("hour", "minute", "second", "millisecond", "timezone")


def _literal(parser: "Parser", argument: Any) -> Node:
    return parser.literal(argument)


def _cond(parser: "Parser", argument: Any) -> Node:
    if isinstance(argument, list):
        if len(argument) != 3:
            raise parser.invalid(f"$cond takes 3 arguments, not {len(argument)}")
        given = dict(zip(("if", "then", "else"), argument, strict=True))
    else:
        given = parser.fields("$cond", argument, ("if", "then", "else"))
    branch = (parser.node(given["if"]), parser.node(given["then"]))
    return ast.Switch((branch,), parser.node(given["else"]))


def _switch(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$switch", argument, ("branches",), ("default",))
    branches = given["branches"]
    if not isinstance(branches, list) or not branches:
        raise parser.invalid("$switch takes an array of branches, not an empty one")
    parsed = []
    for branch in branches:
        members = parser.fields("a branch of $switch", branch, ("case", "then"))
        parsed.append((parser.node(members["case"]), parser.node(members["then"])))
    default = parser.node(given["default"]) if "default" in given else None
    return ast.Switch(tuple(parsed), default)


def _let(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$let", argument, ("vars", "in"))
    if not isinstance(given["vars"], dict):
        raise parser.invalid("the vars of $let are an object")
    variables = tuple(
        [(parser.variable_name(name), parser.node(value)) for name, value in given["vars"].items()]
    )
    names = [name for name, _ in variables]
    return ast.Let(variables, parser.within(*names).node(given["in"]))


def _map(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$map", argument, ("input", "in"), ("as",))
    name = parser.variable_name(given.get("as", "this"))
    return ast.Map(parser.node(given["input"]), name, parser.within(name).node(given["in"]))


def _filter(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$filter", argument, ("input", "cond"), ("as", "limit"))
    name = parser.variable_name(given.get("as", "this"))
    return ast.Filter(
        parser.node(given["input"]),
        name,
        parser.within(name).node(given["cond"]),
        parser.node(given["limit"]) if "limit" in given else None,
    )


def _reduce(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$reduce", argument, ("input", "initialValue", "in"))
    return ast.Reduce(
        parser.node(given["input"]),
        parser.node(given["initialValue"]),
        parser.within("value", "this").node(given["in"]),
    )


def _sort_array(parser: "Parser", argument: Any) -> Node:
    given = parser.fields("$sortArray", argument, ("input", "sortBy"))
    by = given["sortBy"]
    fields = by if isinstance(by, dict) else {"": by}
    if not fields:
        raise parser.invalid("sortBy of $sortArray names a field or a direction")
    parsed = []
    for field, direction in fields.items():
        if isinstance(direction, bool) or direction not in (1, -1):
            raise parser.invalid("a direction of $sortArray is 1 or -1")
        whole = not isinstance(by, dict)
        parsed.append(((() if whole else parser.steps(field, field)), 1 if direction > 0 else -1))
    return ast.SortArray(parser.node(given["input"]), tuple(parsed))  # type: ignore[arg-type]


def _date_from_parts(parser: "Parser", argument: Any) -> Node:
    iso = isinstance(argument, dict) and "isoWeekYear" in argument
    day = _WEEK_DATE if iso else _CALENDAR_DATE
    given = parser.fields("$dateFromParts", argument, day[:1], (*day[1:], *_CLOCK))
    parts = (*_CALENDAR_DATE, *_WEEK_DATE, *_CLOCK)
    return Call(
        "$dateFromParts", tuple([parser.node(given[p]) if p in given else None for p in parts])
    )


def _regex(name: str) -> Callable[["Parser", Any], Node]:
    def parse(parser: "Parser", argument: Any) -> Node:
        given = parser.fields(name, argument, ("input", "regex"), ("options",))
        regex = parser.node(given["regex"])
        options = parser.node(given.get("options"))
        if not isinstance(regex, Constant) or not isinstance(options, Constant):
            raise unsupported(f"{name} with a computed pattern", parser.where)
        if regex.value is not None:
            try:
                pattern = regexes.parse(("input",), regex.value, options.value or "")
            except Malformed as problem:
                raise parser.invalid(problem.errors[0].detail) from problem
            for_postgres = regexes.for_postgres if name == "$regexMatch" else regexes.with_groups
            regex = Constant(for_postgres(pattern.pattern, pattern.options))
        return Call(name, (parser.node(given["input"]), regex))

    return parse


SPECIAL: Final[dict[str, Callable[["Parser", Any], Node]]] = {
    "$literal": _literal,
    "$cond": _cond,
    "$switch": _switch,
    "$let": _let,
    "$map": _map,
    "$filter": _filter,
    "$reduce": _reduce,
    "$sortArray": _sort_array,
    "$dateFromParts": _date_from_parts,
    **{name: _regex(name) for name in ("$regexMatch", "$regexFind", "$regexFindAll")},
}
