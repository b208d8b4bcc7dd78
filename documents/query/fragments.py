"""Small pieces of SQL that the compilers of conditions share."""

from typing import Final, LiteralString

from psycopg import sql

from documents.query.ast import Operator

TRUE: Final = sql.SQL("true")
FALSE: Final = sql.SQL("false")
SYMBOLS: Final[dict[Operator, LiteralString]] = {
    "eq": "=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
}


def symbol(op: Operator) -> sql.SQL:
    return sql.SQL(SYMBOLS[op])


def placeholder(name: str, cast: LiteralString) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Placeholder(name), sql.SQL(cast))


def join(
    word: LiteralString, parts: list[sql.Composable], when_empty: sql.Composable
) -> sql.Composable:
    if not parts:
        return when_empty
    if len(parts) == 1:
        return parts[0]
    return sql.SQL("({})").format(sql.SQL(word).join(parts))
