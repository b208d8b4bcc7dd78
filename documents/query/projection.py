"""`fields`: which parts of a document a reply has. Pure."""

from collections.abc import Callable
from typing import Any

from documents.query import paths
from documents.query.problems import invalid_query, unsupported

Project = Callable[[dict[str, Any]], dict[str, Any]]
_Tree = dict[str, Any]  # step -> None (the whole value) or the tree below


def parse(spec: Any) -> Project | None:
    """A function from `["a", "b.c"]`, `"a,b.c"`, `"-a"`, `{"a": 1}` or `{"a": 0}`.

    None for no projection. `_id` stays unless it is excluded by name. Raises Malformed.
    """
    if spec is None or spec in ("", [], {}):
        return None
    chosen = _chosen(spec)
    keep_id = chosen.pop("_id", True)
    include = set(chosen.values())
    if len(include) > 1:
        raise invalid_query("fields are either all included or all excluded", "fields")
    if not chosen:
        return (lambda document: {"_id": document["_id"]}) if keep_id else _without({"_id": None})
    tree = _tree(chosen)
    if include == {True}:
        if keep_id:
            tree["_id"] = None
        return lambda document: _kept(document, tree)
    if not keep_id:
        tree["_id"] = None
    return _without(tree)


def _chosen(spec: Any) -> dict[str, bool]:
    if isinstance(spec, str):
        spec = spec.split(",")
    if isinstance(spec, list) and all(isinstance(name, str) for name in spec):
        return {name.removeprefix("-"): not name.startswith("-") for name in spec}
    if isinstance(spec, dict):
        for value in spec.values():
            if isinstance(value, dict):
                raise unsupported(next(iter(value), "{}"), "projection")
            if not isinstance(value, bool) and value not in (0, 1):
                raise invalid_query("fields takes 1 or 0 for each field", "fields")
        return {name: bool(value) for name, value in spec.items()}
    raise invalid_query('fields is ["a", "b.c"], {"a": 1} or {"a": 0}', "fields")


def _tree(chosen: dict[str, bool]) -> _Tree:
    tree: _Tree = {}
    for name in chosen:
        *parents, last = paths.parse(name)
        node = tree
        for step in parents:
            node = node.setdefault(step, {})
            if node is None:
                raise _collision(name)
        if last in node:
            raise _collision(name)
        node[last] = None
    return tree


def _collision(name: str) -> Exception:
    return invalid_query(f"fields names {name[:100]!r} and something above or below it", "fields")


def _kept(value: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    made = {}
    for key, inner in value.items():
        if key in tree:
            below = tree[key]
            if below is None:
                made[key] = inner
            elif isinstance(inner, dict):
                made[key] = _kept(inner, below)
            elif isinstance(inner, list):
                made[key] = _kept_items(inner, below)
    return made


def _kept_items(items: list[Any], tree: _Tree) -> list[Any]:
    """Objects in arrays are cut to the tree, anything else in them goes, as in MongoDB."""
    made: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            made.append(_kept(item, tree))
        elif isinstance(item, list):
            made.append(_kept_items(item, tree))
    return made


def _without(tree: _Tree) -> Project:
    return lambda document: _dropped(document, tree)


def _dropped(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_dropped(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: inner if key not in tree else _dropped(inner, tree[key])
        for key, inner in value.items()
        if not (key in tree and tree[key] is None)
    }
