"""Parsing of `$project`, `$addFields`, `$unset`: which fields, and what becomes of them. Pure."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from documents import expressions
from documents.aggregation.ast import KEEP, AddFields, Exclude, Keep, Project, Shape
from documents.aggregation.problems import invalid
from documents.expressions.ast import Node as Expression
from documents.query import paths

# Each is a column of a statement, of which PostgreSQL takes 1,664.
MAX_FIELDS: Final = 500

_Tree: TypeAlias = dict[str, "Keep | Expression | _Tree"]


def parse_project(spec: Any, variables: Collection[str]) -> Project | Exclude:
    """`{"a": 1, "b.c": "$d"}` or `{"a": 0}`. Raises Malformed."""
    where = "$project"
    leaves = _leaves(spec, where)
    kept_id = True
    excludes = includes = False
    wanted: list[tuple[tuple[str, ...], Keep | Expression]] = []
    for path, value in leaves:
        flag = _flag(value)
        if path == ("_id",) and flag is not None:
            kept_id = flag
            continue
        if flag is False:
            excludes = True
            wanted.append((path, KEEP))
        else:
            includes = True
            wanted.append((path, KEEP if flag else _expression(value, variables, where, path)))
    if excludes and includes:
        raise invalid("fields are either all included (or computed) or all excluded", where)
    if excludes or (not includes and not kept_id):
        if not kept_id:
            wanted.append((("_id",), KEEP))
        return Exclude(_shape(wanted, where))
    if kept_id and ("_id",) not in [path[:1] for path, _ in wanted]:
        wanted.append((("_id",), KEEP))
    return Project(_shape(wanted, where))


def parse_add_fields(spec: Any, variables: Collection[str], where: str) -> AddFields:
    """`{"a": expression, "b.c": expression}`. Raises Malformed."""
    return AddFields(
        _shape(
            [(path, _expression(value, variables, where, path)) for path, value
             in _leaves(spec, where)],
            where,
        )
    )  # fmt: skip


def parse_unset(spec: Any) -> Exclude:
    """`"a.b"` or `["a", "b"]`. Raises Malformed."""
    names = [spec] if isinstance(spec, str) else spec
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise invalid("$unset takes a field or an array of fields", "$unset")
    return Exclude(_shape([(paths.parse(name), KEEP) for name in names], "$unset"))


def _leaves(spec: Any, where: str) -> list[tuple[tuple[str, ...], Any]]:
    """The paths that a specification names, nested objects as longer paths."""
    if not isinstance(spec, Mapping) or not spec:
        raise invalid("it takes an object of at least one field", where)
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in spec.items():
        _collect(paths.parse(name), value, found, where)
    if len(found) > MAX_FIELDS:
        raise invalid(f"it takes {MAX_FIELDS} fields at most", where)
    return found


def _collect(
    path: tuple[str, ...], value: Any, found: list[tuple[tuple[str, ...], Any]], where: str
) -> None:
    if not isinstance(value, Mapping) or (value and next(iter(value)).startswith("$")):
        found.append((path, value))
        return
    if not value:
        raise invalid(f"an empty object is no value of {'.'.join(path)[:100]!r}", where)
    for name, inner in value.items():
        if "." in name:
            raise invalid(f"{name[:60]!r} inside an object cannot have a dot", where)
        _collect((*path, *paths.parse(name)), inner, found, where)


def _flag(value: Any) -> bool | None:
    """Whether a value of `$project` includes or excludes; None for an expression."""
    if isinstance(value, bool | int | float | Decimal):
        return bool(value)
    return None


def _expression(
    value: Any, variables: Collection[str], where: str, path: tuple[str, ...]
) -> Expression:
    return expressions.parse(
        value, variables=frozenset(variables), where=f"{where}.{'.'.join(path)}"[:100]
    )


def _shape(wanted: list[tuple[tuple[str, ...], Keep | Expression]], where: str) -> Shape:
    tree: _Tree = {}
    for path, leaf in wanted:
        node = tree
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if not isinstance(below, dict):
                raise _collision(path, where)
            node = below
        if path[-1] in node:
            raise _collision(path, where)
        node[path[-1]] = leaf
    return _frozen(tree)


def _frozen(tree: _Tree) -> Shape:
    return Shape(
        tuple(
            [(name, _frozen(leaf) if isinstance(leaf, dict) else leaf)
             for name, leaf in tree.items()]
        )
    )  # fmt: skip


def _collision(path: tuple[str, ...], where: str) -> Exception:
    return invalid(f"{'.'.join(path)[:100]!r} and something above or below it are named", where)
