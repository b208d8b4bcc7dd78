"""Geo indexes: GiST on the box around what a document has at a path, by the extension `cube`."""

import psycopg
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import FieldError, Invalid
from documents.query import columns


def require_extension() -> None:
    """Make what geo indexes need, in the caller's transaction, if the migration could not.

    Raises Invalid `not_supported` when the server has no `cube`, or nobody may add it.
    """
    try:
        db.execute("SELECT documents_geo_setup()")
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedFile,
        psycopg.errors.FeatureNotSupported,
    ) as error:
        raise Invalid(
            "Geo indexes need the PostgreSQL extension cube: a superuser has to run CREATE"
            " EXTENSION cube in the product's database. Geo queries work without an index too.",
            code="not_supported",
            errors=[FieldError("indexes", "not_supported", "the extension cube is not there")],
        ) from error


def keys(field: str) -> sql.Composable:
    """The part of CREATE INDEX behind the table."""
    return sql.SQL("USING gist (documents_geo_box(doc, {}))").format(
        columns.path_array(tuple(field.split(".")))
    )
