"""A compiled filter, and the parameters of the statement that it becomes a part of."""

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql
from psycopg.sql import Composable

from documents.query.ast import Node
from documents.query.fragments import TRUE, join, placeholder
from documents.query.leaves import Make, leaves


class Parameters:
    """The values of a statement, named as they come; the names never depend on the values."""

    def __init__(self, prefix: LiteralString = "q") -> None:
        self.values: dict[str, Any] = {}
        self.prefix = prefix

    def add(self, value: Any, cast: LiteralString) -> Composable:
        name = f"{self.prefix}{len(self.values)}"
        self.values[name] = value
        return placeholder(name, cast)


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled filter: good for every filter of the same `shape`."""

    safe: Composable
    # What may fail (`$expr`), which tells something about the row: to be evaluated only for rows
    # that the caller may read. SQL chooses the order of ANDs, so use `guarded` beside a rule.
    risky: Composable | None
    # parameter, the number of the leaf whose value it is made of, and how
    sources: tuple[tuple[str, int, Make], ...]

    @property
    def sql(self) -> Composable:
        """The whole condition, for callers who may read every row."""
        return self.safe if self.risky is None else join(" AND ", [self.safe, self.risky], TRUE)

    def guarded(self, readable: Composable) -> Composable:
        """The whole condition, for rows that fulfil `readable`, which must stand beside it."""
        if self.risky is None:
            return self.safe
        return sql.SQL("({} AND CASE WHEN {} THEN {} ELSE false END)").format(
            self.safe, readable, self.risky
        )

    def bind(self, node: Node) -> dict[str, Any]:
        """The parameters for a filter of that shape."""
        found: list[Any] = []
        leaves(node, found)
        return {name: make(found[leaf]) for name, leaf, make in self.sources}
