"""Running a pipeline for a caller: one statement, over what the rules let him read."""

import re
from collections.abc import Iterable
from typing import Any, Final

from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import TooLarge
from documents import expressions
from documents.access import Caller
from documents.aggregation import compiler
from documents.aggregation.ast import Pipeline
from documents.aggregation.block import Context, Statement, named, select
from documents.aggregation.tables import table

MAX_RESULT: Final = 16 * 1024 * 1024  # characters of all items together
# Times of documents are dates inside of a pipeline, and texts on the wire. A key's quote has no
# backslash in front, so a text that looks like one is not meant.
_TIME: Final = re.compile(r'(?<!\\)("_(?:createdAt|updatedAt)": )\{"\$date": ("[^"\\]*")\}')


def run(caller: Caller, name: str, pipeline: Pipeline) -> bytes:
    """The JSON of the items, separated by commas.

    Raises Forbidden `rule_denied` when a collection that it reads is closed to the caller,
    Malformed `invalid_query` when an expression fails, TooLarge `result_too_large`.
    """
    composed = statement(caller, name, pipeline)
    if composed is None:
        return b""
    text, values = composed
    with expressions.failures():
        return joined(fetch(text, values))


def fetch(statement: bytes, values: dict[str, Any]) -> list[str]:
    """The items of a statement with the one column `doc`. Raises TooLarge `result_too_large`."""
    items = [row[0] for row in db.fetch_all(within(statement), values)]
    if sum(map(len, items)) > MAX_RESULT:
        raise TooLarge(
            f"The result has more than {MAX_RESULT // 2**20} MiB: end the pipeline with a $limit,"
            " or leave fields out with $project.",
            code="result_too_large",
        )
    return items


def statement(caller: Caller, name: str, pipeline: Pipeline) -> tuple[bytes, dict[str, Any]] | None:
    """The statement of a pipeline, with its parameters; None when there is no such collection."""
    shared = Statement(caller)
    context = Context(shared, compiler.compile_stages)
    block = table(context, name)
    if block is None:
        return None
    block = compiler.compile_stages(context, pipeline, block)
    whole = named(sql.SQL("{}::text").format(block.rows.root), "doc")
    return select(block, [whole], ordered=True).as_bytes(db.raw()), shared.values


def within(statement: bytes) -> bytes:
    """The statement ended with the row that goes beyond MAX_RESULT: the rest stays behind."""
    return (
        b"SELECT doc FROM (SELECT doc, sum(length(doc)) OVER (ROWS UNBOUNDED PRECEDING)"
        b" - length(doc) AS before FROM (%b) AS p) AS q WHERE before <= %d"
    ) % (statement, MAX_RESULT)


def joined(items: Iterable[str]) -> bytes:
    text = ",".join(items)
    if '"$date"' in text:
        text = _TIME.sub(r"\1\2", text)
    return text.encode()
