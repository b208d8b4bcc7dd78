"""One statement, one round trip, on a psycopg connection: without the cursor in between.

psycopg's cursors wait for the server in Python, step by step, so that they can be interrupted: of
the 40 µs of CPU that a primary-key look-up takes with them, libpq needs 7. This module calls
libpq's blocking functions through psycopg's public `pq` wrapper (which frees the GIL while it
waits) and leaves parameters and results to psycopg's adapters, so values mean the same.

It is used for autocommit statements and inside a transaction that psycopg has begun; the first
statement of a transaction goes through a cursor, which sends the BEGIN.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

from baas.kernel import fairness

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[Any] | Mapping[str, Any] | None

# Prepared statements kept per connection; a text is prepared when it comes the second time.
MAX_PREPARED: Final = 200
# Longer texts (bytes) are not kept: nobody must be able to fill the memory with odd queries.
MAX_KEPT: Final = 16 * 1024

_PLACEHOLDER: Final = re.compile(rb"%(?:\((\w+)\)s|s|%)")
_DONE: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})

_Key: TypeAlias = tuple[bytes, tuple[int, ...]]
_numbers = count(1)
# By connection: the name of each prepared statement, None for a text that came once.
_prepared: "WeakKeyDictionary[psycopg.Connection[Any], OrderedDict[_Key, bytes | None]]" = (
    WeakKeyDictionary()
)


class Result:
    """What a statement gave. Rows are tuples; `rowcount` is of a write, or how many rows came."""

    __slots__ = ("_at", "_rows", "rowcount")

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        self._rows = rows
        self._at = 0
        self.rowcount = rowcount

    def fetchone(self) -> Row | None:
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchall(self) -> list[Row]:
        rows = self._rows[self._at :] if self._at else self._rows
        self._at = len(self._rows)
        return rows

    def __iter__(self) -> "Result":
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row


def run(connection: "psycopg.Connection[Row]", query: bytes, values: Values) -> Result:
    """Run the statement. Raises psycopg's errors, OperationalError for a lost connection,
    `fairness.Refused` when the project of the request has enough slow ones."""
    work = fairness.here()
    if work is None:
        return _run(connection, query, values)
    work.begin(connection)
    try:
        return _run(connection, query, values)
    except psycopg.errors.QueryCanceled as error:
        raise fairness.refusal(work, error) from error
    finally:
        work.end()


def _run(connection: "psycopg.Connection[Row]", query: bytes, values: Values) -> Result:
    pgconn = connection.pgconn
    begins = not connection.autocommit and pgconn.transaction_status == TransactionStatus.IDLE
    if values is None or begins:
        return _with_cursor(connection, query, values)
    adapters = Transformer(connection)
    is_kept = len(query) <= MAX_KEPT
    text, names = _positional(query) if is_kept else _positional.__wrapped__(query)
    given = [values[n] for n in names] if isinstance(values, Mapping) else values
    if len(given) != len(names):
        raise psycopg.ProgrammingError(
            f"the query has {len(names)} placeholders but {len(given)} parameters were passed"
        )
    params: Any = adapters.dump_sequence(given, [PyFormat.AUTO] * len(given))
    types = adapters.types or ()
    formats = adapters.formats
    statements = _prepared.get(connection)
    if statements is None:
        statements = _prepared[connection] = OrderedDict()
    key = (text, types)
    name = statements.get(key)
    if not is_kept:
        result = pgconn.exec_params(text, params, types, formats)
    elif name is None:
        if key not in statements:
            _remember(connection, statements, key, None)
            result = pgconn.exec_params(text, params, types, formats)
        else:
            name = b"baas_%d" % next(_numbers)
            prepared = pgconn.prepare(name, text, types)
            if prepared.status != ExecStatus.COMMAND_OK:
                raise _error(connection, prepared)
            _remember(connection, statements, key, name)
            result = pgconn.exec_prepared(name, params, formats)
    else:
        statements.move_to_end(key)
        result = pgconn.exec_prepared(name, params, formats)
    if result.status not in _DONE:
        raise _error(connection, result)
    if result.status == ExecStatus.TUPLES_OK:
        adapters.set_pgresult(result)
        return Result(adapters.load_rows(0, result.ntuples, tuple), result.ntuples)
    return Result([], result.command_tuples or 0)


def _with_cursor(connection: "psycopg.Connection[Row]", query: bytes, values: Values) -> Result:
    cursor = psycopg.Cursor(connection)
    cursor.execute(query, values)
    return Result(cursor.fetchall() if cursor.description else [], cursor.rowcount)


@lru_cache(maxsize=2048)
def _positional(query: bytes) -> tuple[bytes, tuple[Any, ...]]:
    """`$1 … $n` for psycopg's placeholders, and the name (or number) of each value."""
    names: list[Any] = []
    numbers: dict[bytes, int] = {}

    def number(found: "re.Match[bytes]") -> bytes:
        if found[0] == b"%%":
            return b"%"
        name = found[1]
        if name is None:
            names.append(len(names))
            return b"$%d" % len(names)
        if name not in numbers:
            names.append(name.decode())
            numbers[name] = len(names)
        return b"$%d" % numbers[name]

    return _PLACEHOLDER.sub(number, query), tuple(names)


def _remember(
    connection: "psycopg.Connection[Row]",
    statements: "OrderedDict[_Key, bytes | None]",
    key: _Key,
    name: bytes | None,
) -> None:
    statements[key] = name
    statements.move_to_end(key)
    if len(statements) > MAX_PREPARED:
        _, oldest = statements.popitem(last=False)
        if oldest is not None:
            connection.pgconn.exec_(b"DEALLOCATE " + oldest)


def _error(connection: "psycopg.Connection[Row]", result: Any) -> psycopg.Error:
    error = psycopg.errors.error_from_result(result, connection.info.encoding)
    if connection.closed and not isinstance(error, psycopg.OperationalError):
        # libpq's own message has no SQLSTATE to tell by.
        return psycopg.OperationalError(*error.args)
    return error
