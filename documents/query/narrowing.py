"""What a collection's declared indexes add to its rules, so that a list finds its rows sooner."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from psycopg import sql

from auth.rules.bindings import Narrow
from auth.rules.fragments import number_literal, text_literal
from documents.query import columns
from documents.query.indexed import sort_text


def narrow_by(scalars: Collection[str], doc: sql.Composable = columns.DOC) -> Narrow | None:
    """For `document_bindings`: conditions in the terms of the indexes on the fields `scalars`."""
    if not scalars:
        return None

    def narrow(path: tuple[str, ...], known: tuple[Any, ...]) -> sql.Composable | None:
        if ".".join(path) not in scalars:
            return None
        text, number = columns.value_keys(columns.value(path, doc))
        if all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in known):
            listed = sql.SQL(", ").join(map(number_literal, known))
            return sql.SQL("{} = '2' AND {} IN ({})").format(text, number, listed)
        if all(value is None or isinstance(value, str | bool) for value in known):
            listed = sql.SQL(", ").join(text_literal(sort_text(value)) for value in known)
            return sql.SQL("{} IN ({})").format(text, listed)
        return None

    return narrow
