"""The first array in an indexed field: MongoDB's multikey flag, kept true by the database."""

from dataclasses import replace

from django.db import transaction

from documents import collections, tables
from documents.collections import Collection
from documents.indexes import changes


def is_acceptable(collection: Collection, constraint: str) -> bool:
    """Whether `accept` will say yes, as far as is known here."""
    return any(
        tables.scalar_constraint_name(index.name) == constraint and not index.unique
        for index in collection.indexes
    )


@transaction.atomic
def accept(collection: Collection, constraint: str) -> bool:
    """An array is about to be written to an indexed field: filters stop relying on that index.

    False when the constraint is not one of those, or belongs to a unique index.
    """
    current = collections.locked(collection.project_id, collection.name)
    wanted = [index for index in current.indexes
              if tables.scalar_constraint_name(index.name) == constraint]  # fmt: skip
    if not wanted or wanted[0].unique:
        return False
    if wanted[0].multikey:
        return True  # another writer was faster
    changes.take(current)
    tables.allow_arrays(current.table, wanted[0].name)
    indexes = [
        index if index not in wanted
        else replace(index, multikey=True) if index.state == "building"
        else changes.with_members(current, index)
        for index in current.indexes
    ]  # fmt: skip
    collections.store_indexes(current, indexes, current.dropped)
    return True
