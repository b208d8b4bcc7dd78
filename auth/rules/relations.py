"""`==`, `in` and the order comparisons in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from auth.rules import values
from auth.rules.fragments import (
    ERROR,
    Fragment,
    as_bool,
    as_json,
    as_number,
    as_span,
    as_text,
    as_time,
    constant,
    json_literal,
    let,
    named,
    shared,
    text_literal,
)

_OPERATORS: Final = {op: sql.SQL(op) for op in ("<", "<=", ">", ">=")}
_TEXT: Final = ("text", "owner")


def equal(left: Fragment, right: Fragment, *, loose: bool) -> Fragment:
    """CEL's `==`. NULL only where a side is an error."""
    if left.constant and right.constant:
        return constant(values.same(left.value, right.value))
    if left.constant:
        left, right = right, left
    # from here on `left` varies
    if left.kind == "owner" and right.kind in ("text", "owner"):
        if loose and right.constant:
            return _bool("({} = {})", left.code, as_text(right))
        if right.constant or right.kind == "owner":
            return _bool("({} IS NOT DISTINCT FROM {})", left.code, as_text(right))
    if left.kind == "owner" and right.constant:
        if right.kind == "json" and right.value is None:
            return _bool("({} IS NULL)", left.code)
        if right.kind not in ("time", "json"):
            return constant(False)
    if "time" in (left.kind, right.kind):
        return _equal_times(left, right, loose=loose)
    if left.kind == right.kind == "span":
        return _bool("({} = {})", as_span(left), as_span(right))
    if "json" in (left.kind, right.kind) or "owner" in (left.kind, right.kind):
        if {left.kind, right.kind} & {"span", "bytes"}:
            return _never(left, right, loose=loose)
        return _bool("({} = {})", as_json(left), as_json(right))
    if left.kind == right.kind:
        convert = {"text": as_text, "number": as_number, "bool": as_bool}[left.kind]
        return _bool("({} = {})", convert(left), convert(right))
    return _never(left, right, loose=loose)


def within(value: Fragment, container: Fragment, *, loose: bool) -> Fragment:
    """CEL's `in`: an item of a list, a key of a map."""
    if container.constant:
        if not isinstance(container.value, list | tuple | Mapping):
            return ERROR
        if value.constant:
            return constant(values.contains(container.value, value.value))
        return _among(value, tuple(container.value), loose=loose)
    if container.kind != "json":
        return ERROR
    if value.constant:
        return _bool("{}", shared(container, lambda v: _holds(v, value)))
    if value.kind in ("time", "span"):
        return _bool("{}", named(value, lambda value: _holds_time(container, value)))
    return _bool(
        "{}",
        let(
            (as_json(value), as_json(container)),
            lambda item, v: sql.SQL(
                "CASE WHEN {1} IS NULL THEN NULL ELSE CASE jsonb_typeof({0}) "
                "WHEN 'array' THEN EXISTS (SELECT FROM jsonb_array_elements("
                "CASE jsonb_typeof({0}) WHEN 'array' THEN {0} ELSE '[]' END) AS item(v) "
                "WHERE item.v = {1}) "
                "WHEN 'object' THEN CASE jsonb_typeof({1}) WHEN 'string' "
                "THEN {0} ? ({1} #>> '{{}}') ELSE FALSE END END END"
            ).format(v, item),
        ),
    )


def compare(op: str, left: Fragment, right: Fragment, *, loose: bool) -> Fragment:
    """`<`, `<=`, `>`, `>=`; NULL unless both sides are of one type that has an order."""
    sign = _OPERATORS[op]
    kinds = {left.kind, right.kind}
    if "time" in kinds:
        return _bool("({} {} {})", as_time(left), sign, as_time(right))
    if "span" in kinds:
        return _bool("({} {} {})", as_span(left), sign, as_span(right))
    if "number" in kinds:
        return _compare_numbers(sign, left, right, loose=loose)
    if kinds & {"text", "owner"}:
        return _bool('(({}) COLLATE "C" {} ({}) COLLATE "C")', as_text(left), sign, as_text(right))
    if "bool" in kinds:
        return _bool("({} {} {})", as_bool(left), sign, as_bool(right))
    if kinds != {"json"} or left.constant or right.constant:
        return ERROR
    return _bool(
        "{}",
        let(
            (as_json(left), as_json(right)),
            lambda a, b: sql.SQL(
                "CASE WHEN jsonb_typeof({0}) <> jsonb_typeof({1}) THEN NULL "
                "ELSE CASE jsonb_typeof({0}) WHEN 'string' "
                "THEN ({0} #>> '{{}}') COLLATE \"C\" {2} ({1} #>> '{{}}') COLLATE \"C\" "
                "WHEN 'number' THEN {0} {2} {1} WHEN 'boolean' THEN {0} {2} {1} END END"
            ).format(a, b, sign),
        ),
    )


def _compare_numbers(
    sign: sql.Composable, left: Fragment, right: Fragment, *, loose: bool
) -> Fragment:
    for part, other in ((left, right), (right, left)):
        # numbers sort within jsonb as they do outside of it, and a jsonb index can serve this
        if loose and part.kind == "json" and part.simple and other.constant:
            if other.kind != "number" or part.constant:
                return ERROR
            a, b = (
                json_literal(side.value) if side.constant else side.code for side in (left, right)
            )
            return _bool("({} {} {} AND jsonb_typeof({}) = 'number')", a, sign, b, part.code)
    return _bool("({} {} {})", as_number(left), sign, as_number(right))


def _among(value: Fragment, items: tuple[values.Value, ...], *, loose: bool) -> Fragment:
    """Whether a varying value is one of known items."""
    if value.kind in ("text", "owner"):
        texts = [text_literal(item) for item in items if isinstance(item, str)]
        null = value.kind == "owner" and None in items
        tests: list[sql.Composable] = []
        if texts:
            listed = sql.SQL(", ").join(texts)
            test = sql.SQL("({} IN ({}))").format(value.code, listed)
            strict = value.kind == "owner" and not loose
            tests.append(sql.SQL("coalesce({}, FALSE)").format(test) if strict else test)
        if null:
            tests.append(sql.SQL("({} IS NULL)").format(value.code))
        if not tests:
            return _never(value, constant(None), loose=loose)
        return _bool("({})", sql.SQL(" OR ").join(tests))
    if value.kind == "json" and items:
        listed = sql.SQL(", ").join(map(json_literal, items))
        return _bool("({} IN ({}))", value.code, listed)
    if all(_differs(value, item) for item in items):
        return _never(value, constant(None), loose=loose)
    return _bool("{}", named(value, lambda value: _any_equal(value, items)))


def _differs(value: Fragment, item: values.Value) -> bool:
    """Whether no row's value can be this item."""
    test = equal(value, constant(item), loose=True)
    return test.constant and test.value is False


def _any_equal(value: Fragment, items: tuple[values.Value, ...]) -> sql.Composable:
    return sql.SQL("({})").format(
        sql.SQL(" OR ").join(as_bool(equal(value, constant(item), loose=False)) for item in items)
    )


def _holds_time(container: Fragment, value: Fragment) -> sql.Composable:
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(
        value.code, shared(container, lambda v: _holds(v, value))
    )


def _holds(container: sql.Composable, value: Fragment) -> sql.Composable:
    """Whether a varying list or map has a known value."""
    if value.kind == "text":
        return sql.SQL(
            "CASE WHEN jsonb_typeof({0}) IN ('array', 'object') THEN {0} ? {1} END"
        ).format(container, as_text(value))
    if value.kind in ("number", "bool") or value.value is None:
        # of these, unlike of lists and maps, containment is equality
        found = sql.SQL("{} @> {}").format(container, as_json(value))
    else:
        found = sql.SQL(
            "EXISTS (SELECT FROM jsonb_array_elements("
            "CASE jsonb_typeof({0}) WHEN 'array' THEN {0} ELSE '[]' END) AS item(v) "
            "WHERE {1})"
        ).format(
            container,
            as_bool(
                equal(
                    Fragment(kind="json", code=sql.Identifier("item", "v"), simple=True),
                    value,
                    loose=False,
                )
            ),
        )
    return sql.SQL(
        "CASE jsonb_typeof({}) WHEN 'array' THEN {} WHEN 'object' THEN FALSE END"
    ).format(container, found)


def _equal_times(left: Fragment, right: Fragment, *, loose: bool) -> Fragment:
    if not {left.kind, right.kind} <= {"time", "json", "text", "owner"}:
        return _never(left, right, loose=loose)
    return _bool(
        "{}", named(left, lambda left: named(right, lambda right: _same_moment(left, right)))
    )


def _same_moment(left: Fragment, right: Fragment) -> sql.Composable:
    # what is there but no time is not equal; what is not there is an error
    present = [
        part.code
        for part in (left, right)
        if not part.constant and part.kind != "owner"  # nobody's is there, as null
    ]
    test = sql.SQL("coalesce({} = {}, FALSE)").format(as_time(left), as_time(right))
    if not present:
        return test
    conditions = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(code) for code in present)
    return sql.SQL("CASE WHEN {} THEN {} END").format(conditions, test)


def _never(left: Fragment, right: Fragment, *, loose: bool) -> Fragment:
    """False, if both sides are there."""
    codes = [
        sql.SQL("{} IS NOT NULL").format(part.code)
        for part in (left, right)
        if not part.constant and part.kind != "owner"
    ]
    if loose or not codes:
        return constant(False)
    return _bool("CASE WHEN {} THEN FALSE END", sql.SQL(" AND ").join(codes))


def _bool(template: str, *parts: sql.Composable) -> Fragment:
    return Fragment(kind="bool", code=sql.SQL(template).format(*parts))
