"""Exporting: the documents of a project as lines, all from one moment.

One connection holds the snapshot and nothing else; pages are read on another, in transactions of
their own that import the snapshot. So no lock on a table outlasts its page, however slow the reader
is: a declared index or a changed constraint never waits for a download (and nobody behind it).
"""

import logging
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString, TypeAlias

import psycopg
from django.db import connection
from psycopg import sql

from baas.kernel.problems import Malformed, NotFound
from documents import tables
from documents.checks import ID
from documents.collections import NAME
from documents.transfer.extended_json import to_extended
from documents.transfer.metrics import EXPORTED
from documents.transfer.slots import Slot

logger = logging.getLogger(__name__)

Format: TypeAlias = Literal["ndjson", "extended-json"]

PAGE_BYTES: Final = 2 * 1024 * 1024
_MAX_PAGE: Final = 5_000  # documents
# A client may be slow, but the snapshot keeps what has been deleted since.
_MAX_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which document an export goes on."""

    collection: str
    id: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """`{collection}/{id}`. Raises Malformed `invalid_cursor`."""
        collection, _, id = text.partition("/")
        if NAME.fullmatch(collection) is None or ID.fullmatch(id) is None:
            raise Malformed(
                "`after` is the collection and the `_id` of the last document that you have:"
                " notes/01h….",
                code="invalid_cursor",
            )
        return cls(collection, id)


class Export:
    """The lines of an export, to be read once and closed.

    The server ends a stream that raises as if it were whole. So a whole one has an end of its own:
    `{"end": …}`, or in Extended JSON (where that would be a document) an empty line.
    """

    def __init__(
        self, project_id: int, names: Sequence[str] | None, format: Format, after: Place | None
    ) -> None:
        """Raises NotFound `collection_not_found`, Unavailable `too_many_transfers`."""
        self._project_id = project_id
        self._format = format
        self._after = after
        self.is_whole = False  # nothing more will come, and nothing is missing
        self._slot = Slot()
        try:
            self._keeper = _connect()
            self._reader = _connect()
            self._snapshot, self._collections = self._begin(names)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._lines()
            self.is_whole = True
        except psycopg.Error as error:
            logger.warning("an export broke off: %s", error)
            if self._format == "ndjson":
                yield b'{"error":{"detail":"The export broke off: go on with ?after="}}\n'
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything. Safe to repeat."""
        for held in ("_keeper", "_reader"):
            if (opened := getattr(self, held, None)) is not None:
                with suppress(psycopg.Error):
                    opened.close()
        self._slot.free()

    def _begin(self, names: Sequence[str] | None) -> tuple[str, list[tuple[str, int]]]:
        """(the snapshot's name, name and number of each collection in their order)."""
        keeper = self._keeper
        keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        keeper.execute(
            sql.SQL("SET LOCAL idle_in_transaction_session_timeout = {}").format(
                sql.Literal(f"{_MAX_MINUTES}min")
            )
        )
        row = keeper.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        found: list[tuple[str, int]] = keeper.execute(
            "SELECT name, id FROM documents_collection WHERE project_id = %s"
            ' ORDER BY name COLLATE "C"',
            (self._project_id,),
        ).fetchall()
        if names is not None:
            missing = sorted(set(names) - {name for name, _ in found})
            if missing:
                raise NotFound(
                    f"There is no collection {missing[0][:64]!r}.", code="collection_not_found"
                )
            found = [(name, id) for name, id in found if name in names]
        return row[0], found

    def _lines(self) -> Iterator[bytes]:
        count = 0
        after = self._after
        for name, id in self._collections:
            if after is not None and name < after.collection:
                continue
            last = after.id if after is not None and name == after.collection else ""
            limit = 100
            while True:
                text, last_id, number = self._page(name, id, last, limit)
                if not number:
                    break
                count += number
                yield text
                EXPORTED.inc(number)
                last = last_id
                # As many as fit, by what the last page was like.
                limit = min(max(PAGE_BYTES * number // len(text), 1), _MAX_PAGE)
        if self._format == "ndjson":
            yield b'{"end":{"documents":%d}}\n' % count
        else:
            yield b"\n"

    def _page(self, name: str, id: int, last: str, limit: int) -> tuple[bytes, str, int]:
        """(lines, the last id, how many)."""
        line = _ENVELOPED if self._format == "ndjson" else _EXTENDED
        statement = sql.SQL(_PAGE).format(
            line=sql.SQL(line).format(name=sql.Literal(name)),
            table=tables.table(self._project_id, name, id),
            last=sql.Literal(last),
            limit=sql.Literal(limit),
            bytes=sql.Literal(PAGE_BYTES),
        )
        reader = self._reader
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._snapshot)))
        row: tuple[Any, ...] | None = reader.execute(statement).fetchone()
        reader.execute("COMMIT")
        assert row is not None  # noqa: S101 - an aggregate has one row
        text, last_id, number = row
        if not number:
            return b"", last, 0
        if self._format == "extended-json":
            text = "\n".join(map(to_extended, text.split("\n")))
        return text.encode() + b"\n", last_id, number


# The page ends with the document that goes beyond the bytes; what follows stays in the database.
_PAGE: Final[LiteralString] = (
    "SELECT string_agg(line, E'\\n' ORDER BY _id), max(_id), count(*) FROM"
    " (SELECT _id, line, sum(octet_length(line)) OVER (ORDER BY _id) - octet_length(line) AS before"
    " FROM (SELECT _id, {line} AS line FROM {table} AS d WHERE _id > {last}"
    " ORDER BY _id LIMIT {limit}) AS lines) AS sized WHERE before < {bytes}"
)
_TIME: Final[LiteralString] = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
_CREATED: Final[LiteralString] = "to_char(created_at AT TIME ZONE 'UTC', '" + _TIME + "')"
_UPDATED: Final[LiteralString] = "to_char(updated_at AT TIME ZONE 'UTC', '" + _TIME + "')"
_OWNER_AND_FIELDS: Final[LiteralString] = (
    "',\"_version\":' || version || ',\"_owner\":' || coalesce(to_json(owner)::text, 'null')"
    " || CASE WHEN doc = '{{}}'::jsonb THEN '}}' ELSE ',' || substr(doc::text, 2) END"
)
_ENVELOPED: Final[LiteralString] = (
    "'{{\"collection\":' || to_json({name}::text) || ',\"document\":{{\"_id\":\"' || _id ||"
    " '\",\"_createdAt\":\"' || " + _CREATED + " || '\",\"_updatedAt\":\"' || " + _UPDATED
    + " || '\"' || " + _OWNER_AND_FIELDS + " || '}}'"
)  # fmt: skip
_EXTENDED: Final[LiteralString] = (
    "'{{\"_id\":\"' || _id || '\",\"_createdAt\":{{\"$date\":\"' || " + _CREATED
    + " || '\"}},\"_updatedAt\":{{\"$date\":\"' || " + _UPDATED + " || '\"}}' || "
    + _OWNER_AND_FIELDS
)  # fmt: skip


class Packed:
    """The lines of an export as gzip, sent as it comes."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self.close = export.close

    def __iter__(self) -> Iterator[bytes]:
        pack = zlib.compressobj(1, wbits=31)
        for chunk in self._export:
            if out := pack.compress(chunk):
                yield out
        # Without its end no reader takes it for a whole one.
        yield pack.flush(zlib.Z_FINISH if self._export.is_whole else zlib.Z_SYNC_FLUSH)


def _connect() -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection of its own: the thread's is for requests."""
    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
    return psycopg.Connection.connect(**params, autocommit=True)
