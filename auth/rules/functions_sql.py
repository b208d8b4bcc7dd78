"""Functions, arithmetic and indexing in SQL; `operations` and `values` are the same in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from psycopg import sql

from auth.rules import operations, times, values
from auth.rules.catalog import DATE_PARTS
from auth.rules.errors import RuleNotCompilable
from auth.rules.fragments import (
    ERROR,
    Fragment,
    Kind,
    as_bool,
    as_json,
    as_number,
    as_operand,
    as_span,
    as_text,
    as_time,
    let,
    shared,
    text_literal,
    time_literal,
)
from auth.rules.patterns import compile_pattern

_EPOCH: Final = sql.SQL("'epoch'::timestamptz")


def convert(part: Fragment, kind: Kind) -> sql.Composable:
    """The SQL of `part` in another kind; NULL if it is no such value."""
    return {
        "json": as_json,
        "bool": as_bool,
        "text": as_text,
        "owner": as_text,
        "number": as_number,
        "time": as_time,
        "span": as_span,
    }[kind](part)


def item(container: Fragment, key: Fragment) -> Fragment:
    """`container[key]` of a JSON container; NULL if there is no such item."""
    code: sql.Composable
    if key.constant and key.kind == "text":
        code = sql.SQL("({} -> {})").format(as_json(container), text_literal(key.value))
        return Fragment(kind="json", code=code, simple=container.simple)
    if key.constant:
        if key.kind != "number":
            return ERROR
        position = values.number(key.value)
        if not values.is_whole(position) or not 0 <= position < 2**31:
            return ERROR
        code = shared(
            container,
            lambda v: sql.SQL("CASE jsonb_typeof({0}) WHEN 'array' THEN {0} -> {1} END").format(
                v, sql.Literal(int(position))
            ),
        )
        return Fragment(kind="json", code=code)
    code = let(
        (as_json(container), as_json(key)),
        lambda v, k: sql.SQL(
            "CASE jsonb_typeof({0}) WHEN 'object' THEN CASE jsonb_typeof({1}) WHEN 'string' "
            "THEN {0} -> ({1} #>> '{{}}') END "
            "WHEN 'array' THEN CASE jsonb_typeof({1}) WHEN 'number' THEN "
            "CASE WHEN {1}::numeric BETWEEN 0 AND 2147483647 "
            "AND trunc({1}::numeric) = {1}::numeric "
            "THEN {0} -> ({1}::numeric)::int END END END"
        ).format(v, k),
    )
    return Fragment(kind="json", code=code)


def arithmetic(op: str, left: Fragment, right: Fragment, *, fractional: bool) -> Fragment:
    kinds = {left.kind, right.kind}
    if kinds & {"time", "span"}:
        return _time_arithmetic(op, left, right)
    if "bytes" in kinds or "bool" in kinds:
        return ERROR
    if op == "+":
        return _add(left, right)
    if kinds & {"text", "owner"}:
        return ERROR
    a, b = as_operand(left), as_operand(right)
    if op in "-*":
        return _number("({} {} {})", a, sql.SQL(op), b)
    if op == "%":
        return _number(
            "{}",
            let(
                (a, b),
                lambda a, b: sql.SQL(
                    "CASE WHEN {1} <> 0 AND trunc({0}) = {0} AND trunc({1}) = {1} "
                    "THEN mod({0}, {1}) END"
                ).format(a, b),
            ),
        )
    return _number("{}", let((a, b), _fraction if fractional else _quotient))


def negate(part: Fragment) -> Fragment:
    if part.kind == "span":
        return Fragment(kind="span", code=sql.SQL("(- {})").format(as_span(part)))
    if part.kind not in ("number", "json"):
        return ERROR
    return _number("(- {})", as_operand(part))


def _fraction(a: sql.Composable, b: sql.Composable) -> sql.Composable:
    digits = values.QUOTIENT_DIGITS
    return sql.SQL("CASE WHEN {1} <> 0 THEN div({0} * {2}, {1}) * {3} END").format(
        a, b, sql.SQL(f"1e{digits}"), sql.SQL(f"1e-{digits}")
    )


def _quotient(a: sql.Composable, b: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "CASE WHEN {1} <> 0 THEN CASE WHEN trunc({0}) = {0} AND trunc({1}) = {1} "
        "THEN div({0}, {1}) ELSE {2} END END"
    ).format(a, b, _fraction(a, b))


def _add(left: Fragment, right: Fragment) -> Fragment:
    kinds = {left.kind, right.kind}
    if "number" in kinds:
        return _number("({} + {})", as_operand(left), as_operand(right))
    if kinds & {"text", "owner"}:
        return _text(let((as_text(left), as_text(right)), _join))
    code = let(
        (as_json(left), as_json(right)),
        lambda a, b: sql.SQL(
            "CASE WHEN jsonb_typeof({0}) <> jsonb_typeof({1}) THEN NULL "
            "ELSE CASE jsonb_typeof({0}) WHEN 'number' THEN to_jsonb({2} + {3}) "
            "WHEN 'string' THEN to_jsonb({4}) WHEN 'array' THEN {0} || {1} END END"
        ).format(
            a,
            b,
            as_operand(Fragment(kind="json", code=a, simple=True)),
            as_operand(Fragment(kind="json", code=b, simple=True)),
            _join(
                as_text(Fragment(kind="json", code=a, simple=True)),
                as_text(Fragment(kind="json", code=b, simple=True)),
            ),
        ),
    )
    return Fragment(kind="json", code=code)


def _join(a: sql.Composable, b: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "CASE WHEN char_length({0}) + char_length({1}) <= {2} THEN {0} || {1} END"
    ).format(a, b, sql.Literal(values.MAX_TEXT))


def _time_arithmetic(op: str, left: Fragment, right: Fragment) -> Fragment:
    match left.kind, op, right.kind:
        case "time", "-", "time":
            return Fragment(
                kind="span",
                code=sql.SQL("(extract(epoch FROM {}) - extract(epoch FROM {}))").format(
                    as_time(left), as_time(right)
                ),
            )
        case "time", "+" | "-", "span":
            return Fragment(kind="time", code=_shift(as_time(left), as_span(right), op))
        case "span", "+", "time":
            return Fragment(kind="time", code=_shift(as_time(right), as_span(left), op))
        case "span", "+" | "-", "span":
            code = sql.SQL("({} {} {})").format(as_span(left), sql.SQL(op), as_span(right))
            return Fragment(kind="span", code=code)
        case ("json", _, _) | (_, _, "json"):
            raise RuleNotCompilable(
                "where a rule filters a list, write timestamp(…) around a field that holds a time"
            )
    return ERROR


def _shift(moment: sql.Composable, seconds: sql.Composable, op: str) -> sql.Composable:
    """A moment so many seconds later or earlier, within what a timestamp may be."""
    # in hours and seconds: neither is a day of varying length nor loses microseconds
    return let(
        (moment, sql.SQL("({} {})").format(sql.SQL(op), seconds)),
        lambda at, by: sql.SQL(
            "CASE WHEN abs({1}) <= {2} THEN CASE WHEN extract(epoch FROM {0}) + {1} "
            "BETWEEN extract(epoch FROM {3}) AND extract(epoch FROM {4}) THEN {0} + "
            "make_interval(hours => trunc({1} / 3600)::int, secs => mod({1}, 3600)::float8) "
            "END END"
        ).format(
            at,
            by,
            sql.Literal(times.MAX_SPAN_SECONDS),
            time_literal(times.EARLIEST),
            time_literal(times.LATEST),
        ),
    )


def call(function: str, parts: tuple[Fragment, ...], position: int) -> Fragment:
    """A function of the language. Raises RuleNotCompilable for those without an SQL twin."""
    if function in DATE_PARTS:
        return _date_part(function, parts[0])
    try:
        build = _FUNCTIONS[function]
    except KeyError:
        raise RuleNotCompilable(
            f"{function}() of a document's field cannot filter a list", position
        ) from None
    return build(*parts)


def _size(part: Fragment) -> Fragment:
    if part.kind in ("text", "owner"):
        return _number("char_length({})::numeric", as_text(part))
    if part.kind != "json":
        return ERROR
    return _number(
        "{}",
        shared(
            part,
            lambda v: sql.SQL(
                "(CASE jsonb_typeof({0}) WHEN 'string' THEN char_length({0} #>> '{{}}') "
                "WHEN 'array' THEN jsonb_array_length({0}) WHEN 'object' THEN "
                "(SELECT count(*) FROM jsonb_object_keys("
                "CASE jsonb_typeof({0}) WHEN 'object' THEN {0} ELSE '{{}}' END)) END)::numeric"
            ).format(v),
        ),
    )


def _starts_with(whole: Fragment, part: Fragment) -> Fragment:
    return _bool("starts_with({}, {})", as_text(whole), as_text(part))


def _ends_with(whole: Fragment, part: Fragment) -> Fragment:
    code = let(
        (as_text(whole), as_text(part)),
        lambda a, b: sql.SQL("right({0}, char_length({1})) = {1}").format(a, b),
    )
    return _bool("{}", code)


def _contains(whole: Fragment, part: Fragment) -> Fragment:
    return _bool("(strpos({}, {}) > 0)", as_text(whole), as_text(part))


def _matches(whole: Fragment, pattern: Fragment) -> Fragment:
    compiled = compile_pattern(pattern.value)
    return _bool('(({}) COLLATE "C" ~ {})', as_text(whole), text_literal(compiled.postgres))


def _split(whole: Fragment, separator: Fragment) -> Fragment:
    code = let(
        (as_text(whole), as_text(separator)),
        lambda a, b: sql.SQL(
            # string_to_array() takes a NULL separator for "every character"
            "CASE WHEN {1} = '' OR {1} IS NULL THEN NULL WHEN {0} = '' THEN '[\"\"]'::jsonb "
            "ELSE to_jsonb(string_to_array({0}, {1})) END"
        ).format(a, b),
    )
    return Fragment(kind="json", code=code)


def _cased(function: str) -> Callable[[Fragment], Fragment]:
    # in the collation "C" these change ASCII letters only
    return lambda part: _text(
        sql.SQL('{}(({}) COLLATE "C")').format(sql.SQL(function), as_text(part))
    )


def _int(part: Fragment) -> Fragment:
    if part.kind == "time":
        return _number("floor(extract(epoch FROM {}))", as_time(part))
    if part.kind == "number":
        return _number("trunc({})", as_operand(part))
    if part.kind in ("text", "owner"):
        return _number("{}", _read_number(as_text(part), operations.WHOLE_NUMBER))
    if part.kind != "json":
        return ERROR
    return _number("{}", shared(part, _int_of_json))


def _int_of_json(v: sql.Composable) -> sql.Composable:
    part = Fragment(kind="json", code=v, simple=True)
    return sql.SQL(
        "CASE jsonb_typeof({}) WHEN 'number' THEN trunc({}) WHEN 'string' THEN {} END"
    ).format(v, as_operand(part), _read_number(as_text(part), operations.WHOLE_NUMBER))


def _uint(part: Fragment) -> Fragment:
    whole = _int(part)
    if whole.kind == "error":
        return ERROR
    return _number(
        "{}", let((whole.code,), lambda n: sql.SQL("CASE WHEN {0} >= 0 THEN {0} END").format(n))
    )


def _double(part: Fragment) -> Fragment:
    if part.kind == "number":
        return part
    if part.kind in ("text", "owner"):
        return _number("{}", _read_number(as_text(part), operations.DECIMAL_NUMBER))
    if part.kind != "json":
        return ERROR

    def of_json(v: sql.Composable) -> sql.Composable:
        inner = Fragment(kind="json", code=v, simple=True)
        return sql.SQL(
            "CASE jsonb_typeof({}) WHEN 'number' THEN {} WHEN 'string' THEN {} END"
        ).format(v, as_number(inner), _read_number(as_text(inner), operations.DECIMAL_NUMBER))

    return _number("{}", shared(part, of_json))


def _read_number(code: sql.Composable, pattern: str) -> sql.Composable:
    return let(
        (code,),
        lambda v: sql.SQL("CASE WHEN {0} ~ {1} THEN {0}::numeric END").format(
            v, sql.Literal(f"^(?:{pattern})$")
        ),
    )


def _string(part: Fragment) -> Fragment:
    if part.kind in ("text", "owner"):
        return _text(as_text(part))
    if part.kind == "number":
        return _text(sql.SQL("trim_scale({})::text").format(as_operand(part)))
    if part.kind == "bool":
        return _text(sql.SQL("({})::text").format(as_bool(part)))
    if part.kind == "time":
        raise RuleNotCompilable("string() of a timestamp cannot filter a list")
    if part.kind != "json":
        return ERROR
    return _text(
        shared(
            part,
            lambda v: sql.SQL(
                "CASE jsonb_typeof({0}) WHEN 'string' THEN {0} #>> '{{}}' "
                "WHEN 'boolean' THEN {0} #>> '{{}}' WHEN 'number' THEN trim_scale({1})::text END"
            ).format(v, as_operand(Fragment(kind="json", code=v, simple=True))),
        )
    )


def _to_bool(part: Fragment) -> Fragment:
    if part.kind == "bool":
        return part
    if part.kind not in ("json", "text", "owner"):
        return ERROR
    code = shared(
        part,
        lambda v: sql.SQL(
            "CASE WHEN {0} IN ('true', '\"true\"') THEN TRUE "
            "WHEN {0} IN ('false', '\"false\"') THEN FALSE END"
        ).format(v),
    )
    return _bool("{}", code)


def _timestamp(part: Fragment) -> Fragment:
    if part.kind in ("number", "json"):
        code = shared(Fragment(kind="json", code=as_json(part), simple=part.simple), _time_of_json)
        return Fragment(kind="time", code=code)
    if part.kind not in ("time", "text", "owner"):
        return ERROR
    return Fragment(kind="time", code=as_time(part))


def _time_of_json(v: sql.Composable) -> sql.Composable:
    part = Fragment(kind="json", code=v, simple=True)
    seconds = let(
        (as_number(part),), lambda n: sql.SQL("CASE WHEN trunc({0}) = {0} THEN {0} END").format(n)
    )
    return sql.SQL("CASE jsonb_typeof({}) WHEN 'number' THEN {} ELSE {} END").format(
        v, _shift(_EPOCH, seconds, "+"), as_time(part)
    )


def _date_part(function: str, part: Fragment) -> Fragment:
    if part.kind == "json":
        raise RuleNotCompilable(
            f"where a rule filters a list, write timestamp(…) around what {function}() is asked of"
        )
    if part.kind != "time":
        return ERROR
    template = {
        "getFullYear": "extract(year FROM {})",
        "getMonth": "extract(month FROM {}) - 1",
        "getDate": "extract(day FROM {})",
        "getDayOfMonth": "extract(day FROM {}) - 1",
        "getDayOfWeek": "extract(dow FROM {})",
        "getDayOfYear": "extract(doy FROM {}) - 1",
        "getHours": "extract(hour FROM {})",
        "getMinutes": "extract(minute FROM {})",
        "getSeconds": "trunc(extract(second FROM {}))",
        "getMilliseconds": "mod(trunc(extract(milliseconds FROM {})), 1000)",
    }[function]
    utc = sql.SQL("({} AT TIME ZONE 'UTC')").format(as_time(part))
    return _number(f"({template})", utc)


_FUNCTIONS: Final[Mapping[str, Callable[..., Fragment]]] = MappingProxyType(
    {
        "size": _size,
        "startsWith": _starts_with,
        "endsWith": _ends_with,
        "contains": _contains,
        "matches": _matches,
        "split": _split,
        "lowerAscii": _cased("lower"),
        "upperAscii": _cased("upper"),
        "int": _int,
        "uint": _uint,
        "double": _double,
        "string": _string,
        "bool": _to_bool,
        "dyn": lambda part: part,
        "timestamp": _timestamp,
    }
)


def _number(template: str, *codes: sql.Composable) -> Fragment:
    return Fragment(kind="number", code=sql.SQL(template).format(*codes))


def _text(code: sql.Composable) -> Fragment:
    return Fragment(kind="text", code=code)


def _bool(template: str, *codes: sql.Composable) -> Fragment:
    return Fragment(kind="bool", code=sql.SQL(template).format(*codes))
