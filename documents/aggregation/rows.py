"""Rows with fields in columns of their own: what a stage makes need not become jsonb at once."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from documents.query import columns
from documents.query.rows import Rows

# Arguments that PostgreSQL takes in one call, in pairs.
_MAX_PAIRS: Final = 45
# More columns than these are put together before the next stage, so that statements stay short.
MAX_COLUMNS: Final = 30


@dataclass(frozen=True, slots=True)
class Column:
    """A field and the jsonb expression that has it: cheap, as it may stand many times."""

    name: str
    sql: sql.Composable
    may_miss: bool = True  # it can be NULL, which is "missing"


@dataclass(frozen=True, slots=True)
class MadeRows(Rows):
    """Rows whose fields `made` are in place of what `doc` has under their names.

    A table's made fields are the user's, never system fields.
    """

    made: tuple[Column, ...] = ()
    has_doc: bool = True  # otherwise the made fields are all there are

    @property
    def doc(self) -> sql.Composable:
        base = Rows.column(self, "doc") if self.has_doc else None
        return put_together(base, self.made)

    def field(self, name: str) -> sql.Composable:
        for column in self.made:
            if column.name == name:
                return column.sql
        if not self.has_doc:
            return sql.SQL("NULL::jsonb")
        if self.is_table and name in columns.SYSTEM:
            return Rows.field(self, name)
        return sql.SQL("({} -> {})").format(Rows.column(self, "doc"), columns.literal(name))


def made_fields(rows: Rows) -> tuple[Column, ...]:
    return rows.made if isinstance(rows, MadeRows) else ()


def over(rows: Rows, made: Sequence[Column]) -> MadeRows:
    """The rows with these fields put over theirs."""
    names = {column.name for column in made}
    kept = [column for column in made_fields(rows) if column.name not in names]
    return MadeRows(
        rows.alias,
        rows.is_table,
        untouched(rows, names),
        made=(*kept, *made),
        has_doc=rows.has_doc if isinstance(rows, MadeRows) else True,
    )


def untouched(rows: Rows, changed: Collection[str]) -> frozenset[str]:
    """The fields without arrays on their way that still are when top-level fields change."""
    return frozenset([name for name in rows.scalars if name.split(".")[0] not in changed])


def put_together(base: sql.Composable | None, made: Iterable[Column]) -> sql.Composable:
    """One jsonb object of `base` (or nothing) with the fields put over it."""
    fields = list(made)
    maybe = [column for column in fields if column.may_miss]
    if base is not None:
        if not fields:
            return base
        if maybe:
            base = sql.SQL("({} - ARRAY[{}]::text[])").format(
                base, sql.SQL(", ").join([columns.literal(column.name) for column in maybe])
            )
        return sql.SQL("({} || {})").format(base, put_together(None, fields))
    whole = _build(fields)
    if not maybe:
        return whole
    # jsonb_build_object makes null of what is missing.
    tests = [
        sql.SQL("num_nulls({}) > 0").format(_list([column.sql for column in part]))
        for part in _chunks(maybe)
    ]
    return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
        sql.SQL(" OR ").join(tests), _without_missing(fields), whole
    )


def _build(fields: list[Column]) -> sql.Composable:
    parts = [
        sql.SQL("jsonb_build_object({})").format(
            _list([x for column in part for x in (columns.literal(column.name), column.sql)])
        )
        for part in _chunks(fields)
    ]
    return sql.SQL("({})").format(sql.SQL(" || ").join(parts)) if parts else sql.SQL("'{}'::jsonb")


def _without_missing(fields: list[Column]) -> sql.Composable:
    pairs = [
        sql.SQL("({}, {})").format(columns.literal(column.name), column.sql) for column in fields
    ]
    return sql.SQL(
        "(SELECT coalesce(jsonb_object_agg(k, v), '{{}}')"
        " FROM (VALUES {}) AS made(k, v) WHERE v IS NOT NULL)"
    ).format(_list(pairs))


def _list(items: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(items)


def _chunks(fields: list[Column]) -> list[list[Column]]:
    return [fields[at : at + _MAX_PAIRS] for at in range(0, len(fields), _MAX_PAIRS)]
