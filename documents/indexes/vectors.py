"""Vector indexes: pgvector's HNSW, where the server has the extension.

A vector is an array of numbers in a document. What is no array of exactly so many numbers is not
in the index and not near to anything.
"""

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import FieldError, Invalid
from documents.indexes.spec import Index
from documents.query import columns

MAX_DIMENSIONS: Final = 2000  # what HNSW takes
# Metric -> operator class, and the operator that orders by distance.
METRICS: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "cosine": ("vector_cosine_ops", "<=>"),
    "l2": ("vector_l2_ops", "<->"),
    "ip": ("vector_ip_ops", "<#>"),
}
_LOCK: Final = 0x76656374  # one process at a time makes the function

# Not in a migration: there are servers without the type. Built on while PostgreSQL looks for names
# in pg_catalog only, hence the search path.
_FUNCTION: Final = b"""
CREATE OR REPLACE FUNCTION documents_vector(v jsonb, dimensions int) RETURNS vector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT
AS $$
BEGIN
    IF jsonb_typeof(v) <> 'array' THEN
        RETURN NULL;
    ELSIF jsonb_array_length(v) <> dimensions
        OR jsonb_path_exists(v, 'strict $[*] ? (@.type() != "number")') THEN
        RETURN NULL;
    END IF;
    RETURN v::text::vector;
END $$
"""


def require_extension() -> None:
    """Make what vector indexes need, in the caller's transaction.

    Raises Invalid `not_supported` when the server has no pgvector, or nobody may add it.
    """
    db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if db.fetch_one("SELECT 1 FROM pg_proc WHERE proname = 'documents_vector'") is not None:
        return
    if db.fetch_one("SELECT 1 FROM pg_extension WHERE extname = 'vector'") is None:
        try:
            db.execute("CREATE EXTENSION vector")
        except psycopg.errors.Error as error:
            raise Invalid(
                "Vector indexes need the PostgreSQL extension pgvector: a superuser has to run"
                " CREATE EXTENSION vector in the product's database.",
                code="not_supported",
                errors=[FieldError("indexes", "not_supported", "pgvector is not there")],
            ) from error
    db.execute(_FUNCTION)


def value(field: str, dimensions: int, doc: sql.Composable = columns.DOC) -> sql.Composable:
    """The vector at a path, NULL where there is none: what the index is on."""
    path = tuple(field.split("."))
    return sql.SQL("(documents_vector({}, {})::vector({}))").format(
        columns.value(path, doc),
        sql.Literal(dimensions),
        sql.Literal(dimensions),
    )


def keys(index: Index) -> sql.Composable:
    """The part of CREATE INDEX behind the table."""
    operators, _ = METRICS[index.metric or "cosine"]
    return sql.SQL("USING hnsw ({} {})").format(
        value(index.names[0], index.dimensions or 1), sql.SQL(operators)
    )
