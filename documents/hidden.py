"""Fields that some callers may not see: for them they do not exist. Pure.

A hidden path goes through arrays on its way, at any depth.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg import sql

from auth.rules import Rule
from documents import values
from documents.query.paths import is_index

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HiddenField:
    """Not there for callers for whom the rule is not true of the document."""

    path: Path
    rule: Rule


@dataclass(frozen=True, slots=True)
class View:
    """A table as one class of callers sees it."""

    # What stands behind FROM: the table's columns, `doc` without what is hidden, `whole` with it.
    source: sql.Composable
    roots: frozenset[str]  # the top-level fields that something may be missing of
    names: frozenset[str]  # the parameters of the caller's that it has


def without(value: Any, paths: Iterable[Path]) -> Any:
    """The value without what is at the paths; what stays is shared with it."""
    for path in paths:
        value = _without(value, path)
    return value


def _without(value: Any, path: Path) -> Any:
    if isinstance(value, list):
        return [_without(item, path) for item in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: inner for key, inner in value.items() if key != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def has(value: Any, path: Path) -> bool:
    """Whether anything is at the path."""
    return any(True for _ in _found(value, path))


def touches(path: Path, hidden: Path) -> bool:
    """Whether an update of the path may change or test what is hidden.

    It is at it, above or below it. Where elements of an array are chosen by a condition, it is
    enough that something of the field is hidden.
    """
    if path[0] != hidden[0]:
        return False
    if any(step.startswith("$") and step != "$[]" for step in path):
        return True
    names = [step for step in path if not step.startswith("$") and not is_index(step)]
    return all(a == b for a, b in zip(names, hidden, strict=False))


def touches_members(members: dict[str, Any], hidden: Path) -> bool:
    """The same of a merge patch: what it goes into object by object is not replaced."""
    if hidden[0] not in members:
        return False
    inner = members[hidden[0]]
    return len(hidden) == 1 or not isinstance(inner, dict) or touches_members(inner, hidden[1:])


def kept(old: Any, new: Any, paths: Iterable[Path]) -> dict[str, Any] | None:
    """The new fields with what the old ones have at the paths; None when there is no place for it.

    There is none when the new fields have something there, or an array with hidden things in it
    is not the one that the caller saw.
    """
    made: Any = new
    hidden = list(paths)
    for path in hidden:
        if has(new, path):
            return None
        if has(old, path):
            made = _put(old, made, path, hidden)
            if made is None:
                return None
    return made if isinstance(made, dict) else None


def _put(old: Any, new: Any, path: Path, hidden: list[Path]) -> Any:
    step = path[0]
    if not isinstance(new, dict):
        return None
    if len(path) == 1:
        return {**new, step: old[step]}
    inner = old[step]
    if isinstance(inner, list):
        below = [other[1:] for other in hidden if other[0] == step and len(other) > 1]
        given = new.get(step)
        is_seen = values.equal(given, without(inner, below)) or values.equal(given, inner)
        return {**new, step: inner} if is_seen else None
    placed = _put(inner, new.get(step, {}), path[1:], [o[1:] for o in hidden if o[0] == step])
    return None if placed is None else {**new, step: placed}


def is_same(old: Any, new: Any, path: Path) -> bool:
    """Whether the same things are at the path."""
    return values.equal(list(_found(old, path)), list(_found(new, path)))


def _found(value: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _found(item, path)
    elif isinstance(value, dict) and path[0] in value:
        yield from _found(value[path[0]], path[1:])
