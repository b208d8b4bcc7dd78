"""Dates. A time zone is an Olson name or an offset; without one it is UTC."""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, array, call
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.conversion import guarded
from documents.expressions.functions import function
from documents.query import columns

_UTC: Final = ast.Constant("UTC")
# Where a part stands in the text of a date: from, how many characters.
_PLACES: Final = {
    "year": (1, 4),
    "month": (6, 2),
    "dayOfMonth": (9, 2),
    "hour": (12, 2),
    "minute": (15, 2),
    "second": (18, 2),
    "millisecond": (21, 3),
}
_OTHER_PARTS: Final = ("dayOfYear", "dayOfWeek", "isoDayOfWeek", "isoWeek", "isoWeekYear", "week")
# What follows in the text of a date that is the start of a unit (as JSON).
_STARTS: Final = {
    '"year"': "-01-01T00:00:00.000Z",
    '"month"': "-01T00:00:00.000Z",
    '"day"': "T00:00:00.000Z",
    '"hour"': ":00:00.000Z",
    '"minute"': ":00.000Z",
    '"second"': ".000Z",
}
# Specifiers of $dateToString as patterns of to_char; the others take a slower way.
_PATTERNS: Final = {
    "Y": "YYYY",
    "m": "MM",
    "d": "DD",
    "H": "HH24",
    "M": "MI",
    "S": "SS",
    "L": "MS",
    "j": "DDD",
    "b": "Mon",
    "B": "FMMonth",
    "G": "IYYY",
    "V": "IW",
    "u": "ID",
    "w": "D",
}


def _part(name: str) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        date, timezone = arguments
        assert date is not None  # noqa: S101 - the signature says so
        code = compiler.code(date)
        zone = compiler.json(timezone or _UTC)
        text = call("documents_date_part", code.json, zone, columns.literal(name))
        if timezone is None and code.cheap and name in _PLACES:
            start, length = _PLACES[name]
            text = sql.SQL("coalesce(substr({} ->> '$date', {}, {})::numeric, {})").format(
                code.text, sql.Literal(start), sql.Literal(length), text
            )
        return Code(text, "number")

    return compile


def _to_string(compiler: Compiler, arguments: Arguments) -> Code:
    date, format, timezone, on_null = arguments
    value, zone = compiler.json(date), compiler.json(timezone or _UTC)
    pattern = _pattern(format.value) if isinstance(format, ast.Constant) else None
    if pattern is not None:
        return guarded(
            compiler,
            "documents_date_to_char",
            [value, columns.literal(pattern), zone],
            None,
            on_null,
        )
    arguments_ = [value, compiler.json(format), zone]
    return guarded(compiler, "documents_date_to_text", arguments_, None, on_null)


def _pattern(format: object) -> str | None:
    """The pattern of to_char for a format; None when it has none."""
    if not isinstance(format, str):
        return None
    made = []
    place = 0
    while place < len(format):
        sign = format[place]
        if sign == "%":
            place += 1
            specifier = format[place : place + 1]
            if specifier != "%" and specifier not in _PATTERNS:
                return None
            made.append('"%"' if specifier == "%" else _PATTERNS[specifier])
        else:
            made.append('"{}"'.format(sign.replace("\\", "\\\\").replace('"', '\\"')))
        place += 1
    return "".join(made)


def _from_string(compiler: Compiler, arguments: Arguments) -> Code:
    text, format, timezone, on_error, on_null = arguments
    values = compiler.all_json((text, format, timezone))
    return guarded(compiler, "documents_date_from_text", values, on_error, on_null)


def _from_parts(compiler: Compiler, arguments: Arguments) -> Code:
    *parts, timezone = arguments
    given = sql.SQL(", ").join([sql.Literal(part is not None) for part in parts])
    return Code(
        sql.SQL("documents_date_from_parts({}, ARRAY[{}], {})").format(
            array(compiler.all_json(tuple(parts))), given, compiler.json(timezone or _UTC)
        )
    )


def _shift(direction: LiteralString) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        date, unit, amount, timezone = arguments
        values = compiler.all_json((date, unit, amount, timezone or _UTC))
        return Code(call("documents_date_add", *values, sql.SQL(direction)))

    return compile


def _trunc(compiler: Compiler, arguments: Arguments) -> Code:
    date, unit, bin_size, timezone, _ = arguments
    general = _general_trunc(compiler, arguments)
    start = _STARTS.get(unit.text) if isinstance(unit, ast.Constant) else None
    if not isinstance(date, ast.Path) or start is None or bin_size or timezone:
        return general
    code = compiler.code(date)
    if not code.cheap:
        return general
    # In UTC the start of a day and the like is the beginning of the text.
    text = sql.SQL(
        "CASE WHEN ({date} ->> '$date') IS NULL THEN {general} ELSE jsonb_build_object('$date',"
        " left({date} ->> '$date', {length}) || {rest}) END"
    ).format(
        date=code.text,
        general=general.text,
        length=sql.Literal(len("2000-01-01T00:00:00.000Z") - len(start)),
        rest=columns.literal(start),
    )
    return Code(text)


_general_trunc: Final = function("documents_date_trunc", defaults=(1, "UTC", "sunday"))
OPERATORS: Final[Mapping[str, Operator]] = {
    **{f"${name}": _part(name) for name in (*_PLACES, *_OTHER_PARTS)},
    "$dateToString": _to_string,
    "$dateFromString": _from_string,
    "$dateToParts": function("documents_date_parts", defaults=("UTC", False)),
    "$dateFromParts": _from_parts,
    "$dateAdd": _shift("1"),
    "$dateSubtract": _shift("-1"),
    "$dateDiff": function("documents_date_diff", "number", defaults=("UTC", "sunday")),
    "$dateTrunc": _trunc,
}
