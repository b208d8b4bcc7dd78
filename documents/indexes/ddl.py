"""The statements that make and remove PostgreSQL's indexes.

Every index is on exactly the expressions that filters and sorts compile to (`columns`), or it
would not be found. Those have their `%` doubled for the placeholders of queries: run these
statements with empty parameters, which undoes that.
"""

from psycopg import sql

from documents.geo import index as geo
from documents.indexes import partial, vectors
from documents.indexes.spec import Index
from documents.query import columns, text
from documents.query.rows import Rows


def create(schema: str, table: str, index: Index, *, concurrently: bool = False) -> sql.Composed:
    """The declared index."""
    predicate = partial.predicate(index, Rows(table, is_table=True))
    return sql.SQL("CREATE {unique}INDEX {concurrently}{name} ON {table} {keys}{where}").format(
        unique=sql.SQL("UNIQUE " if index.unique else ""),
        concurrently=_concurrently(concurrently),
        name=sql.Identifier(index.name),
        table=sql.Identifier(schema, table),
        keys=_keys(index),
        where=sql.SQL("") if predicate is None else sql.SQL(" WHERE {}").format(predicate),
    )


def create_members(
    schema: str, table: str, index: Index, *, concurrently: bool = False
) -> sql.Composed:
    """Beside a B-tree whose fields have arrays: what finds a document by a member of one."""
    fields = [field for field in index.names if field not in columns.SYSTEM]
    # Without a list of pending entries: every look-up would read it through.
    return sql.SQL(
        "CREATE INDEX {concurrently}{name} ON {table} USING gin ({keys}) WITH (fastupdate = off)"
    ).format(
        concurrently=_concurrently(concurrently),
        name=sql.Identifier(index.members_name),
        table=sql.Identifier(schema, table),
        keys=sql.SQL(", ").join([columns.multikey(tuple(field.split("."))) for field in fields]),
    )


def _keys(index: Index) -> sql.Composable:
    match index.type:
        case "text":
            vector = text.vector(index.names, index.language or text.DEFAULT)
            return sql.SQL("USING gin ({})").format(vector)
        case "geo":
            return geo.keys(index.names[0])
        case "vector":
            return vectors.keys(index)
        case "owner":
            # As rules ask: lists by owner touch only the caller's own rows.
            return sql.SQL("(owner, _id)")
    return _btree(index)


def _btree(index: Index) -> sql.Composable:
    keys: list[sql.Composable] = [
        sql.SQL("{} {}").format(expression, sql.SQL("DESC" if direction < 0 else "ASC"))
        for field, direction in index.fields
        for expression in columns.keys(field)
    ]
    if not index.unique:
        # The tie-breaker of sorts, so that a page of an ordered list comes from the index alone.
        keys.append(sql.SQL("_id DESC" if index.fields[-1][1] < 0 else "_id ASC"))
    return sql.SQL("({})").format(sql.SQL(", ").join(keys))


def drop(schema: str, name: str, *, concurrently: bool = False) -> sql.Composed:
    return sql.SQL("DROP INDEX {}IF EXISTS {}").format(
        _concurrently(concurrently), sql.Identifier(schema, name)
    )


def _concurrently(yes: bool) -> sql.SQL:
    return sql.SQL("CONCURRENTLY " if yes else "")
