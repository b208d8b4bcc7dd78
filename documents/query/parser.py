"""From a MongoDB filter document to the tree. Pure."""

from typing import Any, Final

from documents import expressions
from documents.geo.near import near_of, without_near
from documents.query import operators, paths, text
from documents.query.ast import EVERYTHING, And, Compare, Expr, Node, Not, Or, Path
from documents.query.operands import is_operators, operand
from documents.query.problems import invalid_query, unsupported

MAX_NODES: Final = 2000


def parse(filter: Any, *, variables: frozenset[str] = frozenset()) -> Node:
    """The tree of a filter; `variables` may stand in `$expr` beyond those that always may.

    Raises Malformed `invalid_query`, or `unsupported_operator` for an operator that is not known.
    """
    if filter is None:
        return EVERYTHING
    node = Reader(variables).document(filter)
    near_of(node)  # raises when there are two
    return node


def parse_element(condition: Any) -> tuple[Node, bool]:
    """The argument of an `$elemMatch`, and whether it is a filter on objects. Raises Malformed."""
    return Reader(frozenset()).element(condition)


class Reader:
    """Reads one filter. What it may cost is bounded as a whole."""

    def __init__(self, variables: frozenset[str]) -> None:
        self._budget = MAX_NODES
        self._variables = variables
        self._elements = 0  # how many `$elemMatch` we are in

    def charge(self, cost: int) -> None:
        """Raises Malformed when the filter becomes too large."""
        self._budget -= cost
        if self._budget < 0:
            raise invalid_query(
                f"the filter has more than {MAX_NODES} conditions, or many with very long paths"
            )

    @property
    def is_inside(self) -> bool:
        """Whether this is about an element of an array rather than about the document."""
        return self._elements > 0

    def document(self, filter: Any) -> Node:
        if not isinstance(filter, dict):
            raise invalid_query("a filter is a JSON object")
        self.charge(len(filter) + 1)
        parts: list[Node] = []
        for key, value in filter.items():
            match key:
                case "$and":
                    parts.append(And(self._branches(key, value)))
                case "$or":
                    parts.append(Or(self._alternatives(key, value)))
                case "$nor":
                    parts.append(Not(Or(self._alternatives(key, value))))
                case "$comment":
                    continue
                case "$expr" | "$text" if self.is_inside:
                    raise invalid_query(f"{key} cannot stand inside of $elemMatch")
                case "$expr":
                    expression = expressions.parse(value, variables=self._variables, where=key)
                    parts.append(Expr(expression))
                case "$text":
                    parts.append(text.parse(value))
                case _ if key.startswith("$"):
                    raise unsupported(key)
                case _:
                    path = paths.parse(key)
                    self.charge(paths.cost(path))
                    parts.append(self.field(path, value))
        return _all(parts)

    def _branches(self, key: str, value: Any) -> tuple[Node, ...]:
        if not isinstance(value, list) or not value:
            raise invalid_query(f"{key} takes an array of filters, not an empty one")
        return tuple([self.document(branch) for branch in value])

    def _alternatives(self, key: str, value: Any) -> tuple[Node, ...]:
        return tuple([without_near(key, branch) for branch in self._branches(key, value)])

    def field(self, path: Path, value: Any) -> Node:
        """What stands behind a field's name: operators, or a value to be equal to."""
        if not is_operators(value):
            return Compare(path, "eq", operand(path, value, at_root=not self.is_inside))
        self.charge((len(value) - 1) * (1 + paths.cost(path)))
        parts = [
            operators.parse(self, path, name, argument, value)
            for name, argument in value.items()
            if name not in operators.COMPANIONS or operators.stands_alone(name, value)
        ]
        return _all(parts)

    def element(self, condition: Any) -> tuple[Node, bool]:
        """The argument of `$elemMatch`, and whether it is a filter on objects."""
        if not isinstance(condition, dict):
            raise invalid_query("$elemMatch takes an object")
        self._elements += 1
        first = next(iter(condition), "")
        of_objects = not first.startswith("$") or first in ("$and", "$or", "$nor", "$expr", "$text")
        part = self.document(condition) if of_objects else self.field((), condition)
        self._elements -= 1
        return without_near("$elemMatch", part), of_objects


def _all(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else And(tuple(parts))
