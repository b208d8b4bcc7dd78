"""Geometry on the sphere and in the plane: GeoJSON, MongoDB's geo operators, their index.

`parser` makes the nodes of `ast` from a filter's operators; `to_sql` and `predicate` are their two
back ends. The SQL functions are in the migration 0005; `vectors`, `regions` and `relations` are
the same in Python, step by step, so that the two agree to the last bit.
"""
