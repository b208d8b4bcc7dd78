"""`fields`: which parts of a document a reply has. Pure."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from documents.query import parser, paths
from documents.query.ast import Path
from documents.query.paths import MISSING
from documents.query.predicate import compile_predicate
from documents.query.problems import invalid_query, unsupported

Project: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
# What becomes of a value: `$slice` and `$elemMatch`. MISSING leaves the field out.
Change: TypeAlias = Callable[[Any], Any]
_Tree: TypeAlias = dict[str, Any]  # step -> None (the whole value), a Change, or the tree below

# From the path of an array and the array to the place of the element that the filter matched.
FindMatched: TypeAlias = Callable[[Path, list[Any]], int | None]

MAX_SLICE: Final = 2**31


def parse(spec: Any, find_matched: FindMatched | None = None) -> Project | None:
    """A function from `["a", "b.c"]`, `"a,b.c"`, `"-a"`, `{"a": 1}`, `{"a": 0}`,
    `{"a": {"$slice": 5}}` or `{"a": {"$elemMatch": {"b": 1}}}`. With `find_matched` also
    `{"a.$": 1}`, the element that the query's filter matched; the function raises Malformed where
    there is none.

    None for no projection. `_id` stays unless it is excluded by name; a `$slice` alone leaves the
    other fields in, an `$elemMatch` alone leaves them out. Raises Malformed.
    """
    if spec is None or spec in ("", [], {}):
        return None
    chosen = _chosen(spec, find_matched)
    keep_id = chosen.pop("_id", True)
    if not isinstance(keep_id, bool):
        raise invalid_query("_id is included or excluded", "fields")
    include = {choice for choice in chosen.values() if isinstance(choice, bool)}
    if len(include) > 1:
        raise invalid_query("fields are either all included or all excluded", "fields")
    if not chosen:
        return (lambda document: {"_id": document["_id"]}) if keep_id else _without({"_id": None})
    tree = _tree(chosen)
    if include == {True} or (not include and _takes_elements(spec)):
        if keep_id:
            tree["_id"] = None
        return lambda document: _kept(document, tree)
    if not keep_id:
        tree["_id"] = None
    return _without(tree)


def _chosen(spec: Any, find_matched: FindMatched | None) -> dict[str, bool | Change]:
    if isinstance(spec, str):
        spec = spec.split(",")
    if isinstance(spec, list) and all(isinstance(name, str) for name in spec):
        spec = {name.removeprefix("-"): not name.startswith("-") for name in spec}
    if isinstance(spec, dict):
        positional = [name for name in spec if name.endswith(".$")]
        if len(positional) > 1:
            raise invalid_query("fields has one positional a.$ at most", "fields")
        if any(name.removesuffix(".$") in spec for name in positional):
            raise _collision(positional[0])
        return {
            name.removesuffix(".$"): _matched(name, value, find_matched)
            if name in positional
            else _choice(name, value)
            for name, value in spec.items()
        }
    raise invalid_query('fields is ["a", "b.c"], {"a": 1} or {"a": 0}', "fields")


def _choice(name: str, value: Any) -> bool | Change:
    if isinstance(value, dict):
        operator = next(iter(value), "{}")
        if len(value) == 1 and operator == "$slice":
            return _slice(value["$slice"])
        if len(value) == 1 and operator == "$elemMatch":
            return _elem_match(name, value["$elemMatch"])
        raise unsupported(operator, "projection")
    if not isinstance(value, bool) and value not in (0, 1):
        raise invalid_query("fields takes 1 or 0 for each field", "fields")
    return bool(value)


def _takes_elements(spec: Any) -> bool:
    return isinstance(spec, dict) and any(
        (isinstance(value, dict) and "$elemMatch" in value) or name.endswith(".$")
        for name, value in spec.items()
    )


def _matched(name: str, value: Any, find_matched: FindMatched | None) -> Change:
    """The element of an array that the filter matched, in an array."""
    if find_matched is None:
        raise unsupported("$", "projection")
    if isinstance(value, dict) or not value:
        raise invalid_query("a positional a.$ is included, with 1", "fields")
    path = paths.parse(name.removesuffix(".$"))

    def change(found: Any) -> Any:
        if not isinstance(found, list):
            return found
        place = find_matched(path, found)
        if place is None:
            raise invalid_query(
                f"{name[:100]!r} needs a condition on that array in the filter", "fields"
            )
        return [found[place]]

    return change


def _slice(argument: Any) -> Change:
    """The first or last elements of an array; other values stay."""
    numbers = argument if isinstance(argument, list) else [argument]
    if not all(_is_whole(number) for number in numbers) or not 1 <= len(numbers) <= 2:
        raise invalid_query("$slice takes a whole number, or [skip, count]", "fields")
    if len(numbers) == 1:
        (count,) = map(int, numbers)
        return lambda found: _part(found, 0, count) if count >= 0 else _part(found, count, -count)
    skip, count = map(int, numbers)
    if count <= 0:
        raise invalid_query("the count of a $slice is 1 at least", "fields")
    return lambda found: _part(found, skip, count)


def _is_whole(number: Any) -> bool:
    return (
        isinstance(number, int | Decimal)
        and not isinstance(number, bool)
        and -MAX_SLICE < number < MAX_SLICE
        and number == int(number)
    )


def _part(found: Any, start: int, count: int) -> Any:
    if not isinstance(found, list):
        return found
    if start < 0:
        start = max(0, len(found) + start)
    return found[start : start + count]


def _elem_match(name: str, condition: Any) -> Change:
    """The first matching element of an array, in an array; nothing where there is none."""
    if "." in name:
        raise invalid_query("$elemMatch in fields stands at a field of the document", "fields")
    node, of_objects = parser.parse_element(condition)
    matches = compile_predicate(node, at_root=False)

    def change(found: Any) -> Any:
        for item in found if isinstance(found, list) else ():
            if of_objects:
                element = paths.as_object(item)
                found_it = element is not None and matches(element)
            else:
                found_it = matches(item)
            if found_it:
                return [item]
        return MISSING

    return change


def _tree(chosen: dict[str, bool | Change]) -> _Tree:
    tree: _Tree = {}
    for name, choice in chosen.items():
        *parents, last = paths.parse(name)
        node: _Tree = tree
        for step in parents:
            below: Any = node.setdefault(step, {})
            if not isinstance(below, dict):
                raise _collision(name)
            node = below
        if last in node:
            raise _collision(name)
        node[last] = None if isinstance(choice, bool) else choice
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
            elif callable(below):
                _put(made, key, below(inner))
            elif paths.is_object(inner):
                made[key] = _kept(inner, below)
            elif isinstance(inner, list):
                made[key] = _kept_items(inner, below)
    return made


def _kept_items(items: list[Any], tree: _Tree) -> list[Any]:
    """Objects in arrays are cut to the tree, anything else in them goes, as in MongoDB."""
    made: list[Any] = []
    for item in items:
        if paths.is_object(item):
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
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key not in tree:
            made[key] = inner
        elif callable(tree[key]):
            _put(made, key, tree[key](inner))
        elif tree[key] is not None:
            made[key] = _dropped(inner, tree[key])
    return made


def _put(made: dict[str, Any], key: str, value: Any) -> None:
    if value is not MISSING:
        made[key] = value
