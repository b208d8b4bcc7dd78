"""Running a write, and what PostgreSQL says about it as problems."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from baas.kernel import db
from baas.kernel.events import after_commit
from baas.kernel.problems import Conflict, FieldError, Invalid
from documents import attempts, collections, values
from documents.collections import Collection
from documents.indexes import arrays

T = TypeVar("T")


def run(collection: Collection, statement: Callable[[], T]) -> T:
    """Run a write that announces itself in the events log.

    Raises Conflict `document_exists` or `unique_violation`, Invalid for values that the database
    cannot keep. When it brings the first array into an indexed field, the index is told.
    """
    while True:
        try:
            with db.savepoint(), translated(collection):
                done = statement()
        except psycopg.errors.CheckViolation as error:
            accept_arrays(collection, error)
        else:
            after_commit()
            return done


def accept_arrays(collection: Collection, error: psycopg.errors.CheckViolation) -> None:
    """Tell the index that an array came into its field, so that the write can be done again.

    Raises Invalid for a unique index, which takes none; Beforehand where a transaction of ours
    has to begin anew for it.
    """
    constraint = error.diag.constraint_name or ""
    if attempts.can_begin_anew() and arrays.is_acceptable(collection, constraint):
        raise attempts.Beforehand(lambda: arrays.accept(collection, constraint)) from error
    if not arrays.accept(collection, constraint):
        raise Invalid(
            "A field with a unique index cannot hold an array.", code="invalid_value"
        ) from error


@contextmanager
def translated(collection: Collection) -> Iterator[None]:
    """What PostgreSQL refuses, as problems; but for the first array in an indexed field."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        name = error.diag.constraint_name or ""
        if name.endswith("_pkey"):
            raise Conflict(
                "A document with this `_id` exists already.", code="document_exists"
            ) from error
        fields = collections.fields_of_index(collection, name)
        raise Conflict(
            f"Another document has the same value in {', '.join(fields) or 'a unique index'}.",
            code="unique_violation",
            errors=[FieldError(field, "unique_violation", "taken") for field in fields],
        ) from error
    except psycopg.errors.ProgramLimitExceeded as error:
        raise Invalid(
            "There are too many words in the fields of the text index."
            if "tsvector" in (error.diag.message_primary or "")
            else "The value of an indexed field is too long: 2,000 bytes at most.",
            code="index_value_too_long",
        ) from error
    except (psycopg.errors.NumericValueOutOfRange, psycopg.errors.UntranslatableCharacter) as error:
        raise values.invalid_value("", "a number or a text cannot be kept") from error


@contextmanager
def naming(prefix: str) -> Iterator[None]:
    """Name the document of a batch in what goes wrong with it."""
    try:
        yield
    except Invalid as problem:
        problem.errors = tuple(
            [
                FieldError(
                    f"{prefix}.{error.field}" if error.field else prefix, error.code, error.detail
                )
                for error in problem.errors
            ]
        )
        raise
