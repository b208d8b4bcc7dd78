"""Running a pipeline for a caller: one statement, over what the rules let him read."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import TooLarge
from documents import costs, expressions
from documents.access import Caller
from documents.aggregation import compiler
from documents.aggregation.ast import Match, Pipeline, SortBy
from documents.aggregation.block import Context, Statement, named, select
from documents.aggregation.optimizer import optimized
from documents.aggregation.tables import table
from documents.collections import Collection
from documents.costs.hints import Hint
from documents.query.ast import And, Node

MAX_RESULT: Final = 16 * 1024 * 1024  # characters of all items together
# Times of documents are dates inside of a pipeline, and texts on the wire. A key's quote has no
# backslash in front, so a text that looks like one is not meant.
_TIME: Final = re.compile(r'(?<!\\)("_(?:createdAt|updatedAt)": )\{"\$date": ("[^"\\]*")\}')


@dataclass(frozen=True, slots=True)
class Prepared:
    """A pipeline that is ready to run: one statement."""

    text: bytes
    values: dict[str, Any]
    collections: Sequence[Collection]  # all that it reads


def run(caller: Caller, name: str, pipeline: Pipeline) -> bytes:
    """The JSON of the items, separated by commas.

    Raises Forbidden `rule_denied` when a collection that it reads is closed to the caller,
    Malformed `invalid_query` when an expression fails and `query_too_expensive` over the caller's
    limits, TooLarge `result_too_large`.
    """
    prepared = prepare(caller, name, pipeline)
    if prepared is None:
        return b""
    return joined(fetch(caller, prepared, lambda: helpful(pipeline)))


def prepare(caller: Caller, name: str, pipeline: Pipeline) -> Prepared | None:
    """The statement of a pipeline; None when there is no such collection. Raises Forbidden."""
    shared = Statement(caller)
    context = Context(shared, compiler.compile_stages)
    block = table(context, name)
    if block is None:
        return None
    block = compiler.compile_stages(context, pipeline, block)
    whole = named(sql.SQL("{}::text").format(block.rows.root), "doc")
    text = select(block, [whole], ordered=True).as_bytes(db.raw())
    return Prepared(text, shared.values, shared.collections)


def helpful(pipeline: Pipeline) -> list[str]:
    """The fields of an index that would help the beginning of a pipeline."""
    filters: list[Node] = []
    for stage in optimized(pipeline):
        if isinstance(stage, SortBy):
            return costs.fields_for(And(tuple(filters)), stage.sort)
        if not isinstance(stage, Match):
            break
        filters.append(stage.filter)
    return costs.fields_for(And(tuple(filters)))


def fetch(caller: Caller, prepared: Prepared, hint: Hint) -> list[str]:
    """The items of a statement with the one column `doc`. Raises as `run`."""
    text, values = within(prepared.text), prepared.values
    costs.require_cheap(caller, prepared.collections, text, values, hint, aggregates=True)
    with expressions.failures():
        items = costs.run(caller, lambda: [row[0] for row in db.fetch_all(text, values)], hint)
    if sum(map(len, items)) > MAX_RESULT:
        raise TooLarge(
            f"The result has more than {MAX_RESULT // 2**20} MiB: end the pipeline with a $limit,"
            " or leave fields out with $project.",
            code="result_too_large",
        )
    return items


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
