"""What filters, sorts and expressions read: a collection's table, or values that a query made.

A value of the query language is a jsonb expression in SQL. SQL's NULL is "missing",
`'null'::jsonb` is null, a date is `{"$date": "2024-05-01T10:00:00.000Z"}`. Both kinds of rows have
the column `doc`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, LiteralString

from psycopg import sql

from documents.query import columns

_MOMENT: Final[LiteralString] = (
    "jsonb_build_object('$date', to_char({} AT TIME ZONE 'UTC',"
    ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\'))'
)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows named `alias` in a statement."""

    alias: str
    # A collection's table, whose system fields are columns; otherwise all fields are in `doc`.
    is_table: bool = False
    # Fields with an index that can answer for them: no array is on their way.
    scalars: frozenset[str] = frozenset()
    # Fields that have arrays, with an index of all the values there: `columns.multikey`.
    multikeys: frozenset[str] = field(default=frozenset(), kw_only=True)
    # The fields and the language of the table's text index.
    text: tuple[tuple[str, ...], str] | None = field(default=None, kw_only=True)
    # Fields with a geo index.
    geo: frozenset[str] = frozenset()
    # Adds to a filter what partial indexes want to see in it (`indexes.partial`).
    implied: Callable[[Any], Any] | None = field(default=None, kw_only=True, compare=False)

    # Top-level fields of which something may be hidden from the caller: `doc` is without that, and
    # `whole` has all. What is not about them may look at `whole`, which indexes are built on.
    masked: frozenset[str] = field(default=frozenset(), kw_only=True)
    is_whole: bool = field(default=False, kw_only=True)

    def facing(self, *paths: tuple[str, ...]) -> "Rows":
        """The rows as an expression about nothing but these paths may read them."""
        if not self.masked or any(not path or path[0] in self.masked for path in paths):
            return self
        return replace(self, masked=frozenset(), is_whole=True)

    def column(self, name: str) -> sql.Composable:
        return sql.Identifier(self.alias, name)

    @property
    def doc(self) -> sql.Composable:
        """The jsonb that has the user's fields (all fields, unless this is a table)."""
        return self.column("whole" if self.is_whole else "doc")

    @property
    def root(self) -> sql.Composable:
        """The whole value as jsonb (`$$ROOT`), system fields included, their times as dates."""
        if not self.is_table:
            return self.doc
        return sql.SQL(
            "({doc} || jsonb_build_object('_id', {id}, '_createdAt', {created}, '_updatedAt',"
            " {updated}, '_version', {version}, '_owner', {owner}))"
        ).format(
            doc=self.doc,
            id=self.column("_id"),
            created=_moment(self.column("created_at")),
            updated=_moment(self.column("updated_at")),
            version=self.column("version"),
            owner=self.column("owner"),
        )

    def field(self, name: str) -> sql.Composable:
        """The jsonb of a top-level field; NULL when it is missing."""
        if self.is_table and name in columns.SYSTEM:
            return self._system(name)
        return sql.SQL("({} -> {})").format(self.facing((name,)).doc, columns.literal(name))

    def _system(self, name: str) -> sql.Composable:
        match name:
            case "_createdAt":
                return _moment(self.column("created_at"))
            case "_updatedAt":
                return _moment(self.column("updated_at"))
            case "_version":
                return sql.SQL("to_jsonb({})").format(self.column("version"))
            case "_owner":
                return sql.SQL("coalesce(to_jsonb({}), 'null')").format(self.column("owner"))
            case _:
                return sql.SQL("to_jsonb({})").format(self.column("_id"))


def _moment(column: sql.Composable) -> sql.Composable:
    return sql.SQL(_MOMENT).format(column)
