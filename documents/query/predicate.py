"""Back end one: a filter as a Python function of a document in its wire form."""

from collections.abc import Callable
from typing import Any, Final, assert_never

from documents.geo import predicate as geo
from documents.geo.ast import Geo
from documents.query import paths, regexes
from documents.query.ast import (
    And,
    Compare,
    ElemMatch,
    Exists,
    Expr,
    Implied,
    In,
    Leaf,
    Mod,
    Node,
    Not,
    Or,
    Path,
    Regex,
    Size,
    Type,
)
from documents.query.paths import MISSING
from documents.query.problems import unsupported
from documents.query.text import Text
from documents.query.verdicts import (
    Test,
    equals,
    equals_one_of,
    is_of_type,
    leaves_remainder,
    orders,
)

Predicate = Callable[[dict[str, Any]], bool]
# Makes the test of texts for a `$regex`; may raise for patterns that it does not understand.
MakeMatcher = Callable[[Regex], Callable[[str], bool]]

_DATES: Final = (("_createdAt",), ("_updatedAt",))


def matches(node: Node, document: dict[str, Any]) -> bool:
    """Whether a document in its wire form (system fields included) is among the filter's results.

    To test many documents, keep `compile_predicate(node)`.
    """
    return compile_predicate(node)(document)


def compile_predicate(
    node: Node, matcher: MakeMatcher = regexes.matcher, *, at_root: bool = True
) -> Predicate:
    """The filter as a function; means the same as `to_sql`. Not `at_root` it is one on an element
    of an array, as in `$elemMatch`.

    Raises Malformed `unsupported_operator` for what only the database can tell: `$expr`, `$text`,
    and the patterns that `matcher` does not understand.
    """
    return _Compiler(matcher).node(node, at_root=at_root)


class _Compiler:
    def __init__(self, matcher: MakeMatcher) -> None:
        self._matcher = matcher

    def node(self, node: Node, *, at_root: bool) -> Predicate:
        match node:
            case And(parts):
                every = [self.node(part, at_root=at_root) for part in parts]
                return lambda document: all(part(document) for part in every)
            case Or(parts):
                some = [self.node(part, at_root=at_root) for part in parts]
                return lambda document: any(part(document) for part in some)
            case Not(part):
                inner = self.node(part, at_root=at_root)
                return lambda document: not inner(document)
        return self._leaf(node, at_root=at_root)

    def _leaf(self, node: Leaf, *, at_root: bool) -> Predicate:
        match node:
            case Expr():
                raise unsupported("$expr", "a single document")
            case Text():
                raise unsupported("$text", "a single document")
            case Implied():
                return lambda _: True
            case Exists(path):
                return _reached(path, lambda found: found is not MISSING, at_root)
            case Size(path, size):
                return _reached(path, lambda found: _is_list_of(size, found), at_root)
            case ElemMatch(path, part, of_objects):
                inner = self.node(part, at_root=False)
                return _reached(path, _has_element(inner, of_objects), at_root)
            case Geo():
                return geo.compile_geo(node)
        return _any_value(node.path, self._test(node), at_root)

    def _test(self, node: Compare | In | Type | Regex | Mod) -> Test:
        match node:
            case Compare(_, "eq", value):
                return equals(value)
            case Compare(_, op, value):
                return orders(op, value)
            case In(_, candidates):
                return equals_one_of(candidates)
            case Type(_, types):
                return lambda found: is_of_type(found, types)
            case Regex():
                matches = self._matcher(node)
                return lambda found: isinstance(found, str) and matches(found)
            case Mod(_, divisor, remainder):
                return lambda found: leaves_remainder(found, divisor, remainder)
        assert_never(node)


def _is_list_of(size: int, found: Any) -> bool:
    return isinstance(found, list) and len(found) == size


def _has_element(inner: Predicate, of_objects: bool) -> Test:
    def has_value(found: Any) -> bool:
        return isinstance(found, list) and any(map(inner, found))

    def has_object(found: Any) -> bool:
        if not isinstance(found, list):
            return False
        objects = map(paths.as_object, found)
        return any(inner(each) for each in objects if each is not None)

    return has_object if of_objects else has_value


def _reached(path: Path, test: Test, at_root: bool) -> Predicate:
    """Some value that the path reaches passes, arrays as they are."""
    if at_root and path in _DATES:
        (key,) = path
        # On the wire text, in filters dates.
        return lambda document: test({"$date": document[key]})
    return lambda document: any(test(found) for found in paths.reach(document, path, gaps=True))


def _any_value(path: Path, test: Test, at_root: bool) -> Predicate:
    """Some value that the path reaches passes, or an element of an array there."""
    if not path:
        return test
    if len(path) == 1 and not (at_root and path in _DATES):
        (key,) = path
        return lambda document: _holds(test, document.get(key, MISSING))
    return _reached(path, lambda found: _holds(test, found), at_root)


def _holds(test: Test, found: Any) -> bool:
    """An array is tested as a whole and by each of its elements."""
    return test(found) or (isinstance(found, list) and any(test(item) for item in found))
