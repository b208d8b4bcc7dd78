"""A SELECT that is still open: stages add conditions, an order and a limit, or close it around.

A closed SELECT ends with OFFSET 0 when it has no limit, which keeps PostgreSQL from putting it in
line: what it computes is computed once, however often later stages name it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final, Literal, LiteralString, TypeAlias

from psycopg import sql

from baas.kernel import db
from documents.access import Caller
from documents.aggregation.ast import Pipeline
from documents.aggregation.rows import MAX_COLUMNS, Column, MadeRows, over, untouched
from documents.collections import Collection
from documents.query import Parameters, Rows, columns

_SYSTEM_COLUMNS = ("_id", "version", "owner", "created_at", "updated_at")

_GATHERED: Final[LiteralString] = (
    "(SELECT {alias}.*, sum({sizes}) OVER (ROWS UNBOUNDED PRECEDING) AS gathered"
    " FROM {source}) AS {alias}"
)
_BOUNDED: Final[LiteralString] = (
    "CASE WHEN {gathered} > {most} THEN documents_fail({detail}) ELSE {column} END"
)
MAX_GATHERED: Final = 64 * 2**20  # bytes that become one value
MAX_KEPT: Final = 256 * 2**20  # bytes of which one is chosen


@dataclass(frozen=True, slots=True)
class Term:
    """Of an ORDER BY."""

    sql: sql.Composable
    direction: Literal[1, -1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    source: sql.Composable  # what stands behind FROM
    rows: Rows
    where: tuple[sql.Composable, ...] = ()
    guarded: bool = False  # a condition repeats those in front of it
    implied: tuple[sql.Composable, ...] = ()  # by `where`, in words that find rows sooner
    order: tuple[Term, ...] = ()  # as a $sort asked
    ties: tuple[Term, ...] = ()  # among equals, and when nobody asked
    limit: int | None = None
    skip: int = 0

    @property
    def is_cut(self) -> bool:
        return self.limit is not None or self.skip > 0

    @property
    def readable(self) -> sql.Composable | None:
        """Which rows are left, of which the rule is a part; None when there is no condition."""
        if not self.where:
            return None
        conditions = [sql.SQL("({})").format(condition) for condition in self.where]
        return sql.SQL(" AND ").join(conditions)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The whole order."""
        return in_all(self.order, self.ties)


class Text(sql.Composable):
    """A part of the statement that is composed already."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self._text = text

    def as_bytes(self, context: object = None) -> bytes:
        return self._text


def in_all(order: tuple[Term, ...], ties: tuple[Term, ...]) -> tuple[Term, ...]:
    """An order, ties broken by what it does not have yet."""
    known = [term.sql for term in order]
    return (*order, *[term for term in ties if term.sql not in known])


class Statement:
    """What all parts of one statement share: its parameters, and names that are not taken yet."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.parameters = Parameters()
        self.rule_values: dict[str, object] = {}
        self.collections: list[Collection] = []  # that it reads
        self._numbers = count(1)

    def name(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    @property
    def values(self) -> dict[str, object]:
        return {**self.parameters.values, **self.rule_values}


@dataclass(frozen=True, slots=True)
class Context:
    """Where a pipeline is compiled: the statement, and the variables that it can read."""

    statement: Statement
    compile: "Compile"  # for the pipelines inside of stages
    variables: Mapping[str, sql.Composable] = field(default_factory=dict)


Compile: TypeAlias = Callable[["Context", Pipeline, "Block"], "Block"]


def select(
    block: Block, wanted: Sequence[sql.Composable], *, ordered: bool = False
) -> sql.Composable:
    """The block as a SELECT of these columns; in its order if it must be, or is cut."""
    parts: list[sql.Composable] = [
        sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(wanted), block.source)
    ]
    conditions = [sql.SQL("({})").format(each) for each in (*block.where, *block.implied)]
    if conditions:
        parts.append(sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)))
    if block.terms and (ordered or block.is_cut):
        parts.append(sql.SQL("ORDER BY {}").format(order_by(block.terms)))
    if block.limit is not None:
        parts.append(sql.SQL("LIMIT {}").format(sql.Literal(block.limit)))
    if block.skip:
        parts.append(sql.SQL("OFFSET {}").format(sql.Literal(block.skip)))
    return sql.SQL(" ").join(parts)


def order_by(terms: Sequence[Term]) -> sql.Composable:
    return sql.SQL(", ").join(
        [
            sql.SQL("{} {}").format(term.sql, sql.SQL("DESC" if term.direction < 0 else "ASC"))
            for term in terms
        ]
    )


def named(expression: sql.Composable, name: str) -> sql.Composable:
    return sql.SQL("{} AS {}").format(expression, sql.Identifier(name))


class Closing:
    """The columns that a closed block hands on."""

    def __init__(self, statement: Statement, block: Block, *, ordered: bool = False) -> None:
        self.alias = statement.name("s")
        self.wanted: list[sql.Composable] = []
        self._statement = statement
        self._block = block
        self._ordered = ordered
        self._terms: list[tuple[sql.Composable, sql.Composable]] = []
        self._gathered: list[sql.Composable] = []
        self.order = tuple([self._term(term) for term in block.order])
        self.ties = tuple([self._term(term) for term in block.ties])

    @property
    def terms(self) -> tuple[Term, ...]:
        """The whole order of the closed block's rows."""
        return in_all(self.order, self.ties)

    def add(self, expression: sql.Composable, name: str | None = None) -> sql.Composable:
        """The column of the closed block that has the expression."""
        name = name or self._statement.name("c")
        self.wanted.append(named(expression, name))
        return sql.Identifier(self.alias, name)

    def gather(self, expression: sql.Composable, at_most: int) -> sql.Composable:
        """As `add`, for what is put together to one value: fails beyond so many bytes of all rows.

        PostgreSQL would hold any amount of it in memory.
        """
        column = self.add(expression)
        self._gathered.append(column)
        return sql.SQL(_BOUNDED).format(
            gathered=sql.Identifier(self.alias, "gathered"),
            most=sql.Literal(at_most),
            detail=sql.Literal(
                f"more than {at_most // 2**20} MiB are gathered in a value: match fewer documents,"
                " or take less of each"
            ),
            column=column,
        )

    def column(self, made: Column) -> Column:
        return replace(made, sql=self.add(made.sql))

    def _term(self, term: Term) -> Term:
        for expression, column in self._terms:
            if expression == term.sql:
                return replace(term, sql=column)
        self._terms.append((term.sql, self.add(term.sql)))
        return replace(term, sql=self._terms[-1][1])

    @property
    def select(self) -> sql.Composable:
        barrier = sql.SQL("") if self._block.is_cut else sql.SQL(" OFFSET 0")
        chosen = select(self._block, self.wanted, ordered=self._ordered)
        return sql.SQL("{}{}").format(chosen, barrier)

    @property
    def source(self) -> sql.Composable:
        """The closed block as an item of FROM: as text, since a hundred blocks one inside the other
        would be too deep for Python's stack."""
        alias = sql.Identifier(self.alias)
        source = sql.SQL("({}) AS {}").format(self.select, alias)
        if self._gathered:
            sizes = [sql.SQL("coalesce(pg_column_size({}), 0)").format(c) for c in self._gathered]
            source = sql.SQL(_GATHERED).format(
                alias=alias, sizes=sql.SQL(" + ").join(sizes), source=source
            )
        return Text(source.as_bytes(db.raw()))

    def block(self, rows: Rows, source: sql.Composable | None = None) -> Block:
        return Block(source=source or self.source, rows=rows, order=self.order, ties=self.ties)


def carried(closing: Closing, rows: Rows) -> Rows:
    """The same rows behind the closed block."""
    if rows.is_table:
        for name in _SYSTEM_COLUMNS:
            closing.add(rows.column(name), name)
    if not isinstance(rows, MadeRows):
        closing.add(rows.doc, "doc")
        return Rows(closing.alias, rows.is_table, rows.scalars)
    if rows.has_doc:
        closing.add(Rows.column(rows, "doc"), "doc")
    made = [closing.column(column) for column in rows.made]
    return MadeRows(
        closing.alias, rows.is_table, rows.scalars, made=tuple(made), has_doc=rows.has_doc
    )


def extended(context: Context, block: Block, made: Sequence[Column]) -> Block:
    """The same rows with these fields put over theirs. Their expressions read the block's rows."""
    if block.rows.is_table and any(column.name in columns.SYSTEM for column in made):
        return as_values(context, block, made)
    closing = Closing(context.statement, block)
    fields = [closing.column(column) for column in made]
    rows = over(carried(closing, block.rows), fields)
    after = closing.block(rows)
    return flat(context, after) if len(rows.made) > MAX_COLUMNS else after


def replaced(context: Context, block: Block, made: Sequence[Column]) -> Block:
    """Rows of these fields and no others."""
    closing = Closing(context.statement, block)
    fields = tuple([closing.column(column) for column in made])
    after = closing.block(MadeRows(closing.alias, made=fields, has_doc=False))
    return flat(context, after) if len(fields) > MAX_COLUMNS else after


def of_documents(context: Context, block: Block, doc: sql.Composable) -> Block:
    """Rows whose `doc` is a jsonb expression over the block's rows."""
    closing = Closing(context.statement, block)
    closing.add(doc, "doc")
    return closing.block(Rows(closing.alias))


def as_values(context: Context, block: Block, made: Sequence[Column] = ()) -> Block:
    """No table any more: system fields are in `doc` (and may be changed)."""
    if not made and type(block.rows) is Rows and not block.rows.is_table:
        return block
    closing = Closing(context.statement, block)
    closing.add(block.rows.root, "doc")
    fields = tuple([closing.column(column) for column in made])
    return closing.block(MadeRows(closing.alias, made=fields) if fields else Rows(closing.alias))


def flat(context: Context, block: Block) -> Block:
    """All fields of the rows in `doc` (but a table's system fields), open for conditions."""
    if not isinstance(block.rows, MadeRows) and not block.is_cut:
        return block
    return with_doc(context, block, block.rows.doc)


def with_doc(
    context: Context, block: Block, doc: sql.Composable, changed: Sequence[str] = ()
) -> Block:
    """The same rows with another `doc`, in which the top-level fields `changed` are not the same.

    A table's system fields stay beside it.
    """
    rows = block.rows
    closing = Closing(context.statement, block)
    if rows.is_table:
        for name in _SYSTEM_COLUMNS:
            closing.add(rows.column(name), name)
    closing.add(doc, "doc")
    return closing.block(Rows(closing.alias, rows.is_table, untouched(rows, changed)))


def as_array(context: Context, block: Block, *, bounded: bool = True) -> sql.Composable:
    """The documents of a block as one jsonb array, in their order.

    `bounded` unless there are surely few: it costs as much as some documents.
    """
    closing = Closing(context.statement, block, ordered=True)
    doc = closing.gather(block.rows.root, MAX_GATHERED) if bounded else closing.add(block.rows.root)
    return sql.SQL("(SELECT coalesce(jsonb_agg({}), '[]') FROM {})").format(doc, closing.source)
