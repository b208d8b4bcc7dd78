"""Typed pieces of SQL and the ways from one type to another.

NULL is CEL's error in every type but `owner`; JSON's null is CEL's null. An expression that would
have to stand twice goes through `let`, so that the SQL grows no faster than the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from json import dumps
from typing import Any, Final, Literal, TypeAlias

from psycopg import sql

from auth.rules import times, values
from auth.rules.errors import Fault, RuleError, RuleNotCompilable

Kind: TypeAlias = Literal[
    "json", "bool", "text", "owner", "number", "time", "span", "bytes", "error"
]


class _Varying:
    """The value of a fragment that differs by row, or is not known yet."""


VARYING: Final = _Varying()
NULL: Final = sql.SQL("NULL")
TRUE: Final = sql.SQL("TRUE")
FALSE: Final = sql.SQL("FALSE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragment:
    kind: Kind
    code: sql.Composable = field(default_factory=lambda: NULL)  # unused where `value` is known
    value: Any = VARYING
    simple: bool = False  # may be repeated: a column, a path into one

    @property
    def constant(self) -> bool:
        return self.value is not VARYING


_LARGEST: Final = 10**1000
_aliases: ContextVar[Iterator[int]] = ContextVar("aliases")
ERROR: Final = Fragment(kind="error", value=None)


def constant(value: values.Value) -> Fragment:
    """A fragment of a value that is known."""
    kind: Kind = "json"
    if isinstance(value, bool):
        kind = "bool"
    elif isinstance(value, int | float | Decimal):
        kind = "number"
    elif isinstance(value, str):
        kind = "text"
    elif isinstance(value, bytes):
        kind = "bytes"
    elif isinstance(value, datetime):
        kind = "time"
    elif isinstance(value, timedelta):
        kind = "span"
    return Fragment(kind=kind, value=value, simple=True)


def let(parts: tuple[sql.Composable, ...], body: Callable[..., sql.Composable]) -> sql.Composable:
    """`body` of names for `parts`, each computed once (OFFSET 0: the planner must not undo it)."""
    alias = f"part{next(_aliases.get())}"
    names = [f"p{position}" for position in range(len(parts))]
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(part, sql.Identifier(name))
        for part, name in zip(parts, names, strict=True)
    )
    return sql.SQL("(SELECT {} FROM (SELECT {} OFFSET 0) AS {})").format(
        body(*(sql.Identifier(alias, name) for name in names)), columns, sql.Identifier(alias)
    )


def start_aliases() -> None:
    """To be called before an expression is made: its aliases count from 1, so that the same rule
    is the same text (and the same prepared statement) each time."""
    _aliases.set(count(1))


def shared(part: Fragment, body: Callable[[sql.Composable], sql.Composable]) -> sql.Composable:
    """`body` of the JSON of `part`, which it may use as often as it likes."""
    code = as_json(part)
    return body(code) if part.simple else let((code,), body)


def named(part: Fragment, body: Callable[[Fragment], sql.Composable]) -> sql.Composable:
    """As `shared`, in the kind that it has."""
    if part.simple or part.constant:
        return body(part)
    return let((part.code,), lambda code: body(Fragment(kind=part.kind, code=code, simple=True)))


def text_literal(value: str) -> sql.Composable:
    """A text constant. A percent sign goes by its number: the query may have parameters, and
    psycopg would take the sign for one of them."""
    if not storable(value):
        raise RuleError("a value of this caller has a character that no document can have")
    parts = [sql.Literal(part) for part in value.split("%")]
    return (
        parts[0]
        if len(parts) == 1
        else sql.SQL("({})").format(sql.SQL(" || chr(37) || ").join(parts))
    )


def json_literal(value: values.Value) -> sql.Composable:
    text = _write_json(value).replace("%", "\\u0025")
    return sql.SQL("{}::jsonb").format(sql.Literal(text))


def number_literal(value: int | Decimal) -> sql.Composable:
    return sql.SQL("{}::numeric").format(sql.Literal(str(_limited(value))))


def _limited(value: int | Decimal) -> int | Decimal:
    if not -_LARGEST < value < _LARGEST:
        raise RuleError("a value of this caller is a number that no document can have")
    return value


def storable(value: str) -> bool:
    """Whether PostgreSQL can hold this text at all."""
    return "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def as_json(part: Fragment) -> sql.Composable:
    """jsonb. Raises RuleNotCompilable for what JSON cannot hold."""
    if part.kind == "error":
        return sql.SQL("NULL::jsonb")
    if part.kind in ("time", "span", "bytes"):
        raise RuleNotCompilable(
            "timestamps, durations and bytes cannot be inside of a list, a map or a mixed choice "
            "where the rule filters a list"
        )
    if part.constant:
        return json_literal(part.value)
    if part.kind == "json":
        return part.code
    if part.kind == "owner":
        return sql.SQL("coalesce(to_jsonb({}), 'null')").format(part.code)
    return sql.SQL("to_jsonb({})").format(part.code)


def as_text(part: Fragment) -> sql.Composable:
    if part.constant:
        return text_literal(part.value) if part.kind == "text" else sql.SQL("NULL::text")
    if part.kind in ("text", "owner"):
        return part.code
    if part.kind != "json":
        return sql.SQL("NULL::text")
    return shared(
        part,
        lambda v: sql.SQL("CASE jsonb_typeof({0}) WHEN 'string' THEN {0} #>> '{{}}' END").format(v),
    )


def as_number(part: Fragment) -> sql.Composable:
    if part.constant:
        if part.kind != "number":
            return sql.SQL("NULL::numeric")
        return number_literal(values.number(part.value))
    if part.kind == "number":
        return part.code
    if part.kind != "json":
        return sql.SQL("NULL::numeric")
    return shared(
        part,
        lambda v: sql.SQL("CASE jsonb_typeof({0}) WHEN 'number' THEN {0}::numeric END").format(v),
    )


def as_operand(part: Fragment) -> sql.Composable:
    """A number within the bounds of arithmetic."""
    if part.constant:
        try:
            return number_literal(values.bounded(part.value))
        except Fault:
            return sql.SQL("NULL::numeric")
    return let(
        (as_number(part),),
        lambda v: sql.SQL("CASE WHEN abs({0}) < {1} AND min_scale({0}) <= {2} THEN {0} END").format(
            v, number_literal(values.MAX_MAGNITUDE), sql.Literal(values.MAX_SCALE)
        ),
    )


def as_bool(part: Fragment, *, loose: bool = False) -> sql.Composable:
    """A truth value; with `loose`, FALSE will do for NULL."""
    if part.constant:
        return NULL_BOOL if part.kind != "bool" else TRUE if part.value else FALSE
    if part.kind == "bool":
        return part.code
    if part.kind != "json":
        return NULL_BOOL
    if loose:
        return sql.SQL("({} = 'true'::jsonb)").format(part.code)
    return sql.SQL(
        "CASE {} WHEN 'true'::jsonb THEN TRUE WHEN 'false'::jsonb THEN FALSE END"
    ).format(part.code)


NULL_BOOL: Final = sql.SQL("NULL::boolean")


def as_time(part: Fragment) -> sql.Composable:
    """A timestamp; its RFC 3339 text and {"$date": text} will do."""
    if part.constant:
        try:
            return sql.SQL("{}::timestamptz").format(
                sql.Literal(values.moment(part.value).isoformat())
            )
        except Fault:
            return sql.SQL("NULL::timestamptz")
    if part.kind == "time":
        return part.code
    if part.kind in ("text", "owner"):
        return _read_time(part.code)
    if part.kind != "json":
        return sql.SQL("NULL::timestamptz")
    return _read_time(
        shared(
            part,
            lambda v: sql.SQL(
                "CASE jsonb_typeof({0}) WHEN 'string' THEN {0} #>> '{{}}' "
                "WHEN 'object' THEN CASE jsonb_typeof({0} -> '$date') WHEN 'string' "
                "THEN {0} ->> '$date' END END"
            ).format(v),
        )
    )


def as_span(part: Fragment) -> sql.Composable:
    """A duration as a number of seconds: Postgres' own intervals have days of unequal length."""
    if part.kind != "span":
        return sql.SQL("NULL::numeric")
    if not part.constant:
        return part.code
    seconds = Decimal(part.value // timedelta(microseconds=1)).scaleb(-6)
    return number_literal(seconds)


def _read_time(code: sql.Composable) -> sql.Composable:
    # the format first: Postgres reads far more, such as 'tomorrow'; CASE keeps the order
    text = let(
        (code,),
        lambda v: sql.SQL("CASE WHEN {0} ~ {1} THEN regexp_replace({0}, {2}, {3}) END").format(
            v,
            sql.Literal(f"^{times.TIMESTAMP}$"),
            sql.Literal("([.][0-9]{6})[0-9]+"),
            sql.Literal("\\1"),
        ),
    )
    moment = let(
        (text,),
        lambda v: sql.SQL(
            "CASE WHEN pg_input_is_valid({0}, 'timestamptz') THEN {0}::timestamptz END"
        ).format(v),
    )
    return let(
        (moment,),
        lambda v: sql.SQL("CASE WHEN {0} BETWEEN {1} AND {2} THEN {0} END").format(
            v, time_literal(times.EARLIEST), time_literal(times.LATEST)
        ),
    )


def time_literal(moment: datetime) -> sql.Composable:
    return sql.SQL("{}::timestamptz").format(sql.Literal(moment.isoformat()))


def _write_json(value: values.Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not storable(value):
            raise RuleError("a value of this caller has a character that no document can have")
        return dumps(value)
    if isinstance(value, int | float | Decimal):
        return str(_limited(values.number(value)))
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write_json, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_write_json(k)}:{_write_json(v)}" for k, v in value.items()) + "}"
    raise RuleNotCompilable(
        "timestamps, durations and bytes cannot be inside of a list or a map where the rule "
        "filters a list"
    )
